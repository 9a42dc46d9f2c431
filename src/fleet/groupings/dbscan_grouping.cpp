#include "dbscan_grouping.hpp"

#include "hdap/fleet/completion.hpp"
#include "hdap/fleet/dbscan.hpp"
#include "hdap/fleet/ticks.hpp"

#include <algorithm>
#include <utility>

namespace hdap::fleet {
namespace {

/// Points of the k-distance curve that are computed, and that are kept for the report.
constexpr std::size_t curve_sample = 2'000;
constexpr std::size_t curve_kept = 1'000;

/// The knee is looked for between these shares of the curve. One device that is ten times slower
/// pulls the chord so far up that eps would swallow the tail; a main mode with little noise pulls
/// it so far down that a third of the fleet would be noise. Real fleets have a few per cent of odd
/// devices.
constexpr double lowest_knee = 0.90;
constexpr double highest_knee = 0.97;

/// With the same min_points, a larger fleet has more stragglers between two groups that join them
/// into one. With the same share of the fleet, it has the same clusters. The upper bound is for
/// speed: a core point costs min_points distances.
std::int64_t automatic_min_points(std::size_t devices) {
    constexpr std::int64_t fewest = 5;
    constexpr std::int64_t most = 250;
    constexpr std::int64_t devices_per_point = 400;
    return std::clamp(static_cast<std::int64_t>(devices) / devices_per_point, fewest, most);
}

double automatic_eps(const std::vector<double>& curve) {
    const auto at = [&](double share) {
        return static_cast<std::size_t>(share * static_cast<double>(curve.size() - 1));
    };
    const std::size_t index = std::clamp(knee(curve), at(lowest_knee), at(highest_knee));
    return std::max(curve[index], smallest_automatic_eps);
}

std::vector<double> thinned(const std::vector<double>& curve) {
    if (curve.size() <= curve_kept) return curve;
    std::vector<double> kept(curve_kept);
    for (std::size_t i = 0; i < curve_kept; ++i)
        kept[i] = curve[i * (curve.size() - 1) / (curve_kept - 1)];
    return kept;
}

/// Latencies that come in steps, spread over them; nothing where the steps are too fine to matter.
std::vector<double> spread_signatures(const GroupingTask& task) {
    const std::vector<double> ticks = latency_ticks(task.fleet);
    if (tick_distance(task.fleet, ticks, task.metric) < smallest_automatic_eps) return {};
    const std::size_t benchmarks = task.fleet.benchmarks();
    return latency_signatures(completed_latencies(spread_over_ticks(task.fleet, ticks), benchmarks),
                              benchmarks, task.metric);
}

} // namespace

Grouping group_by_density(const GroupingTask& task) {
    const ClusteringParameters& parameters = task.parameters;
    const std::vector<double> spread = spread_signatures(task);
    const PointView places =
        spread.empty() ? task.signatures : PointView{spread, task.fleet.benchmarks()};
    Grouping grouping;
    GroupingFacts& facts = grouping.facts;
    facts.min_points = parameters.min_points > 0 ? parameters.min_points
                                                 : automatic_min_points(task.fleet.devices());
    const std::vector<double> curve = k_distance_curve(places, facts.min_points - 1, curve_sample);
    facts.k_distance = thinned(curve);
    facts.eps = parameters.eps > 0.0 ? parameters.eps : automatic_eps(curve);
    DbscanResult found = dbscan(places, facts.eps, facts.min_points);
    facts.no_dense_group = found.clusters == 0;
    if (facts.no_dense_group) found.label.assign(places.size(), 0);
    grouping.groups = static_cast<std::size_t>(std::max(found.clusters, 1));
    grouping.group_of_device = std::move(found.label);
    return grouping;
}

} // namespace hdap::fleet
