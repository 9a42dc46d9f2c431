#include "grouping_judge.hpp"

#include "blending.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/fleet/ticks.hpp"
#include "membership.hpp"
#include "representatives.hpp"
#include "sample.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <utility>

namespace hdap::fleet {
namespace {

constexpr std::size_t most_devices = 2'000;
constexpr std::size_t most_folds = 16;
constexpr std::size_t fewest_to_hold_out = 40;

/// How devices may be told: from their own cluster, or from several with these ridges.
constexpr std::array ridges{0.0, 1e-2, 1e-3, 1e-4};

/// Relative errors on one benchmark.
struct HeldOutErrors {
    double mean = 0.0;
    double p95 = 0.0;
    double slowest = 0.0;
    double device_square = 0.0; ///< mean of the squares over the devices
};

using RidgeErrors = std::array<HeldOutErrors, ridges.size()>;

/// So many devices at the centre of a group stand for it when it is judged: the groups' error is
/// looked for, not the noise of a few representatives, which more of them or more runs lower.
constexpr std::int64_t judged_representatives = 25;

/// Beyond this a relative error is as wrong as can be; one broken device must not decide.
constexpr double largest_error = 1.0;

/// Those that are grouped, then those that are only judged.
std::vector<std::int32_t> grouped_first(const std::vector<std::int32_t>& devices) {
    std::vector<std::int32_t> order;
    for (const std::size_t first : {0U, 1U})
        for (std::size_t i = first; i < devices.size(); i += 2)
            order.push_back(devices[i]);
    return order;
}

double mean_square(std::span<const double> values) {
    double sum = 0.0;
    for (const double value : values)
        sum += value * value;
    return sum / static_cast<double>(values.size());
}

/// Of the mean of `values`.
double standard_error(std::span<const double> values) {
    if (values.size() < 2) return 0.0;
    const double mean = core::mean(values);
    double squares = 0.0;
    for (const double value : values)
        squares += (value - mean) * (value - mean);
    const auto count = static_cast<double>(values.size());
    return std::sqrt(squares / (count - 1.0) / count);
}

/// [device] in ms, of the clusters' latencies; not a number for a device that is not judged.
std::vector<double> predicted_ms(const DeviceBlends& blends, std::span<const double> ratio,
                                 std::span<const double> cluster_ms) {
    std::vector<double> blend_ms;
    for (std::size_t first = 0; first < blends.blends.size(); first += cluster_ms.size())
        blend_ms.push_back(
            std::inner_product(cluster_ms.begin(), cluster_ms.end(),
                               blends.blends.begin() + static_cast<std::ptrdiff_t>(first), 0.0));
    std::vector<double> predicted(ratio.size(), std::numeric_limits<double>::quiet_NaN());
    for (std::size_t i = 0; i < ratio.size(); ++i)
        if (blends.blend[i] >= 0)
            predicted[i] = ratio[i] * blend_ms[static_cast<std::size_t>(blends.blend[i])];
    return predicted;
}

HeldOutErrors errors_of(const std::vector<double>& predicted_ms,
                        const std::vector<double>& measured_ms) {
    std::vector<double> predicted;
    std::vector<double> measured;
    std::vector<double> relative;
    for (std::size_t i = 0; i < measured_ms.size(); ++i) {
        if (std::isnan(predicted_ms[i]) || std::isnan(measured_ms[i])) continue;
        predicted.push_back(predicted_ms[i]);
        measured.push_back(measured_ms[i]);
        relative.push_back(
            std::clamp(predicted_ms[i] / measured_ms[i] - 1.0, -largest_error, largest_error));
    }
    if (measured.empty()) return {};
    const FleetFigures of_predicted = figures_of(predicted);
    const FleetFigures of_measured = figures_of(measured);
    return {.mean = of_predicted.mean / of_measured.mean - 1.0,
            .p95 = of_predicted.p95 / of_measured.p95 - 1.0,
            .slowest = of_predicted.slowest / of_measured.slowest - 1.0,
            .device_square = mean_square(relative)};
}

/// [fold] one of the errors.
template <class ErrorOf>
std::vector<double> of_folds(const std::vector<RidgeErrors>& folds, std::size_t ridge,
                             ErrorOf error_of) {
    std::vector<double> values;
    for (const RidgeErrors& fold : folds)
        values.push_back(error_of(fold[ridge]));
    return values;
}

/// Whether the devices' errors are seen to be smaller than with another ridge.
bool is_better(const std::vector<RidgeErrors>& folds, std::size_t ridge, std::size_t other) {
    std::vector<double> gains;
    for (const RidgeErrors& fold : folds)
        gains.push_back(fold[other].device_square - fold[ridge].device_square);
    return core::mean(gains) > 2.0 * standard_error(gains);
}

double decisive(const HeldOutErrors& of) {
    return decisive_error(
        {.mean = std::abs(of.mean), .p95 = std::abs(of.p95), .slowest = std::abs(of.slowest)});
}

FigureErrors over_folds(const std::vector<RidgeErrors>& folds, std::size_t ridge) {
    const auto root_mean_square = [&](double HeldOutErrors::*error) {
        return std::sqrt(mean_square(of_folds(folds, ridge, std::mem_fn(error))));
    };
    return {.mean = root_mean_square(&HeldOutErrors::mean),
            .p95 = root_mean_square(&HeldOutErrors::p95),
            .slowest = root_mean_square(&HeldOutErrors::slowest),
            .device = std::sqrt(
                core::mean(of_folds(folds, ridge, std::mem_fn(&HeldOutErrors::device_square)))),
            .uncertainty = standard_error(of_folds(folds, ridge, decisive))};
}

} // namespace

bool is_worse(const std::vector<double>& errors, const std::vector<double>& others) {
    std::vector<double> excess;
    for (std::size_t i = 0; i < errors.size(); ++i)
        excess.push_back(errors[i] - others[i]);
    return core::mean(excess) > standard_error(excess);
}

GroupingJudge::GroupingJudge(const GroupingTask& task) : metric_(task.metric) {
    const std::size_t benchmarks = task.fleet.benchmarks();
    if (benchmarks < 2) return;
    const std::vector<std::int32_t> all = numbers_below(task.fleet.devices());
    std::vector<std::int32_t> devices = evenly_spaced(all, most_devices);
    grouped_ = devices.size();
    if (devices.size() >= fewest_to_hold_out) {
        devices = grouped_first(devices);
        grouped_ = (devices.size() + 1) / 2;
    }
    const Fleet sample = part_of(task.fleet, devices);
    const std::vector<double> complete_ms = rows_of(task.complete_ms, benchmarks, devices);
    const std::vector<double> truth_ms = spread_over_ticks(sample, latency_ticks(sample));
    const std::vector<std::int32_t> held_out = numbers_below(benchmarks);
    for (const std::int32_t benchmark : evenly_spaced(held_out, most_folds)) {
        Fold made = fold(sample, complete_ms, truth_ms, static_cast<std::size_t>(benchmark));
        if (is_judged(made.truth_ms)) folds_.push_back(std::move(made));
    }
}

/// Whether a device that is judged was measured on the benchmark of `truth_ms`.
bool GroupingJudge::is_judged(std::span<const double> truth_ms) const {
    const auto judged = truth_ms.subspan(grouped_ < truth_ms.size() ? grouped_ : 0);
    return std::ranges::any_of(judged, [](double latency) { return !std::isnan(latency); });
}

GroupingJudge::Fold GroupingJudge::fold(const Fleet& sample, std::span<const double> complete_ms,
                                        std::span<const double> truth_ms,
                                        std::size_t held_out) const {
    const std::size_t benchmarks = sample.benchmarks();
    Fold made;
    made.learned.device_ids.assign(sample.device_ids.begin(),
                                   sample.device_ids.begin() +
                                       static_cast<std::ptrdiff_t>(grouped_));
    made.learned.benchmark_names = sample.benchmark_names;
    made.learned.benchmark_names.erase(made.learned.benchmark_names.begin() +
                                       static_cast<std::ptrdiff_t>(held_out));
    for (std::size_t i = 0; i < complete_ms.size(); ++i) {
        const bool is_held_out = i % benchmarks == held_out;
        (is_held_out ? made.held_out_ms : made.complete_ms).push_back(complete_ms[i]);
        if (is_held_out) made.truth_ms.push_back(truth_ms[i]);
        if (!is_held_out && i < grouped_ * benchmarks)
            made.learned.latency_ms.push_back(sample.latency_ms[i]);
    }
    made.signatures = latency_signatures(made.complete_ms, benchmarks - 1, metric_);
    return made;
}

/// The groups of a fold's first devices, with their representatives.
Grouping GroupingJudge::grouping_of(const Fold& fold, GroupDevices group,
                                    const ClusteringParameters& parameters) const {
    const std::size_t benchmarks = fold.learned.benchmarks();
    const std::size_t values = grouped_ * benchmarks;
    const GroupingTask task{.fleet = fold.learned,
                            .complete_ms = std::span(fold.complete_ms).first(values),
                            .metric = metric_,
                            .signatures = {std::span(fold.signatures).first(values), benchmarks},
                            .parameters = parameters};
    Grouping grouping = group(task);
    if (grouping.representatives.empty())
        grouping.representatives =
            central_devices(fold.learned, task.signatures, grouping.group_of_device,
                            grouping.groups, static_cast<std::size_t>(parameters.representatives));
    return grouping;
}

namespace {

/// [ridge] errors on a fold's benchmark.
RidgeErrors errors_on(const GroupingJudge::Fold& fold, const Grouping& grouping,
                      std::size_t grouped, Blending allowed) {
    const std::size_t benchmarks = fold.learned.benchmarks();
    std::vector<std::int32_t> assigned = grouping.group_of_device;
    assigned.resize(fold.held_out_ms.size(), -1);
    assigned = assigned_to_nearest({fold.signatures, benchmarks}, std::move(assigned));
    if (grouped < assigned.size())
        std::fill_n(assigned.begin(), static_cast<std::ptrdiff_t>(grouped), -1);
    const auto ratio = ratios_to_representatives(mean_log_latency(fold.complete_ms, benchmarks),
                                                 assigned, grouping.representatives);
    const auto reference_ms =
        representative_latencies(fold.complete_ms, benchmarks, grouping.representatives);
    const auto cluster_ms = representative_latencies(fold.held_out_ms, 1, grouping.representatives);
    const BlendTask task{.latency_ms = fold.complete_ms,
                         .benchmarks = benchmarks,
                         .reference_ms = reference_ms,
                         .assigned = assigned,
                         .ratio = ratio};
    const bool blends = allowed == Blending::automatic && grouping.groups > 1;
    RidgeErrors errors{};
    for (std::size_t r = 0; r < ridges.size(); ++r) {
        const DeviceBlends told = r == 0 || !blends ? unblended(task, grouping.groups)
                                                    : blended(task, grouping.groups, ridges[r]);
        errors[r] = errors_of(predicted_ms(told, ratio, cluster_ms), fold.truth_ms);
    }
    return errors;
}

} // namespace

std::optional<Judgement> GroupingJudge::judge(GroupDevices group,
                                              const ClusteringParameters& parameters) const {
    if (folds_.empty()) return std::nullopt;
    ClusteringParameters judged = parameters;
    judged.representatives = std::max(parameters.representatives, judged_representatives);
    std::vector<RidgeErrors> errors(folds_.size());
#pragma omp parallel for schedule(dynamic)
    for (std::size_t f = 0; f < folds_.size(); ++f)
        errors[f] = errors_on(folds_[f], grouping_of(folds_[f], group, judged), grouped_,
                              parameters.blending);
    std::size_t best = 0;
    for (std::size_t r = 1; r < ridges.size(); ++r)
        if (is_better(errors, r, best)) best = r;
    return Judgement{.errors = over_folds(errors, best),
                     .ridge = ridges[best],
                     .decisive = of_folds(errors, best, decisive)};
}

} // namespace hdap::fleet
