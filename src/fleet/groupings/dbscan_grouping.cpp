#include "dbscan_grouping.hpp"

#include "hdap/fleet/completion.hpp"
#include "hdap/fleet/dbscan.hpp"
#include "hdap/fleet/ticks.hpp"

#include <algorithm>
#include <utility>

namespace hdap::fleet {
namespace {

/// Points of the k-distance curve that are kept for the report.
constexpr std::size_t curve_kept = 1'000;

std::vector<double> thinned(const std::vector<double>& curve) {
    if (curve.size() <= curve_kept) return curve;
    std::vector<double> kept(curve_kept);
    for (std::size_t i = 0; i < curve_kept; ++i)
        kept[i] = curve[i * (curve.size() - 1) / (curve_kept - 1)];
    return kept;
}

/// What no device of the task's was measured on, as it was estimated from devices that are not
/// here.
void fill_unmeasured(const GroupingTask& task, std::vector<double>& latency_ms) {
    const std::size_t benchmarks = task.fleet.benchmarks();
    for (std::size_t b = 0; b < benchmarks; ++b) {
        if (!measured_latencies(task.fleet, b).empty()) continue;
        for (std::size_t i = b; i < latency_ms.size(); i += benchmarks)
            latency_ms[i] = task.complete_ms[i];
    }
}

/// Latencies that come in steps, spread over them; nothing where the steps are too fine to matter.
std::vector<double> spread_signatures(const GroupingTask& task) {
    const std::vector<double> ticks = latency_ticks(task.fleet);
    if (tick_distance(task.fleet, ticks, task.metric) < smallest_automatic_eps) return {};
    const std::size_t benchmarks = task.fleet.benchmarks();
    std::vector<double> spread = spread_over_ticks(task.fleet, ticks);
    fill_unmeasured(task, spread);
    return latency_signatures(completed_latencies(std::move(spread), benchmarks), benchmarks,
                              task.metric);
}

} // namespace

Grouping group_by_density(const GroupingTask& task) {
    const ClusteringParameters& parameters = task.parameters;
    const std::vector<double> spread = spread_signatures(task);
    const PointView places =
        spread.empty() ? task.signatures : PointView{spread, task.fleet.benchmarks()};
    Grouping grouping;
    GroupingFacts& facts = grouping.facts;
    facts.min_points =
        parameters.min_points > 0 ? parameters.min_points : min_points_for(task.fleet.devices());
    const std::vector<double> curve = density_curve(places, facts.min_points);
    facts.k_distance = thinned(curve);
    facts.eps = parameters.eps > 0.0 ? parameters.eps : eps_at_knee(curve, smallest_automatic_eps);
    DbscanResult found = task.dbscan ? task.dbscan(places, facts.eps, facts.min_points)
                                     : dbscan(places, facts.eps, facts.min_points);
    facts.no_dense_group = found.clusters == 0;
    if (facts.no_dense_group) found.label.assign(places.size(), 0);
    grouping.groups = static_cast<std::size_t>(std::max(found.clusters, 1));
    grouping.group_of_device = std::move(found.label);
    return grouping;
}

} // namespace hdap::fleet
