#include "hdap/fleet/plausibility.hpp"

#include "fleet/csv_reader.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/core/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>
#include <unordered_map>

namespace hdap::fleet {
namespace {

/// Units of one SKU differ by less, throttled ones among them.
const double device_gap = std::log(5.0);
/// Benchmark networks differ more: the smallest may be pruned to a few per cent.
const double benchmark_gap = std::log(100.0);
const double cell_gap = std::log(100.0);

constexpr double shortest_plausible_ms = 0.02;
constexpr double longest_plausible_ms = 60'000.0;

constexpr std::size_t names_told = 3;
constexpr std::size_t groups_told = 4;

/// "'a', 'b', 'c', …"
std::string examples(const std::vector<std::string>& names, std::span<const std::size_t> which) {
    std::vector<std::string> told;
    for (const std::size_t i : which.first(std::min(which.size(), names_told)))
        told.push_back(shown(names[i]));
    return core::join(told) + (which.size() > names_told ? ", …" : "");
}

/// Two significant digits: "1000", "1/850".
std::string factor_text(double log_factor) {
    const double factor = std::exp(std::abs(log_factor));
    const double unit = std::pow(10.0, std::floor(std::log10(factor)) - 1.0);
    const std::string text = core::significant(unit * std::round(factor / unit), 2);
    return log_factor > 0 ? text : "1/" + text;
}

/// What numbers are in that should be milliseconds, when they are off by a factor within
/// `slack` (in powers of ten) of a power of a thousand; nothing for other factors.
std::string unit_of(double log_factor, double slack) {
    const double thousands = log_factor / std::log(1000.0);
    const double nearest = std::round(thousands);
    if (nearest == 0.0 || std::abs(thousands - nearest) * 3.0 > slack) return "";
    if (nearest == 1.0) return "microseconds";
    if (nearest == 2.0) return "nanoseconds";
    return nearest == -1.0 ? "seconds" : "another unit";
}

/// Which of the values, in log, lie together: neighbours nearer than `gap`. The largest group comes
/// first, the others in the order of their values; members ascend by index.
std::vector<std::vector<std::size_t>> groups_of(std::span<const double> values, double gap) {
    std::vector<std::size_t> order(values.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return values[a] != values[b] ? values[a] < values[b] : a < b;
    });
    std::vector<std::vector<std::size_t>> groups;
    for (std::size_t i = 0; i < order.size(); ++i) {
        if (i == 0 || values[order[i]] - values[order[i - 1]] > gap) groups.emplace_back();
        groups.back().push_back(order[i]);
    }
    for (auto& group : groups)
        std::sort(group.begin(), group.end());
    const auto largest =
        std::max_element(groups.begin(), groups.end(),
                         [](const auto& a, const auto& b) { return a.size() < b.size(); });
    std::rotate(groups.begin(), largest, largest + 1);
    return groups;
}

double median_of(std::span<const double> values, std::span<const std::size_t> which) {
    std::vector<double> chosen;
    for (const std::size_t i : which)
        chosen.push_back(values[i]);
    return core::median(std::move(chosen));
}

struct Doubt {
    std::string sentence;
    bool is_unit; ///< it names the unit that latencies seem to be in
};

/// Latencies of a fleet in log, and what is usual of them.
class LogLatencies {
  public:
    explicit LogLatencies(const Fleet& fleet) : fleet_(fleet), log_(fleet.latency_ms) {
        for (double& value : log_)
            value = std::log(value);
        std::vector<double> column;
        for (std::size_t b = 0; b < fleet.benchmarks(); ++b) {
            column.clear();
            for (std::size_t i = b; i < log_.size(); i += fleet.benchmarks())
                if (!std::isnan(log_[i])) column.push_back(log_[i]);
            benchmark_.push_back(core::median(column));
        }
        std::vector<double> row;
        for (std::size_t first = 0; first < log_.size(); first += fleet.benchmarks()) {
            row.clear();
            for (std::size_t b = 0; b < fleet.benchmarks(); ++b)
                if (!std::isnan(log_[first + b])) row.push_back(log_[first + b] - benchmark_[b]);
            device_.push_back(core::median(row));
        }
    }

    [[nodiscard]] std::vector<Doubt> doubts_of_groups() const {
        std::vector<Doubt> doubts;
        doubt_devices(doubts);
        doubt_benchmarks(doubts);
        return doubts;
    }
    void doubt_cells(std::vector<std::string>& doubts) const;
    void doubt_magnitude(std::vector<std::string>& doubts) const;

  private:
    void doubt_devices(std::vector<Doubt>& doubts) const;
    void doubt_benchmarks(std::vector<Doubt>& doubts) const;

    const Fleet& fleet_;
    std::vector<double> log_;       ///< [device][benchmark]
    std::vector<double> benchmark_; ///< [benchmark] median over the devices
    std::vector<double> device_;    ///< [device] median over the benchmarks, relative to theirs
};

void LogLatencies::doubt_devices(std::vector<Doubt>& doubts) const {
    const auto groups = groups_of(device_, device_gap);
    const double usual = median_of(device_, groups.front());
    for (std::size_t g = 1; g < std::min(groups.size(), groups_told + 1); ++g) {
        const double factor = median_of(device_, groups[g]) - usual;
        constexpr double slack = 0.4; // so much do devices of a SKU differ
        const std::string unit = unit_of(factor, slack);
        doubts.push_back(
            {fmt::format("{} of {} ({}) take {} times the latency of the rest: {}",
                         core::grouped(groups[g].size()), core::counted(fleet_.devices(), "device"),
                         examples(fleet_.device_ids, groups[g]), factor_text(factor),
                         unit.empty()
                             ? "are they of another kind, or in another unit?"
                             : fmt::format("are they in {} instead of milliseconds?", unit)),
             !unit.empty()});
    }
    if (groups.size() > groups_told + 1)
        doubts.push_back({fmt::format("{} more groups of devices are as far from the rest",
                                      groups.size() - groups_told - 1),
                          false});
}

void LogLatencies::doubt_benchmarks(std::vector<Doubt>& doubts) const {
    const auto groups = groups_of(benchmark_, benchmark_gap);
    const double usual = median_of(benchmark_, groups.front());
    for (std::size_t g = 1; g < groups.size(); ++g) {
        const double level = median_of(benchmark_, groups[g]);
        constexpr double slack = 1.0; // so much do benchmarks differ
        const std::string unit = unit_of(level - usual, slack);
        doubts.push_back(
            {fmt::format("{} ({}) takes {} ms, {} times the latency of the others: {}",
                         groups[g].size() == 1 ? "a benchmark"
                                               : core::counted(groups[g].size(), "benchmark"),
                         examples(fleet_.benchmark_names, groups[g]),
                         core::significant(std::exp(level), 3), factor_text(level - usual),
                         unit.empty() ? "is it in another unit?"
                                      : fmt::format("is it in {} instead of milliseconds?", unit)),
             !unit.empty()});
    }
}

void LogLatencies::doubt_cells(std::vector<std::string>& doubts) const {
    std::size_t cells = 0;
    std::string first;
    for (std::size_t i = 0; i < log_.size(); ++i) {
        const std::size_t device = i / benchmark_.size();
        const std::size_t benchmark = i % benchmark_.size();
        const double odd = log_[i] - benchmark_[benchmark] - device_[device];
        if (!(std::abs(odd) > cell_gap) || cells++ > 0) continue; // nothing is odd about NaN
        first = fmt::format("{} on {} takes {} times", shown(fleet_.device_ids[device]),
                            shown(fleet_.benchmark_names[benchmark]), factor_text(odd));
    }
    if (cells > 0)
        doubts.push_back(fmt::format("{} far from what device and benchmark take "
                                     "otherwise ({} that): another unit?",
                                     core::counted(cells, "latency is", "latencies are"), first));
}

void LogLatencies::doubt_magnitude(std::vector<std::string>& doubts) const {
    const double median = std::exp(core::median(benchmark_));
    if (median >= shortest_plausible_ms && median <= longest_plausible_ms) return;
    doubts.push_back(fmt::format(
        "a benchmark takes {} ms in the median: are latencies in {} instead of milliseconds?",
        core::significant(median, 3),
        median < shortest_plausible_ms ? "seconds" : "microseconds or nanoseconds"));
}

void doubt_constant_benchmarks(const Fleet& fleet, std::vector<std::string>& doubts) {
    constexpr std::size_t fewest_devices = 10;
    std::vector<std::size_t> constant;
    for (std::size_t b = 0; b < fleet.benchmarks(); ++b) {
        const std::vector<double> measured = measured_latencies(fleet, b);
        if (measured.size() >= fewest_devices &&
            std::all_of(measured.begin(), measured.end(),
                        [&](double latency) { return latency == measured.front(); }))
            constant.push_back(b);
    }
    if (!constant.empty())
        doubts.push_back(fmt::format(
            "all {} have the same latency on {} of {} ({}): is the timer too coarse, or was one "
            "device copied?",
            missing_latencies(fleet) > 0 ? "devices that were measured"
                                         : core::counted(fleet.devices(), "device"),
            constant.size(), core::counted(fleet.benchmarks(), "benchmark"),
            examples(fleet.benchmark_names, constant)));
}

void doubt_rare_benchmarks(const Fleet& fleet, std::vector<std::string>& doubts) {
    std::vector<std::size_t> rare;
    std::size_t fewest = fleet.devices();
    for (std::size_t b = 0; b < fleet.benchmarks(); ++b) {
        const std::size_t measured = measured_latencies(fleet, b).size();
        if (2 * measured < fleet.devices()) rare.push_back(b);
        fewest = std::min(fewest, measured);
    }
    if (!rare.empty())
        doubts.push_back(fmt::format(
            "{} of {} ({}) {} measured on fewer than half of the devices, down to {} of {}: do "
            "devices name {} alike? What the others take is estimated",
            rare.size(), core::counted(fleet.benchmarks(), "benchmark"),
            examples(fleet.benchmark_names, rare), rare.size() == 1 ? "was" : "were",
            core::grouped(fewest), core::grouped(fleet.devices()),
            rare.size() == 1 ? "it" : "them"));
}

/// A name without blanks, in lower case.
std::string folded(std::string_view name) {
    std::string text;
    while (!name.empty()) {
        const std::string_view rest = trimmed(name);
        if (rest.empty()) break;
        // Blanks behind a letter lead the text that is left.
        const char c = rest.front();
        text += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        name = rest.substr(1);
    }
    return text;
}

void doubt_alike(const std::vector<std::string>& names, const std::string& what,
                 std::vector<std::string>& doubts) {
    std::unordered_map<std::string, std::size_t> first_of;
    std::size_t alike = 0;
    std::string example;
    for (std::size_t i = 0; i < names.size(); ++i) {
        const auto [first, is_new] = first_of.try_emplace(folded(names[i]), i);
        if (!is_new && alike++ == 0)
            example = fmt::format("{} and {}", shown(names[first->second]), shown(names[i]));
    }
    if (alike > 0)
        doubts.push_back(fmt::format("{} from another only by blanks or by the case of "
                                     "letters ({}): are they the same?",
                                     core::counted(alike, what + " differs", what + "s differ"),
                                     example));
}

/// Whether a number lost its digits behind the fifteenth, all that spreadsheets keep.
bool ends_in_lost_digits(const std::string& name) {
    constexpr std::size_t kept = 15;
    return name.size() > kept && name.find_first_not_of("0123456789") == std::string::npos &&
           name.find_first_not_of('0', kept) == std::string::npos;
}

void doubt_rounded_names(const Fleet& fleet, std::vector<std::string>& doubts) {
    std::vector<std::size_t> rounded;
    std::vector<std::size_t> cut;
    for (std::size_t i = 0; i < fleet.devices(); ++i) {
        if (is_rounded_number(fleet.device_ids[i])) rounded.push_back(i);
        if (ends_in_lost_digits(fleet.device_ids[i])) cut.push_back(i);
    }
    // A few long numbers may end in zeros, but not all.
    if (rounded.empty() && cut.size() > 2 && cut.size() == fleet.devices()) rounded = cut;
    if (!rounded.empty())
        doubts.push_back(fmt::format(
            "{} of {} ({}) look like numbers that a spreadsheet rounded, so that several devices "
            "may have become one: export them as text",
            core::grouped(rounded.size()), core::counted(fleet.devices(), "device id"),
            examples(fleet.device_ids, rounded)));
}

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const std::size_t bytes = core::character_bytes(text);
        if (bytes == 0) return false;
        text.remove_prefix(bytes);
    }
    return true;
}

void doubt_encoding(const std::vector<std::string>& names, const std::string& what,
                    std::vector<std::string>& doubts) {
    std::vector<std::size_t> other;
    for (std::size_t i = 0; i < names.size(); ++i)
        if (!is_utf8(names[i])) other.push_back(i);
    if (!other.empty())
        doubts.push_back(fmt::format(
            "{} of {} ({}) {} not in UTF-8; convert the file, with iconv -f CP1252 -t UTF-8 for "
            "one of Windows",
            core::grouped(other.size()), core::counted(names.size(), what), examples(names, other),
            other.size() == 1 ? "is" : "are"));
}

} // namespace

bool is_rounded_number(const std::string& name) {
    const std::size_t e = name.find_first_of("eE");
    if (e == std::string::npos || e == 0 || name[0] < '1' || name[0] > '9') return false;
    if (e == 2 || (e > 2 && name[1] != '.' && name[1] != ',')) return false;
    if (e > 2 && name.find_first_not_of("0123456789", 2) != e) return false;
    const std::size_t first = e + 1 + (name.compare(e + 1, 1, "+") == 0 ? 1 : 0);
    std::size_t exponent = 0;
    const char* const end = name.data() + name.size();
    const auto [stop, error] = std::from_chars(name.data() + first, end, exponent);
    constexpr std::size_t fewest_digits = 9;
    constexpr std::size_t most_digits = 308; // more than a spreadsheet's numbers have: 4e123456
    const std::size_t decimals = e > 2 ? e - 2 : 0;
    return error == std::errc{} && stop == end && exponent >= fewest_digits &&
           exponent <= most_digits && exponent > decimals;
}

std::vector<std::string> doubts_about(const Fleet& fleet) {
    std::vector<std::string> doubts;
    const LogLatencies latencies(fleet);
    for (const Doubt& doubt : latencies.doubts_of_groups())
        doubts.push_back(doubt.sentence);
    latencies.doubt_cells(doubts);
    latencies.doubt_magnitude(doubts);
    doubt_constant_benchmarks(fleet, doubts);
    doubt_rare_benchmarks(fleet, doubts);
    doubt_alike(fleet.device_ids, "device id", doubts);
    doubt_alike(fleet.benchmark_names, "benchmark name", doubts);
    doubt_rounded_names(fleet, doubts);
    doubt_encoding(fleet.device_ids, "device id", doubts);
    doubt_encoding(fleet.benchmark_names, "benchmark name", doubts);
    return doubts;
}

std::vector<std::string> other_units(const Fleet& fleet) {
    std::vector<std::string> sentences;
    for (const Doubt& doubt : LogLatencies(fleet).doubts_of_groups())
        if (doubt.is_unit) sentences.push_back(doubt.sentence);
    return sentences;
}

} // namespace hdap::fleet
