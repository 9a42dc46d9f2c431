#include "fleet/telemetry/samples.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

namespace hdap::fleet {
namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t names_told = 5;
constexpr double most_counted = 1e15; // inferences of a counter

/// Where a label's texts differ within a device. No name has control characters.
const std::string several = "\n";

/// What `all` knows of that name of a device; new where it is the first.
template <class Known>
auto& value_of(std::vector<Known>& all, const std::string& name, std::uint32_t device) {
    auto found = std::find_if(all.begin(), all.end(),
                              [&](const Known& known) { return known.name == name; });
    if (found == all.end()) {
        found = all.emplace(all.end());
        found->name = name;
    }
    if (found->of_device.size() <= device) found->of_device.resize(device + std::size_t{1});
    return *found;
}

/// Numbers of names that are used, ascending, and the place of each among them in `place`.
std::vector<std::uint32_t> used_numbers(const std::vector<bool>& used,
                                        std::vector<std::size_t>& place) {
    std::vector<std::uint32_t> numbers;
    place.assign(used.size(), 0);
    for (std::size_t i = 0; i < used.size(); ++i) {
        if (!used[i]) continue;
        place[i] = numbers.size();
        numbers.push_back(static_cast<std::uint32_t>(i));
    }
    return numbers;
}

/// "'a', 'b', …"
std::string examples(const std::vector<std::string>& names) {
    return core::join(std::span(names).first(std::min(names.size(), names_told))) +
           (names.size() > names_told ? ", …" : "");
}

void check_density(std::size_t devices, std::size_t benchmarks, std::size_t measured) {
    constexpr std::size_t small = 1'000'000;
    constexpr std::size_t sparse = 200;
    if (devices < small / benchmarks || devices / sparse < measured / benchmarks + 1) return;
    throw core::DataError(
        fmt::format("{} and {}, but only {} of both: are the right names taken for the benchmarks?",
                    core::counted(devices, "device"), core::counted(benchmarks, "benchmark"),
                    core::counted(measured, "pair")));
}

} // namespace

void LatencySummary::set_quantile(double q, double latency_ms) {
    const auto* const found = std::find(kept_quantiles.begin(), kept_quantiles.end(), q);
    if (found != kept_quantiles.end())
        spread.quantile_ms[static_cast<std::size_t>(found - kept_quantiles.begin())] =
            static_cast<float>(latency_ms);
    if (q == 0.5) median_ms = latency_ms;
}

double LatencySummary::latency_ms() const {
    return median_ms.value_or(mean_ms.value_or(unknown));
}

Samples::Cell& Samples::cell(std::uint32_t device, std::uint32_t benchmark) {
    // Rows of one cell mostly follow each other.
    if (last_cell_ < cells_.size() && cells_[last_cell_].device == device &&
        cells_[last_cell_].benchmark == benchmark)
        return cells_[last_cell_];
    const std::uint64_t key = (std::uint64_t{device} << 32U) | benchmark;
    const auto [entry, is_new] = place_of_cell_.try_emplace(key, cells_.size());
    last_cell_ = entry->second;
    if (is_new) {
        cells_.emplace_back();
        cells_.back().device = device;
        cells_.back().benchmark = benchmark;
    }
    return cells_[last_cell_];
}

bool Samples::add_run(std::uint32_t device, std::uint32_t benchmark,
                      std::optional<std::int64_t> run, double latency_ms) {
    Cell& its = cell(device, benchmark);
    if (run && !its.numbers.insert(*run)) return false;
    its.latencies.add(latency_ms);
    its.from_runs = true;
    ++its.runs;
    ++runs_;
    return true;
}

void Samples::add_log(std::uint32_t device, std::uint32_t benchmark, const LatencyAccumulator& log,
                      const std::string& place) {
    Cell& its = cell(device, benchmark);
    compare(its, log.quantile_ms(0.5), place);
    its.latencies.add(log);
    its.from_runs = true;
    its.runs += log.runs();
    runs_ += log.runs();
}

void Samples::add_summary(std::uint32_t device, std::uint32_t benchmark,
                          const LatencySummary& summary, const std::string& place) {
    Cell& its = cell(device, benchmark);
    compare(its, summary.latency_ms(), place);
    its.latencies.add(summary.latency_ms());
    its.told = its.runs == 0 ? std::optional(summary.spread) : std::nullopt;
    its.runs += summary.runs;
    runs_ += summary.runs;
}

void Samples::settle() {
    for (const auto& [pair, series] : counters_) {
        CounterTotals all;
        for (const auto& [name, counter] : series) {
            const CounterTotals grown = counter.grown();
            all.ms += grown.ms;
            all.count += grown.count;
            restarts_ += counter.restarts();
        }
        const auto [device, benchmark] = pair;
        const double mean_ms = all.ms / all.count;
        if (mean_ms >= smallest_latency_ms && mean_ms <= largest_latency_ms)
            add_summary(device, benchmark,
                        {.runs = std::llround(std::clamp(all.count, 1.0, most_counted)),
                         .mean_ms = mean_ms},
                        "counters");
        else
            idle_.push_back(fmt::format("{} on {}", shown(devices_.names()[device]),
                                        shown(benchmarks_.names()[benchmark])));
    }
    counters_.clear();
}

/// Remembers when a log says twice as much as the first one of its cell, or half.
void Samples::compare(Cell& its, double latency_ms, const std::string& place) {
    constexpr double contradiction = 2.0;
    if (its.first_place.empty()) {
        its.first_place = place;
        its.first_ms = latency_ms;
        return;
    }
    const double ratio = latency_ms / its.first_ms;
    if (ratio < contradiction && ratio > 1.0 / contradiction) return;
    constexpr std::int64_t told = 3;
    if (contradicting_++ >= told) return;
    contradictions_.push_back(
        fmt::format("{} on {}: {} ms in {}, {} ms in {}", shown(devices_.names()[its.device]),
                    shown(benchmarks_.names()[its.benchmark]), core::significant(its.first_ms),
                    its.first_place, core::significant(latency_ms), place));
}

void Samples::add_attribute(std::uint32_t device, const std::string& name, const std::string& unit,
                            double value) {
    Attribute& attribute = value_of(attributes_, name, device);
    attribute.unit = unit;
    attribute.of_device[device].sum += value;
    ++attribute.of_device[device].count;
}

void Samples::add_label(std::uint32_t device, const std::string& name, const std::string& value) {
    std::string& text = value_of(labels_, name, device).of_device[device];
    text = text.empty() || text == value ? value : several;
}

bool Samples::is_attribute(const std::string& name) const {
    return std::any_of(attributes_.begin(), attributes_.end(),
                       [&](const Attribute& attribute) { return attribute.name == name; });
}

/// Whether the later half of the runs has the latencies of the earlier one: a file that was
/// appended to itself with other run numbers. Of a timer with few steps that says nothing.
bool Samples::halves_are_copies() const {
    constexpr std::size_t enough = 20;
    std::set<double> values;
    std::size_t measured = 0;
    for (const Cell& its : cells_) {
        const auto runs = its.latencies.exact();
        const std::size_t half = runs.size() / 2;
        if (half == 0 || runs.size() % 2 != 0) return false;
        for (std::size_t i = 0; i < half; ++i, ++measured) {
            if (runs[i] != runs[half + i]) return false;
            values.insert(runs[i]);
        }
    }
    return measured >= enough && 4 * values.size() >= measured;
}

std::vector<std::string> Samples::doubts() const {
    std::vector<std::string> doubts;
    if (halves_are_copies())
        doubts.emplace_back("the later half of all runs has the latencies of the earlier half, to "
                            "the last digit; was the file appended to itself?");
    if (contradicting_ > 0)
        doubts.push_back(fmt::format(
            "{} each other by a factor of two or more ({}{}): were they "
            "measured under the same conditions?",
            core::counted(contradicting_, "measurement contradicts", "measurements contradict"),
            core::join(contradictions_, "; "),
            contradicting_ > std::ssize(contradictions_) ? "; …" : ""));
    std::vector<std::string> lost;
    for (const std::string& device : of_rejected_.names())
        if (!devices_.contains(device)) lost.push_back(shown(device));
    if (!lost.empty())
        doubts.push_back(fmt::format("{} no usable row ({})",
                                     core::counted(lost.size(), "device has", "devices have"),
                                     examples(lost)));
    doubt_counters(doubts);
    doubt_labels(doubts);
    return doubts;
}

void Samples::doubt_counters(std::vector<std::string>& doubts) const {
    if (restarts_ > 0)
        doubts.push_back(fmt::format("counters went back {}, which is taken for a restart of the "
                                     "server; if files of scrapes "
                                     "are not in the order of time, rename them so that they are",
                                     core::counted(restarts_, "time")));
    if (!idle_.empty())
        doubts.push_back(fmt::format(
            "{} no inference between the first scrape and the last ({})",
            core::counted(idle_.size(), "pair of counters tells", "pairs of counters tell"),
            examples(idle_)));
}

void Samples::doubt_labels(std::vector<std::string>& doubts) const {
    std::vector<std::string> varied;
    std::vector<std::string> numbers;
    for (const Label& label : labels_) {
        const auto& texts = label.of_device;
        if (is_attribute(label.name))
            numbers.push_back(shown(label.name));
        else if (std::find(texts.begin(), texts.end(), several) != texts.end())
            varied.push_back(shown(label.name));
    }
    if (!varied.empty())
        doubts.push_back(
            fmt::format("{} differs within a device, where it was left out", core::join(varied)));
    if (!numbers.empty())
        doubts.push_back(fmt::format("{} is a number in some places and a text in others, where it "
                                     "was left out",
                                     core::join(numbers)));
}

LatencySpread Samples::spread_of(const Cell& its) {
    LatencySpread spread = its.told.value_or(LatencySpread{});
    spread.runs = its.runs;
    if (its.from_runs && its.latencies.runs() == its.runs)
        for (std::size_t q = 0; q < kept_quantiles.size(); ++q)
            spread.quantile_ms[q] =
                static_cast<float>(its.latencies.quantile_ms(kept_quantiles[q]));
    return spread;
}

Fleet Samples::fleet(const std::string& sku) const {
    std::vector<bool> has_device(devices_.names().size());
    std::vector<bool> has_benchmark(benchmarks_.names().size());
    for (const Cell& its : cells_)
        has_device[its.device] = has_benchmark[its.benchmark] = true;
    std::vector<std::size_t> row;
    std::vector<std::size_t> column;
    const auto devices = used_numbers(has_device, row);
    const auto benchmarks = used_numbers(has_benchmark, column);
    Fleet fleet;
    fleet.sku = sku;
    for (const std::uint32_t device : devices)
        fleet.device_ids.push_back(devices_.names()[device]);
    for (const std::uint32_t benchmark : benchmarks)
        fleet.benchmark_names.push_back(benchmarks_.names()[benchmark]);
    add_latencies(fleet, row, column);
    add_attributes(fleet, devices);
    add_labels(fleet, devices);
    return fleet;
}

/// Of every cell, at the place of its device and benchmark.
void Samples::add_latencies(Fleet& fleet, const std::vector<std::size_t>& row,
                            const std::vector<std::size_t>& column) const {
    if (cells_.empty()) return;
    check_density(fleet.devices(), fleet.benchmarks(), cells_.size());
    fleet.latency_ms.assign(fleet.devices() * fleet.benchmarks(), unknown);
    fleet.spreads.resize(fleet.latency_ms.size());
    for (const Cell& its : cells_) {
        const std::size_t place = row[its.device] * fleet.benchmarks() + column[its.benchmark];
        fleet.latency_ms[place] = its.latencies.quantile_ms(0.5);
        fleet.spreads[place] = spread_of(its);
    }
}

void Samples::add_attributes(Fleet& fleet, std::span<const std::uint32_t> devices) const {
    for (const Attribute& attribute : attributes_) {
        std::vector<double> values;
        for (const std::uint32_t device : devices) {
            const Mean mean =
                device < attribute.of_device.size() ? attribute.of_device[device] : Mean{};
            values.push_back(mean.count > 0 ? mean.sum / static_cast<double>(mean.count) : unknown);
        }
        fleet.attributes.push_back({attribute.name, attribute.unit, std::move(values)});
    }
}

void Samples::add_labels(Fleet& fleet, std::span<const std::uint32_t> devices) const {
    for (const Label& label : labels_) {
        if (is_attribute(label.name)) continue;
        std::vector<std::string> values;
        for (const std::uint32_t device : devices) {
            const bool is_one =
                device < label.of_device.size() && label.of_device[device] != several;
            values.push_back(is_one ? label.of_device[device] : "");
        }
        if (std::any_of(values.begin(), values.end(),
                        [](const std::string& value) { return !value.empty(); }))
            fleet.labels.push_back({label.name, std::move(values)});
    }
}

} // namespace hdap::fleet
