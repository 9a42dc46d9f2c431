#include "hdap/fleet/ticks.hpp"

#include "hdap/core/random.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/core/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>

namespace hdap::fleet {
namespace {

/// Fewer devices may share a few values by chance.
constexpr std::size_t fewest_devices = 10;

/// Devices whose latencies are multiples of the step: a few may have been measured otherwise.
constexpr double share_on_ticks = 0.95;

/// Values nearer than this are the same one, written in single precision or added up differently.
constexpr double same_value = 1e-6;

/// How far a value may be from a multiple of the step, in steps: 3.333 is ten steps of 1/3.
constexpr double tolerance = 0.02;

/// A distinct latency of a benchmark.
struct Level {
    double value = 0.0;
    std::size_t devices = 0;
};

bool is_same(double smaller, double larger) {
    return larger - smaller <= same_value * larger;
}

std::vector<Level> levels_of(std::vector<double> column) {
    std::sort(column.begin(), column.end());
    std::vector<Level> levels;
    for (const double value : column) {
        if (levels.empty() || !is_same(levels.back().value, value)) levels.push_back({value, 0});
        ++levels.back().devices;
    }
    return levels;
}

/// The most frequent values of a column that share_on_ticks of the devices have, ascending; empty
/// when they are too many for devices that share a step.
std::vector<double> shared_values(std::vector<double> column) {
    const std::size_t devices = column.size();
    std::vector<Level> levels = levels_of(std::move(column));
    std::stable_sort(levels.begin(), levels.end(),
                     [](const Level& a, const Level& b) { return a.devices > b.devices; });
    std::vector<double> values;
    std::size_t covered = 0;
    for (const Level& level : levels) {
        if (static_cast<double>(covered) >= share_on_ticks * static_cast<double>(devices)) break;
        values.push_back(level.value);
        covered += level.devices;
    }
    if (2 * values.size() > devices) return {};
    std::sort(values.begin(), values.end());
    return values;
}

bool is_multiple(double value, double step) {
    const double ticks = value / step;
    return std::abs(ticks - std::round(ticks)) <= tolerance && std::round(ticks) >= 1.0;
}

/// `step` made more exact by all `values`, ascending, or 0 when they are no multiples of it. The
/// distances from the first value come first, the near ones before the far ones: the error of a
/// step must not grow to half a step before it is corrected.
double fitted_step(std::span<const double> values, double step) {
    for (const double value : values.subspan(1)) {
        const double distance = value - values.front();
        if (!is_multiple(distance, step)) return 0.0;
        step = distance / std::round(distance / step);
    }
    step = values.back() / std::round(values.back() / step);
    const bool fits = std::all_of(values.begin(), values.end(),
                                  [&](double value) { return is_multiple(value, step); });
    return fits ? step : 0.0;
}

/// 1, 2, 2.5 or 5 times a power of ten.
bool is_round(double step) {
    const double digits = step / std::pow(10.0, std::floor(std::log10(step * (1.0 + same_value))));
    const double rounds[] = {1.0, 2.0, 2.5, 5.0};
    return std::any_of(std::begin(rounds), std::end(rounds),
                       [&](double round) { return std::abs(digits - round) < same_value * 10; });
}

/// Whether `values` are enough to tell a step from numbers that happen to be multiples of it: most
/// neighbours are one step apart. Any two numbers have a common step, so that of two must be round.
bool shows_step(std::span<const double> values, double step) {
    std::size_t near = 0;
    for (std::size_t i = 1; i < values.size(); ++i)
        if (values[i] - values[i - 1] < 1.5 * step) ++near;
    return 2 * near >= values.size() - 1 && (values.size() > 2 || is_round(step));
}

/// The greatest step that ascending `values` show, or 0.
double common_step(std::span<const double> values) {
    if (values.size() < 2) return 0.0;
    double gap = values.back() - values.front();
    for (std::size_t i = 1; i < values.size(); ++i)
        gap = std::min(gap, values[i] - values[i - 1]);
    constexpr int finest = 10; // the smallest gap may be several steps wide
    for (int part = 1; part <= finest; ++part) {
        const double step = fitted_step(values, gap / part);
        if (step > 0.0) return shows_step(values, step) ? step : 0.0;
    }
    return 0.0;
}

/// [benchmark] tick ÷ median.
std::vector<double> relative_ticks(const Fleet& fleet, const std::vector<double>& ticks) {
    std::vector<double> relative(ticks.size(), 0.0);
    for (std::size_t b = 0; b < ticks.size(); ++b)
        if (ticks[b] > 0.0) relative[b] = ticks[b] / core::median(measured_latencies(fleet, b));
    return relative;
}

/// The distinct values of several columns together, ascending.
std::vector<double> merged(std::vector<double> values) {
    std::vector<double> distinct;
    for (const Level& level : levels_of(std::move(values)))
        distinct.push_back(level.value);
    return distinct;
}

/// "0.1", or "0.05 to 0.1" of those that are not 0.
std::string range_text(const std::vector<double>& values, double factor) {
    double least = 0.0;
    double greatest = 0.0;
    for (const double value : values) {
        if (value > 0.0 && (least == 0.0 || value < least)) least = value;
        greatest = std::max(greatest, value);
    }
    const std::string low = fmt::format("{:.3g}", factor * least);
    const std::string high = fmt::format("{:.3g}", factor * greatest);
    return low == high ? low : low + " to " + high;
}

/// The step that each benchmark shows, those with few values together; 0 where none is seen.
std::vector<double> shown_ticks(const Fleet& fleet) {
    constexpr std::size_t enough_values = 4;
    std::vector<double> ticks(fleet.benchmarks(), 0.0);
    std::vector<double> together;
    std::vector<std::size_t> few_values;
    for (std::size_t b = 0; b < ticks.size(); ++b) {
        std::vector<double> column = measured_latencies(fleet, b);
        if (column.size() < fewest_devices) continue;
        const std::vector<double> values = shared_values(std::move(column));
        if (values.size() < 2) continue; // one value has any step
        if (values.size() >= enough_values) ticks[b] = common_step(values);
        if (ticks[b] > 0.0) continue;
        few_values.push_back(b);
        together.insert(together.end(), values.begin(), values.end());
    }
    const double tick = common_step(merged(std::move(together)));
    for (const std::size_t b : few_values)
        ticks[b] = tick;
    return ticks;
}

/// The smallest of the ticks when all others are multiples of it, as those of one timer are; or 0.
double timer_tick(const std::vector<double>& ticks) {
    double smallest = 0.0;
    for (const double tick : ticks)
        if (tick > 0.0 && (smallest == 0.0 || tick < smallest)) smallest = tick;
    const bool is_one = std::all_of(ticks.begin(), ticks.end(), [&](double tick) {
        return tick == 0.0 || is_multiple(tick, smallest);
    });
    return is_one ? smallest : 0.0;
}

double share_of_multiples(std::span<const double> values, double step) {
    const auto multiples = std::count_if(values.begin(), values.end(),
                                         [&](double value) { return is_multiple(value, step); });
    return static_cast<double>(multiples) / static_cast<double>(values.size());
}

/// How many steps of `tick`, the timer's or a k-th of it, devices are really apart. The mean of k
/// runs resolves a k-th of the timer's step where runs differ by a step; then a k-th of the
/// latencies are multiples of the timer's step. Where runs agree, all are, and the mean resolves
/// no more than one run. Midway between the two, the timer's step counts.
int steps_apart(const Fleet& fleet, double tick) {
    constexpr std::size_t fewest_values = 4; // devices of two groups may be two steps apart
    constexpr int most_runs = 10;
    const std::size_t measured = fleet.latency_ms.size() - missing_latencies(fleet);
    for (int k = most_runs; k > 1; --k) {
        const double step = k * tick;
        std::vector<double> multiples;
        for (const double value : fleet.latency_ms)
            if (is_multiple(value, step)) multiples.push_back(value);
        const double share = static_cast<double>(multiples.size()) / static_cast<double>(measured);
        if (share >= 0.5 * (1.0 + 1.0 / k) &&
            levels_of(std::move(multiples)).size() >= fewest_values)
            return k;
    }
    return 1;
}

} // namespace

std::vector<double> latency_ticks(const Fleet& fleet) {
    if (fleet.devices() < fewest_devices) return std::vector<double>(fleet.benchmarks(), 0.0);
    std::vector<double> ticks = shown_ticks(fleet);
    const double tick = timer_tick(ticks);
    if (tick == 0.0) return ticks;
    const double step = tick * steps_apart(fleet, tick);
    for (std::size_t b = 0; b < ticks.size(); ++b)
        if (share_of_multiples(measured_latencies(fleet, b), tick) >= share_on_ticks)
            ticks[b] = step;
    return ticks;
}

double tick_distance(const Fleet& fleet, const std::vector<double>& ticks, SignatureMetric metric) {
    double sum = 0.0;
    for (const double tick : relative_ticks(fleet, ticks))
        sum += tick * tick;
    if (metric == SignatureMetric::shape)
        sum *= 1.0 - 1.0 / static_cast<double>(fleet.benchmarks());
    return std::sqrt(0.5 * sum);
}

std::vector<double> spread_over_ticks(const Fleet& fleet, const std::vector<double>& ticks) {
    std::vector<double> latency = fleet.latency_ms;
#pragma omp parallel for
    for (std::size_t i = 0; i < fleet.devices(); ++i) {
        core::RandomStream random(0, core::StreamId::latency_ticks, static_cast<std::uint32_t>(i));
        for (std::size_t b = 0; b < ticks.size(); ++b) {
            const double place = random.uniform() - 0.5;
            double& value = latency[i * ticks.size() + b];
            // What is measured more finely may be too near to 0.
            if (2.0 * value > ticks[b]) value += place * ticks[b];
        }
    }
    return latency;
}

std::string ticks_text(const Fleet& fleet, const std::vector<double>& ticks) {
    const std::vector<double> relative = relative_ticks(fleet, ticks);
    if (std::all_of(relative.begin(), relative.end(),
                    [](double tick) { return tick < smallest_automatic_eps; }))
        return "";
    const auto ticked = static_cast<std::size_t>(
        std::count_if(ticks.begin(), ticks.end(), [](double tick) { return tick > 0.0; }));
    const std::string where =
        ticked == ticks.size()
            ? ""
            : fmt::format(" on {} of {}", ticked, core::counted(ticks.size(), "benchmark"));
    return fmt::format("latencies come in steps of {} ms{}, {} % of the median",
                       range_text(ticks, 1.0), where, range_text(relative, 100.0));
}

namespace {

/// Of a group, as a distance between signatures; 0 where groups have none.
double radius_of(const Clustering& clustering, std::size_t benchmarks) {
    const GroupingFacts& facts = clustering.facts;
    return facts.eps > 0.0 ? facts.eps : facts.radius * std::sqrt(static_cast<double>(benchmarks));
}

} // namespace

std::string tick_warning(const Fleet& fleet, const Clustering& clustering) {
    const std::vector<double> ticks = latency_ticks(fleet);
    const double distance = tick_distance(fleet, ticks, clustering.metric);
    const double radius = radius_of(clustering, fleet.benchmarks());
    if (radius == 0.0 || distance < smallest_automatic_eps || distance < 0.5 * radius) return "";
    return fmt::format("{}: devices of the same speed may look {:.2g} % apart, and the radius of a "
                       "group is {:.2g} %, so "
                       "that {}; a finer timer, or the mean of more runs, shows more",
                       ticks_text(fleet, ticks), 100.0 * distance, 100.0 * radius,
                       clustering.clusters() == 1 ? "groups may hide in the one cluster"
                                                  : "some clusters may be steps and no groups");
}

} // namespace hdap::fleet
