#include "hdap/fleet/regret.hpp"

#include "fleet/anatomy/regret_sample.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "hdap/fleet/group_agreement.hpp"
#include "hdap/fleet/sample_size.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace hdap::fleet {
namespace {

constexpr std::size_t resamples = 200;

/// How often each device counts.
using Times = std::vector<double>;

/// Latencies of one benchmark in ascending order.
struct SortedColumn {
    std::vector<std::size_t> devices;
    std::vector<double> latency;
};

std::vector<SortedColumn> sorted_columns(const LogTable& log_latency) {
    std::vector<SortedColumn> columns(static_cast<std::size_t>(log_latency.cols()));
    for (std::size_t b = 0; b < columns.size(); ++b) {
        const auto column = log_latency.col(static_cast<Eigen::Index>(b));
        auto& order = columns[b].devices;
        order.resize(static_cast<std::size_t>(log_latency.rows()));
        std::iota(order.begin(), order.end(), std::size_t{0});
        const auto value = [&](std::size_t i) { return column(static_cast<Eigen::Index>(i)); };
        std::stable_sort(order.begin(), order.end(),
                         [&](std::size_t a, std::size_t c) { return value(a) < value(c); });
        for (const std::size_t i : order)
            columns[b].latency.push_back(std::exp(value(i)));
    }
    return columns;
}

double count_of(const Times& times) {
    return std::accumulate(times.begin(), times.end(), 0.0);
}

/// The mean over the slowest `wanted` of the devices.
double mean_of_slowest(const SortedColumn& column, const Times& times, double wanted) {
    double left = wanted;
    double sum = 0.0;
    for (std::size_t k = column.devices.size(); k-- > 0 && left > 0.0;) {
        const double counted = std::min(left, times[column.devices[k]]);
        sum += counted * column.latency[k];
        left -= counted;
    }
    return sum / wanted;
}

double p95_of(const SortedColumn& column, const Times& times) {
    const double all = count_of(times);
    double passed = 0.0;
    for (std::size_t k = 0; k < column.devices.size(); ++k) {
        passed += times[column.devices[k]];
        if (passed >= 0.95 * all) return column.latency[k];
    }
    return column.latency.back();
}

/// [group] mean latencies; not a number for a group without devices.
std::vector<double> group_means(const SortedColumn& column, const Times& times,
                                const RegretSample& sample) {
    std::vector<double> sums(static_cast<std::size_t>(sample.group_count), 0.0);
    std::vector<double> counts(sums);
    for (std::size_t k = 0; k < column.devices.size(); ++k) {
        const std::size_t device = column.devices[k];
        if (sample.groups[device] < 0) continue;
        const auto group = static_cast<std::size_t>(sample.groups[device]);
        sums[group] += times[device] * column.latency[k];
        counts[group] += times[device];
    }
    for (std::size_t g = 0; g < sums.size(); ++g)
        sums[g] /= counts[g];
    return sums;
}

std::vector<double> known(std::vector<double> values) {
    std::erase_if(values, [](double value) { return std::isnan(value); });
    return values;
}

/// [benchmark] the log of what the fleet takes.
Eigen::RowVectorXd truth_of(FleetFigure figure, const std::vector<SortedColumn>& columns,
                            const Times& times, const RegretSample& sample) {
    Eigen::RowVectorXd truth(static_cast<Eigen::Index>(columns.size()));
    const double all = count_of(times);
    const auto hundredth = static_cast<double>(hundredth_of(static_cast<std::size_t>(all)));
    const auto value = [&](const SortedColumn& column) {
        switch (figure) {
        case FleetFigure::mean:
            return mean_of_slowest(column, times, all);
        case FleetFigure::p95:
            return p95_of(column, times);
        case FleetFigure::worst_percent:
            return mean_of_slowest(column, times, hundredth);
        case FleetFigure::worst_group:
            break;
        }
        const std::vector<double> means = known(group_means(column, times, sample));
        return means.empty() ? mean_of_slowest(column, times, all)
                             : *std::max_element(means.begin(), means.end());
    };
    for (std::size_t b = 0; b < columns.size(); ++b)
        truth(static_cast<Eigen::Index>(b)) = std::log(value(columns[b]));
    return truth;
}

/// The bound on the regret of one view.
double bound_of(const Eigen::RowVectorXd& view, const Eigen::RowVectorXd& truth) {
    const Eigen::RowVectorXd difference = view - truth;
    return std::expm1(difference.maxCoeff() - difference.minCoeff());
}

/// Values in ascending order, each as often as it counts.
std::vector<double> sorted_by_times(const std::vector<double>& values, const Times& times) {
    std::vector<double> sorted;
    sorted.reserve(values.size());
    for (std::size_t i = 0; i < values.size(); ++i)
        sorted.insert(sorted.end(), static_cast<std::size_t>(times[i]), values[i]);
    std::sort(sorted.begin(), sorted.end());
    return sorted;
}

/// All that is estimated of a figure.
struct Values {
    double median = 0.0;
    double p95 = 0.0;
    double central = 0.0;
    double equal_groups = 0.0;
};

/// What all resamples have in common.
struct Setting {
    const RegretSample& sample;
    LogTable log_latency; ///< as chosen by; the fleet's figures are made of it, too
    std::vector<SortedColumn> columns;
    std::size_t central;
};

Setting setting_of(const RegretSample& sample, LogTable log_latency) {
    std::vector<SortedColumn> columns = sorted_columns(log_latency);
    return {.sample = sample,
            .log_latency = std::move(log_latency),
            .columns = std::move(columns),
            .central = central_device(sample)};
}

double bound_of_equal_groups(const Setting& setting, const Times& times,
                             const Eigen::RowVectorXd& truth) {
    Eigen::RowVectorXd view(truth.size());
    for (std::size_t b = 0; b < setting.columns.size(); ++b) {
        const auto means = known(group_means(setting.columns[b], times, setting.sample));
        if (means.empty()) return 0.0;
        view(static_cast<Eigen::Index>(b)) = std::log(core::mean(means));
    }
    return bound_of(view, truth);
}

Values values_of(FleetFigure figure, const Setting& setting, const Times& times) {
    const Eigen::RowVectorXd truth = truth_of(figure, setting.columns, times, setting.sample);
    std::vector<double> bounds(setting.sample.devices.size());
    for (std::size_t i = 0; i < bounds.size(); ++i)
        bounds[i] = bound_of(setting.log_latency.row(static_cast<Eigen::Index>(i)), truth);
    Values values;
    const std::vector<double> sorted = sorted_by_times(bounds, times);
    values.median = core::quantile_of_sorted(sorted, 0.5);
    values.p95 = core::quantile_of_sorted(sorted, 0.95);
    values.central = bounds[setting.central];
    if (setting.sample.group_count > 0)
        values.equal_groups = bound_of_equal_groups(setting, times, truth);
    return values;
}

Times resampled(std::size_t devices, std::size_t resample) {
    core::RandomStream random(0, core::StreamId::device_bootstrap,
                              static_cast<std::uint32_t>(resample));
    Times times(devices, 0.0);
    for (std::size_t i = 0; i < devices; ++i)
        times[random.below(devices)] += 1.0;
    return times;
}

Estimate estimate(const std::vector<Values>& all, double Values::*field) {
    std::vector<double> drawn;
    for (std::size_t k = 1; k < all.size(); ++k)
        drawn.push_back(all[k].*field);
    return {
        .value = all[0].*field,
        .interval = {.lower = core::quantile(drawn, 0.025), .upper = core::quantile(drawn, 0.975)}};
}

RegretBound bound_on(FleetFigure figure, const Setting& setting, const Setting& raw) {
    const std::size_t devices = setting.sample.devices.size();
    const Times once(devices, 1.0);
    std::vector<Values> all(resamples + 1);
#pragma omp parallel for schedule(dynamic) if (setting.log_latency.size() > worth_threads)
    for (std::size_t k = 0; k < all.size(); ++k)
        all[k] = values_of(figure, setting, k == 0 ? once : resampled(devices, k));
    RegretBound bound{.figure = figure,
                      .one_device = estimate(all, &Values::median),
                      .one_device_p95 = estimate(all, &Values::p95),
                      .one_device_raw = values_of(figure, raw, once).p95,
                      .central_device = estimate(all, &Values::central),
                      .equal_groups = std::nullopt};
    if (setting.sample.group_count > 0) bound.equal_groups = estimate(all, &Values::equal_groups);
    return bound;
}

} // namespace

RegretBounds regret_bounds(const Fleet& fleet, const Noise& noise,
                           std::span<const std::int32_t> groups) {
    if (noise.variance.size() != fleet.benchmarks())
        throw core::InternalError(fmt::format("noise of {} benchmarks for a fleet of {}",
                                              noise.variance.size(), fleet.benchmarks()));
    if (!groups.empty()) check_groups(fleet, groups);
    RegretBounds result;
    const RegretSample sample = regret_sample(fleet, groups);
    result.devices = sample.devices.size();
    result.benchmarks = sample.benchmarks.size();
    if (result.benchmarks < 2 || result.devices < 2) {
        result.unknown = "a choice needs two benchmarks that two devices or more ran";
        return result;
    }
    const Setting setting = setting_of(sample, without_noise(sample, noise));
    const Setting raw = setting_of(sample, sample.log_latency);
    result.central_device = sample.devices[setting.central];
    for (const FleetFigure figure :
         {FleetFigure::mean, FleetFigure::p95, FleetFigure::worst_percent})
        result.figures.push_back(bound_on(figure, setting, raw));
    if (sample.group_count > 0)
        result.figures.push_back(bound_on(FleetFigure::worst_group, setting, raw));
    return result;
}

} // namespace hdap::fleet
