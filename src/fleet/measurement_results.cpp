#include "hdap/fleet/measurement_results.hpp"

#include "fleet/csv_reader.hpp"
#include "fleet/sources/measurement_plan.hpp"
#include "fleet/telemetry/path_pattern.hpp"
#include "hdap/core/command.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "hdap/fleet/measurement_log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <set>

namespace hdap::fleet {
namespace {

namespace fs = std::filesystem;

/// The candidate's name in a text: "c-" and twelve hexadecimal digits.
std::optional<std::string> candidate_in(const std::string& text) {
    constexpr std::size_t digits = 12;
    for (std::size_t at = text.find("c-"); at != std::string::npos; at = text.find("c-", at + 1)) {
        const std::string name = text.substr(at + 2, digits);
        if (name.size() == digits &&
            name.find_first_not_of("0123456789abcdef") == std::string::npos)
            return "c-" + name;
    }
    return std::nullopt;
}

/// What a plan asks for.
class Asked {
  public:
    explicit Asked(const std::vector<PlannedMeasurement>& plan) {
        for (const PlannedMeasurement& one : plan) {
            candidates_.insert(one.candidate);
            device_of_[one.device] = device_of_[as_file_name(one.device)] = one.device;
        }
    }

    /// The device that a path calls so.
    [[nodiscard]] std::optional<std::string> device(const std::string& name) const {
        const auto found = device_of_.find(name);
        return found == device_of_.end() ? std::nullopt : std::optional(found->second);
    }
    [[nodiscard]] bool has_candidate(const std::string& name) const {
        return candidates_.contains(name);
    }

  private:
    std::set<std::string> candidates_;
    std::map<std::string, std::string> device_of_;
};

/// Names that a plan does not have, counted.
struct Foreign {
    std::set<std::string> names;
    void tell(const char* singular, const char* plural, std::vector<std::string>& warnings) const {
        if (names.empty()) return;
        constexpr std::size_t most = 3;
        std::vector<std::string> told;
        for (const std::string& name : names)
            if (told.size() < most) told.push_back(shown(name));
        warnings.push_back(fmt::format("left out {} that {} not of this plan: {}{}",
                                       core::counted(names.size(), singular, plural),
                                       names.size() == 1 ? "is" : "are", core::join(told),
                                       names.size() > most ? ", …" : ""));
    }
};

/// Adds the latencies of `fleet`, whose benchmarks are candidates.
class ResultsOf {
  public:
    ResultsOf(const Asked& asked, MeasurementLog& log, ImportedResults& results)
        : asked_(asked), log_(log), results_(results) {}

    void add(const Fleet& fleet) {
        for (std::size_t i = 0; i < fleet.devices(); ++i)
            for (std::size_t b = 0; b < fleet.benchmarks(); ++b)
                add_cell(fleet, i, b);
    }

    void add_failure(const MatchedFile& file) {
        const auto device = asked_.device(file.device.value_or(""));
        const auto candidate = candidate_in(file.benchmark.value_or(""));
        if (!device || !candidate || !asked_.has_candidate(*candidate)) return;
        std::ifstream input(file.path);
        const std::string text{std::istreambuf_iterator<char>(input), {}};
        // A latency that came later says more.
        if (log_.latency_ms(*candidate, *device)) return;
        if (log_.append({.candidate = *candidate,
                         .device = *device,
                         .origin = file.path.filename().string(),
                         .failure = core::quotable(core::last_line(text))}))
            ++results_.failed;
    }

    void tell() {
        devices_.tell("device", "devices", results_.warnings);
        candidates_.tell("candidate", "candidates", results_.warnings);
    }

  private:
    void add_cell(const Fleet& fleet, std::size_t i, std::size_t b) {
        const std::size_t place = i * fleet.benchmarks() + b;
        if (std::isnan(fleet.latency_ms[place])) return;
        const auto device = asked_.device(fleet.device_ids[i]);
        const auto candidate = candidate_in(fleet.benchmark_names[b]);
        if (!device) devices_.names.insert(fleet.device_ids[i]);
        if (!candidate || !asked_.has_candidate(*candidate))
            candidates_.names.insert(fleet.benchmark_names[b]);
        else if (device)
            ++(log_.append({.candidate = *candidate,
                            .device = *device,
                            .latency_ms = fleet.latency_ms[place],
                            .runs = fleet.spreads.empty() ? 1 : fleet.spreads[place].runs,
                            .origin = fleet.origins.empty() ? "" : fleet.origins.front().tool})
                   ? results_.added
                   : results_.repeated);
    }

    const Asked& asked_;
    MeasurementLog& log_;
    ImportedResults& results_;
    Foreign devices_;
    Foreign candidates_;
};

/// The files that a plan's scripts wrote: those of failures, and the others.
std::vector<MatchedFile> files_in(const fs::path& folder, bool failures) {
    std::vector<MatchedFile> files;
    try {
        for (MatchedFile& file :
             matched_files((folder / "results/{device}/{benchmark}.*").string()))
            if ((file.path.extension() == ".failed") == failures) files.push_back(std::move(file));
    } catch (const core::DataError&) {
        // No device has brought any.
    }
    return files;
}

void count_outstanding(const std::vector<PlannedMeasurement>& plan, const MeasurementLog& log,
                       ImportedResults& results) {
    std::map<std::string, std::int64_t> lacking;
    for (const PlannedMeasurement& one : plan) {
        ++results.asked;
        if (log.latency_ms(one.candidate, one.device))
            ++results.answered;
        else
            ++lacking[one.device];
    }
    for (const auto& [device, count] : lacking)
        results.outstanding.push_back(
            fmt::format("{}: {}", core::printable(device), core::grouped(count)));
}

} // namespace

ImportedResults import_results(const fs::path& folder, ImportRequest request) {
    const std::vector<PlannedMeasurement> plan = read_manifest(folder);
    const Asked asked(plan);
    MeasurementLog log(folder / measurements_file);
    ImportedResults results;
    ResultsOf adding(asked, log, results);
    const bool of_scripts = request.source.empty();
    const std::vector<MatchedFile> failures =
        of_scripts ? files_in(folder, true) : std::vector<MatchedFile>();
    const std::vector<MatchedFile> files =
        of_scripts ? files_in(folder, false) : matched_files(request.source);
    request.sku = "any";
    request.any_unit = true; // candidates differ by orders of magnitude
    for (const MatchedFile& file : files) {
        ImportRequest one = request;
        one.source = file.path.string();
        if (file.device) one.device = file.device;
        if (file.benchmark) one.benchmark = file.benchmark;
        try {
            ImportReport report;
            adding.add(import_telemetry(one, &report));
            results.warnings.insert(results.warnings.end(), report.doubts.begin(),
                                    report.doubts.end());
        } catch (const core::DataError& error) {
            results.warnings.push_back(fmt::format("left out: {}", error.what()));
        }
    }
    for (const MatchedFile& file : failures)
        adding.add_failure(file);
    adding.tell();
    count_outstanding(plan, log, results);
    if (!files.empty() && results.added + results.repeated + results.failed == 0)
        throw core::DataError(fmt::format("nothing of {} can be used; {}",
                                          core::counted(files.size(), "file"),
                                          core::join(results.warnings, "; ")));
    return results;
}

} // namespace hdap::fleet
