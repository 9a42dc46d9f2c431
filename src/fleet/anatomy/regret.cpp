#include "hdap/fleet/regret.hpp"

#include "fleet/anatomy/log_ratios.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "hdap/fleet/completion.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace hdap::fleet {
namespace {

constexpr double most_devices = 10'000;
constexpr double most_latencies = 1e6;
constexpr std::size_t resamples = 200;

/// The devices and benchmarks that are looked at, complete.
struct Sample {
    std::vector<std::size_t> devices;
    std::vector<std::size_t> benchmarks;
    std::vector<std::size_t> missing; ///< [device]
    LogTable log_latency;
    std::vector<std::int32_t> groups; ///< [device] or empty
    std::int32_t group_count = 0;
};

/// Devices with at least one latency on the benchmarks that two devices or more ran.
Sample sample_of(const Fleet& fleet, std::span<const std::int32_t> groups) {
    const double most =
        std::min(most_devices, most_latencies / static_cast<double>(fleet.benchmarks()));
    const auto devices = evenly_spaced(fleet.devices(), static_cast<std::size_t>(most) + 1);
    const auto at = [&](std::size_t device, std::size_t benchmark) {
        return fleet.latency_ms[device * fleet.benchmarks() + benchmark];
    };
    Sample sample;
    for (std::size_t b = 0; b < fleet.benchmarks(); ++b)
        if (std::count_if(devices.begin(), devices.end(),
                          [&](std::size_t i) { return !std::isnan(at(i, b)); }) >= 2)
            sample.benchmarks.push_back(b);
    std::vector<double> latency_ms;
    for (const std::size_t i : devices) {
        std::vector<double> row;
        for (const std::size_t b : sample.benchmarks)
            row.push_back(at(i, b));
        const auto missing =
            std::count_if(row.begin(), row.end(), [](double value) { return std::isnan(value); });
        if (static_cast<std::size_t>(missing) == row.size()) continue;
        sample.devices.push_back(i);
        sample.missing.push_back(static_cast<std::size_t>(missing));
        latency_ms.insert(latency_ms.end(), row.begin(), row.end());
        if (!groups.empty()) sample.groups.push_back(groups[i]);
    }
    if (sample.devices.empty()) return sample;
    for (const std::int32_t group : sample.groups)
        sample.group_count = std::max(sample.group_count, group + 1);
    const auto columns = sample.benchmarks.size();
    latency_ms = completed_latencies(std::move(latency_ms), columns);
    const Eigen::Map<const LogTable> table(latency_ms.data(),
                                           static_cast<Eigen::Index>(sample.devices.size()),
                                           static_cast<Eigen::Index>(columns));
    sample.log_latency = table.array().log();
    return sample;
}

/// A benchmark's shapes, scaled so that they vary as without noise.
void take_out_noise(Eigen::Ref<Eigen::VectorXd> shape, double noise) {
    constexpr double by_chance = 9.0; // ÷ noise: three standard deviations
    // What a robust variance is off by chance, three standard deviations of it, and noise itself.
    const double doubt = 0.1 + 7.0 / std::sqrt(static_cast<double>(shape.size()));
    const double usual = std::pow(robust_sd({shape.begin(), shape.end()}), 2.0);
    const double usual_share = usual > (1.0 + doubt) * noise ? 1.0 - noise / usual : 0.0;
    for (double& value : shape) {
        const double square = value * value;
        const double own_share = square > 0.0 ? 1.0 - by_chance * noise / square : 0.0;
        value *= std::sqrt(std::max(usual_share, own_share));
    }
}

/// [benchmark] by how much it counts in a device's speed: less when it is noisy.
Eigen::VectorXd speed_weights(const Eigen::VectorXd& noise) {
    constexpr double least = 1e-12;
    const Eigen::ArrayXd weights = 1.0 / (noise.array() + 0.01 * noise.mean() + least);
    return weights / weights.sum();
}

LogTable without_noise(const Sample& sample, const Noise& noise) {
    Eigen::VectorXd variance(sample.log_latency.cols());
    for (std::size_t b = 0; b < sample.benchmarks.size(); ++b)
        variance(static_cast<Eigen::Index>(b)) = noise.variance[sample.benchmarks[b]];
    const Eigen::VectorXd weights = speed_weights(variance);
    const Eigen::RowVectorXd medians = medians_of(sample.log_latency);
    const LogTable ratios = sample.log_latency.rowwise() - medians;
    const Eigen::VectorXd speed = ratios * weights;
    const double of_speed = weights.cwiseAbs2().dot(variance);
    // By columns, which are scaled one by one.
    Eigen::MatrixXd shape = shapes(ratios, speed);
    for (Eigen::Index b = 0; b < shape.cols(); ++b)
        take_out_noise(shape.col(b), (1.0 - 2.0 * weights(b)) * variance(b) + of_speed);
    LogTable log_latency = shape.colwise() + speed;
    log_latency.rowwise() += medians;
    return log_latency;
}

/// The device nearest to the medians among those that ran most.
std::size_t central_device(const Sample& sample) {
    const std::size_t fewest = *std::min_element(sample.missing.begin(), sample.missing.end());
    std::size_t nearest = 0;
    double least = std::numeric_limits<double>::infinity();
    const Eigen::RowVectorXd medians = medians_of(sample.log_latency);
    for (std::size_t i = 0; i < sample.devices.size(); ++i) {
        if (sample.missing[i] != fewest) continue;
        const double distance =
            (sample.log_latency.row(static_cast<Eigen::Index>(i)) - medians).squaredNorm();
        if (distance >= least) continue;
        least = distance;
        nearest = i;
    }
    return nearest;
}

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

/// The mean over the slowest `share` of the devices; all of them: their mean.
double mean_of_slowest(const SortedColumn& column, const Times& times, double share) {
    const double all = std::accumulate(times.begin(), times.end(), 0.0);
    const double wanted = std::max(1.0, share * all);
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
    const double all = std::accumulate(times.begin(), times.end(), 0.0);
    double passed = 0.0;
    for (std::size_t k = 0; k < column.devices.size(); ++k) {
        passed += times[column.devices[k]];
        if (passed >= 0.95 * all) return column.latency[k];
    }
    return column.latency.back();
}

/// [group] mean latencies; not a number for a group without devices.
std::vector<double> group_means(const SortedColumn& column, const Times& times,
                                const Sample& sample) {
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
                            const Times& times, const Sample& sample) {
    Eigen::RowVectorXd truth(static_cast<Eigen::Index>(columns.size()));
    const auto value = [&](const SortedColumn& column) {
        switch (figure) {
        case FleetFigure::mean:
            return mean_of_slowest(column, times, 1.0);
        case FleetFigure::p95:
            return p95_of(column, times);
        case FleetFigure::worst_percent:
            return mean_of_slowest(column, times, 0.01);
        case FleetFigure::worst_group:
            break;
        }
        const std::vector<double> means = known(group_means(column, times, sample));
        return means.empty() ? mean_of_slowest(column, times, 1.0)
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
    const Sample& sample;
    LogTable log_latency; ///< as chosen by; the fleet's figures are made of it, too
    std::vector<SortedColumn> columns;
    std::size_t central;
};

Setting setting_of(const Sample& sample, LogTable log_latency) {
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
#pragma omp parallel for schedule(dynamic)
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

/// [benchmark][group] mean latencies.
std::vector<std::vector<double>> means_of_groups(const Fleet& fleet,
                                                 std::span<const std::int32_t> groups) {
    const std::int32_t count = *std::max_element(groups.begin(), groups.end()) + 1;
    std::vector<std::vector<double>> means;
    for (std::size_t b = 0; b < fleet.benchmarks(); ++b) {
        std::vector<double> sums(static_cast<std::size_t>(std::max(count, 0)), 0.0);
        std::vector<double> measured(sums);
        for (std::size_t i = 0; i < fleet.devices(); ++i) {
            const double latency = fleet.latency_ms[i * fleet.benchmarks() + b];
            if (groups[i] < 0 || std::isnan(latency)) continue;
            sums[static_cast<std::size_t>(groups[i])] += latency;
            measured[static_cast<std::size_t>(groups[i])] += 1.0;
        }
        for (std::size_t g = 0; g < sums.size(); ++g)
            sums[g] /= measured[g];
        means.push_back(std::move(sums));
    }
    return means;
}

void check_groups(const Fleet& fleet, std::span<const std::int32_t> groups) {
    if (groups.size() != fleet.devices())
        throw core::InternalError(
            fmt::format("groups of {} devices for a fleet of {}", groups.size(), fleet.devices()));
    for (const std::int32_t group : groups)
        if (group >= 0 && static_cast<std::size_t>(group) >= groups.size())
            throw core::InternalError(fmt::format("group {} of {} devices", group, groups.size()));
}

} // namespace

RegretBounds regret_bounds(const Fleet& fleet, const Noise& noise,
                           std::span<const std::int32_t> groups) {
    if (noise.variance.size() != fleet.benchmarks())
        throw core::InternalError(fmt::format("noise of {} benchmarks for a fleet of {}",
                                              noise.variance.size(), fleet.benchmarks()));
    if (!groups.empty()) check_groups(fleet, groups);
    RegretBounds result;
    const Sample sample = sample_of(fleet, groups);
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

std::optional<GroupAgreement> group_agreement(const Fleet& fleet,
                                              std::span<const std::int32_t> groups) {
    check_groups(fleet, groups);
    constexpr std::size_t fewest_benchmarks = 3;
    std::vector<std::vector<double>> by_group; // [group][benchmark]
    for (const auto& means : means_of_groups(fleet, groups)) {
        by_group.resize(means.size());
        if (known(means).size() < means.size()) continue;
        for (std::size_t g = 0; g < means.size(); ++g)
            by_group[g].push_back(means[g]);
    }
    if (by_group.size() < 2 || by_group[0].size() < fewest_benchmarks) return std::nullopt;
    std::vector<double> taus;
    for (std::size_t g = 0; g < by_group.size(); ++g)
        for (std::size_t h = 0; h < g; ++h) {
            const double tau = core::kendall_tau(by_group[g], by_group[h]);
            if (!std::isnan(tau)) taus.push_back(tau);
        }
    if (taus.empty()) return std::nullopt;
    return GroupAgreement{.lowest = *std::min_element(taus.begin(), taus.end()),
                          .median = core::median(taus),
                          .groups = by_group.size()};
}

} // namespace hdap::fleet
