#include "hdap/fleet/measurement_log.hpp"

#include "hdap/core/descriptor.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/hash.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/core/text.hpp"
#include "hdap/fleet/fleet.hpp"
#include "hdap/network/network_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <unistd.h>

namespace hdap::fleet {
namespace {

using nlohmann::json;

std::string line_of(const CandidateMeasurement& measurement) {
    json line{{"candidate", measurement.candidate},
              {"device", measurement.device},
              {"runs", measurement.runs},
              {"origin", measurement.origin}};
    if (std::isnan(measurement.latency_ms))
        line["failure"] = measurement.failure;
    else
        line["latency_ms"] = measurement.latency_ms;
    if (!std::isnan(measurement.anchor_ms)) line["anchor_ms"] = measurement.anchor_ms;
    return line.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

bool is_latency_or_none(double ms) {
    return std::isnan(ms) || (ms >= smallest_latency_ms && ms <= largest_latency_ms);
}

bool is_same(double a, double b) {
    return a == b || (std::isnan(a) && std::isnan(b));
}

/// A line of the file; nothing when it is none.
std::optional<CandidateMeasurement> measurement_in(const std::string& line) {
    const json parsed = json::parse(line, nullptr, false);
    if (!parsed.is_object()) return std::nullopt;
    try {
        CandidateMeasurement measurement{.candidate = parsed.at("candidate"),
                                         .device = parsed.at("device"),
                                         .runs = parsed.at("runs"),
                                         .origin = parsed.at("origin")};
        if (parsed.contains("latency_ms"))
            measurement.latency_ms = parsed.at("latency_ms");
        else
            measurement.failure = parsed.at("failure");
        measurement.anchor_ms = parsed.value("anchor_ms", measurement.anchor_ms);
        if (!is_latency_or_none(measurement.latency_ms) ||
            !is_latency_or_none(measurement.anchor_ms))
            return std::nullopt;
        return measurement;
    } catch (const json::exception&) {
        return std::nullopt;
    }
}

void write_all(int descriptor, const std::string& text, const std::filesystem::path& file) {
    // One call, so that lines of several programs do not mix.
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written != static_cast<ssize_t>(text.size()) || ::fsync(descriptor) != 0)
        throw core::InternalError(
            fmt::format("{} cannot be written: {}", file.string(),
                        written < 0 || errno != 0 ? std::strerror(errno) : "the disk is full"));
}

/// Whether the last line lacks its end, as a program was killed that wrote it.
bool ends_in_line(int descriptor) {
    char last = '\n';
    const off_t size = ::lseek(descriptor, 0, SEEK_END);
    return size > 0 && ::pread(descriptor, &last, 1, size - 1) == 1 && last != '\n';
}

} // namespace

std::string candidate_name(std::string_view graph, const network::Genome& genome,
                           std::int64_t batch, std::string_view how) {
    std::string text = fmt::format("{}\n{}\n{}", graph, genome, batch);
    if (!how.empty()) text += fmt::format("\n{}", how);
    constexpr std::size_t digits = 12;
    return "c-" + core::sha256_hex(std::string_view(text)).substr(0, digits);
}

bool CandidateMeasurement::operator==(const CandidateMeasurement& other) const {
    return candidate == other.candidate && device == other.device &&
           is_same(latency_ms, other.latency_ms) && is_same(anchor_ms, other.anchor_ms) &&
           runs == other.runs && origin == other.origin && failure == other.failure;
}

MeasurementLog::MeasurementLog(std::filesystem::path file) : file_(std::move(file)) {
    std::error_code ignored;
    if (std::filesystem::exists(file_, ignored)) read();
}

void MeasurementLog::read() {
    std::ifstream input(file_);
    if (!input) throw core::DataError(file_.string() + ": cannot be opened for reading");
    std::string line;
    while (std::getline(input, line)) {
        if (line.empty()) continue;
        if (auto measurement = measurement_in(line))
            measurements_[{measurement->candidate, measurement->device}].push_back(*measurement);
        else
            ++unreadable_;
    }
}

bool MeasurementLog::append(const CandidateMeasurement& measurement) {
    const std::lock_guard lock(mutex_);
    auto& known = measurements_[{measurement.candidate, measurement.device}];
    if (std::find(known.begin(), known.end(), measurement) != known.end()) return false;
    const core::Descriptor file(
        ::open(file_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0666));
    if (file.number() < 0)
        throw core::InternalError(fmt::format("{} cannot be opened for writing: {}", file_.string(),
                                              std::strerror(errno)));
    write_all(file.number(), (ends_in_line(file.number()) ? "\n" : "") + line_of(measurement),
              file_);
    known.push_back(measurement);
    return true;
}

std::optional<double> MeasurementLog::latency_ms(const std::string& candidate,
                                                 const std::string& device) const {
    return latency_ms(candidate, device, std::numeric_limits<double>::quiet_NaN());
}

std::optional<double> MeasurementLog::latency_ms(const std::string& candidate,
                                                 const std::string& device,
                                                 double anchor_ms) const {
    const std::lock_guard lock(mutex_);
    const auto found = measurements_.find({candidate, device});
    if (found == measurements_.end() || found->second.empty()) return std::nullopt;
    std::vector<double> latencies;
    for (const CandidateMeasurement& measurement : found->second) {
        if (std::isnan(measurement.latency_ms)) continue;
        const double drift = anchor_ms / measurement.anchor_ms; // not a number without both
        latencies.push_back(measurement.latency_ms * (std::isnan(drift) ? 1.0 : drift));
    }
    return latencies.empty() ? std::numeric_limits<double>::quiet_NaN()
                             : core::median(std::move(latencies));
}

std::vector<double> MeasurementLog::anchors_ms(const std::string& candidate,
                                               const std::string& device) const {
    const std::lock_guard lock(mutex_);
    std::vector<double> anchors;
    if (const auto found = measurements_.find({candidate, device}); found != measurements_.end())
        for (const CandidateMeasurement& measurement : found->second)
            if (!std::isnan(measurement.anchor_ms)) anchors.push_back(measurement.anchor_ms);
    return anchors;
}

std::size_t MeasurementLog::size() const {
    const std::lock_guard lock(mutex_);
    std::size_t sum = 0;
    for (const auto& [pair, measurements] : measurements_)
        sum += measurements.size();
    return sum;
}

std::vector<std::string> MeasurementLog::contradictions() const {
    constexpr std::size_t told = 3;
    constexpr double factor = 2.0;
    const std::lock_guard lock(mutex_);
    std::vector<std::string> sentences;
    for (const auto& [pair, measurements] : measurements_) {
        const CandidateMeasurement* low = nullptr;
        const CandidateMeasurement* high = nullptr;
        for (const CandidateMeasurement& its : measurements) {
            if (std::isnan(its.latency_ms)) continue;
            if (low == nullptr || its.latency_ms < low->latency_ms) low = &its;
            if (high == nullptr || its.latency_ms > high->latency_ms) high = &its;
        }
        if (low == nullptr || high->latency_ms < factor * low->latency_ms) continue;
        if (sentences.size() == told) break;
        sentences.push_back(fmt::format(
            "{} took {} ms ({}) and {} ms ({}) on device '{}'; the median counts", pair.first,
            core::significant(low->latency_ms), low->origin, core::significant(high->latency_ms),
            high->origin, core::printable(pair.second)));
    }
    return sentences;
}

} // namespace hdap::fleet
