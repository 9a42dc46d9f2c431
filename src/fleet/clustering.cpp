#include "hdap/fleet/clustering.hpp"

#include "blending.hpp"
#include "grouping_judge.hpp"
#include "groupings/continued.hpp"
#include "groupings/grouping.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/memory.hpp"
#include "hdap/core/text.hpp"
#include "hdap/fleet/completion.hpp"
#include "membership.hpp"
#include "representatives.hpp"
#include "stability.hpp"
#include "weighing.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <functional>
#include <span>
#include <utility>

namespace hdap::fleet {

namespace {

void check_range(const char* name, double value, double low, double high, const char* meaning) {
    // Written so that NaN fails too.
    if (!(value >= low && value <= high))
        throw core::ConfigError(fmt::format("clustering: {} is {}, expected {} to {}{}", name,
                                            value, low, high, meaning));
}

void check_parameters(const ClusteringParameters& parameters) {
    check_range("eps", parameters.eps, 0.0, 1e3,
                ", a radius in log latency such as 0.01, or 0 (automatic)");
    check_range("radius", parameters.radius, 0.0, 1e3,
                ", a radius in log latency such as 0.01, or 0 (automatic)");
    check_range("error", parameters.error, 1e-6, 1.0, ", a share such as 0.01");
    const auto check_count = [](const char* name, std::int64_t value, std::int64_t least) {
        if (value < least)
            throw core::ConfigError(
                fmt::format("clustering: {} is {}, expected at least {}", name, value, least));
    };
    check_count("min_points", parameters.min_points, 0);
    check_count("most_clusters", parameters.most_clusters, 1);
    check_count("representatives", parameters.representatives, 1);
}

/// A setting that does nothing is a mistake of who set it.
void check_belongs(const ClusteringParameters& parameters) {
    const auto check = [&](const char* name, bool is_set, const char* method) {
        if (is_set && parameters.method != method)
            throw core::ConfigError(fmt::format(
                "clustering: {} is of the method \"{}\", and the method is \"{}\"; leave it out, "
                "or choose clusters.method = \"{}\"",
                name, method, parameters.method, method));
    };
    check("radius", parameters.radius > 0.0, "covering");
    check("eps", parameters.eps > 0.0, "dbscan");
    check("min_points", parameters.min_points > 0, "dbscan");
}

SignatureMetric metric_of(const ClusteringParameters& parameters, SignatureMetric standard,
                          const Fleet& fleet) {
    const bool comparable = fleet.benchmarks() > 1;
    if (parameters.metric == MetricChoice::shape && !comparable)
        throw core::ConfigError(
            "clustering: the metric 'shape' compares benchmarks with each other, "
            "but the fleet has only one; choose 'level'");
    if (parameters.metric == MetricChoice::level || !comparable) return SignatureMetric::level;
    return parameters.metric == MetricChoice::shape ? SignatureMetric::shape : standard;
}

/// What follows from groups grows with the square of their number.
void check_count(const Grouping& grouping) {
    if (grouping.groups > most_groups)
        throw core::ConfigError(fmt::format(
            "clustering: devices are in {} groups, and each is to be measured; at most {} are "
            "supported, so choose a larger eps or a larger min_points (clusters.eps is {}, "
            "clusters.min_points {} here)",
            core::grouped(grouping.groups), core::grouped(most_groups),
            core::significant(grouping.facts.eps, 3), grouping.facts.min_points));
}

/// What representatives take now ÷ what their clusters' latencies are told at.
struct Levels {
    std::span<const double> of_cluster; ///< empty: 1

    [[nodiscard]] double operator[](std::size_t cluster) const {
        return of_cluster.empty() ? 1.0 : of_cluster[cluster];
    }
};

/// Fills in all that follows from groups and their representatives.
void weigh(const GroupingTask& task, const Levels& levels, std::size_t clusters, double ridge,
           Clustering& clustering) {
    const std::size_t benchmarks = task.fleet.benchmarks();
    clustering.device_ratio =
        ratios_to_representatives(mean_log_latency(task.complete_ms, benchmarks),
                                  clustering.assigned_cluster, clustering.representatives);
    for (std::size_t i = 0; i < clustering.devices(); ++i)
        if (clustering.assigned_cluster[i] >= 0)
            clustering.device_ratio[i] *=
                levels[static_cast<std::size_t>(clustering.assigned_cluster[i])];
    auto reference_ms =
        representative_latencies(task.complete_ms, benchmarks, clustering.representatives);
    for (std::size_t i = 0; i < reference_ms.size(); ++i)
        reference_ms[i] /= levels[i / benchmarks];
    const BlendTask blending{.latency_ms = task.complete_ms,
                             .benchmarks = benchmarks,
                             .reference_ms = reference_ms,
                             .assigned = clustering.assigned_cluster,
                             .ratio = clustering.device_ratio};
    DeviceBlends told =
        ridge > 0.0 ? blended(blending, clusters, ridge) : unblended(blending, clusters);
    clustering.blend_of_device = std::move(told.blend);
    clustering.blends = std::move(told.blends);
    clustering.cluster_weight =
        task.parameters.weighting == ClusterWeighting::equal
            ? std::vector<double>(clusters, 1.0 / static_cast<double>(clusters))
            : shares_of(clustering.assigned_cluster, clusters);
    add_means(clustering, clusters);
}

/// With what was chosen for the whole fleet, where that is not to be chosen again.
ClusteringParameters settled(ClusteringParameters parameters, const GroupingFacts& facts) {
    if (facts.radius > 0.0) parameters.radius = facts.radius;
    if (facts.shape_is_noise) parameters.most_clusters = 1;
    return parameters;
}

using MakeGrouping = std::function<Grouping(const GroupingTask&, const GroupingMethod&)>;

Clustering clustering_of(const GroupingTask& task, const GroupingMethod& method,
                         Grouping grouping) {
    const ClusteringParameters& parameters = task.parameters;
    Clustering clustering;
    clustering.method = method.name;
    clustering.metric = task.metric;
    const auto judged =
        GroupingJudge(task).judge(method.group, settled(parameters, grouping.facts));
    if (judged) clustering.held_out = judged->errors;
    clustering.stability =
        agreement_of_halves(task, method.group, settled(parameters, grouping.facts));
    clustering.representatives =
        !grouping.representatives.empty()
            ? std::move(grouping.representatives)
            : central_devices(task.fleet, task.signatures, grouping.group_of_device,
                              grouping.groups,
                              static_cast<std::size_t>(parameters.representatives));
    clustering.assigned_cluster =
        parameters.noise == NoisePolicy::drop ? grouping.group_of_device
        : grouping.nearest_group.empty()
            ? assigned_to_nearest(task.signatures, grouping.group_of_device)
            : std::move(grouping.nearest_group);
    clustering.cluster_of_device = std::move(grouping.group_of_device);
    clustering.facts = std::move(grouping.facts);
    clustering.former_cluster = std::move(grouping.former);
    weigh(task, {grouping.level}, grouping.groups, judged ? judged->ridge : 0.0, clustering);
    return clustering;
}

Clustering grouped(const Fleet& fleet, const ClusteringParameters& parameters,
                   const FindDense& dbscan, const MakeGrouping& make) {
    check_parameters(parameters);
    core::require_memory(clustering_bytes(fleet.devices(), fleet.benchmarks()),
                         fmt::format("clustering {}", core::counted(fleet.devices(), "device")));
    const GroupingMethod& method = grouping_method(parameters.method);
    check_belongs(parameters);
    check_fleet(fleet, "fleet to be clustered");
    const SignatureMetric metric = metric_of(parameters, method.metric, fleet);
    const std::vector<double> complete = completed_latencies(fleet.latency_ms, fleet.benchmarks());
    const std::vector<double> coordinates =
        latency_signatures(complete, fleet.benchmarks(), metric);
    const GroupingTask task{.fleet = fleet,
                            .complete_ms = complete,
                            .metric = metric,
                            .signatures = {coordinates, fleet.benchmarks()},
                            .parameters = parameters,
                            .dbscan = dbscan};
    Grouping grouping = make(task, method);
    check_count(grouping);
    return clustering_of(task, method, std::move(grouping));
}

} // namespace

std::size_t clustering_bytes(std::size_t devices, std::size_t benchmarks) {
    // Latencies with estimates, signatures, and what they are made from; per device its cluster,
    // ratio, blend and distance.
    constexpr std::size_t tables = 3;
    constexpr std::size_t per_device = 64;
    return devices * (tables * benchmarks * sizeof(double) + per_device) +
           dbscan_bytes(devices, benchmarks);
}

Clustering cluster_devices(const Fleet& fleet, const ClusteringParameters& parameters,
                           const FindDense& dbscan) {
    return grouped(
        fleet, parameters, dbscan,
        [](const GroupingTask& task, const GroupingMethod& method) { return method.group(task); });
}

Clustering continue_clusters(const Fleet& fleet, const ClusteringParameters& parameters,
                             const FormerClusters& former) {
    core::require_memory(
        clustering_bytes(fleet.devices(), fleet.benchmarks()) +
            clustering_bytes(former.fleet.devices(), former.fleet.benchmarks()),
        fmt::format("clustering {} as before", core::counted(fleet.devices(), "device")));
    return grouped(fleet, parameters, {},
                   [&](const GroupingTask& task, const GroupingMethod& method) {
                       return continued_grouping(task, method, former);
                   });
}

double device_latency_ms(const Clustering& clustering, std::span<const double> cluster_latency_ms,
                         std::size_t device) {
    const auto row = static_cast<std::size_t>(clustering.blend_of_device[device]);
    const std::size_t first = row * cluster_latency_ms.size();
    double latency = 0.0;
    for (std::size_t k = 0; k < cluster_latency_ms.size(); ++k)
        latency += cluster_latency_ms[k] * clustering.blends[first + k];
    return latency * clustering.device_ratio[device];
}

std::string grouping_text(const Clustering& clustering) {
    const GroupingFacts& facts = clustering.facts;
    if (facts.shape_is_noise)
        return fmt::format("{}: devices differ by overall speed and noise alone",
                           clustering.method);
    if (facts.radius > 0.0)
        return fmt::format("{}, radius {}", clustering.method, core::significant(facts.radius, 2));
    if (facts.eps > 0.0)
        return fmt::format("{}, eps {}", clustering.method, core::significant(facts.eps));
    return clustering.method;
}

std::string grouping_warning(const Clustering& clustering) {
    constexpr double many = 0.05;
    if (clustering.facts.no_dense_group)
        return "no dense group of devices was found, so the whole fleet is one cluster; try a "
               "larger eps or a smaller min_points (clusters.eps, clusters.min_points)";
    const auto outside = static_cast<double>(
        std::count(clustering.cluster_of_device.begin(), clustering.cluster_of_device.end(), -1));
    const double share = outside / static_cast<double>(clustering.devices());
    if (share <= many) return "";
    return fmt::format("{} % of the devices are in no cluster and are told from the nearest one; "
                       "try a larger radius (clusters.{})",
                       core::significant(100.0 * share, 2),
                       clustering.method == "dbscan" ? "eps" : "radius");
}

std::string held_out_text(const Clustering& clustering) {
    if (!clustering.held_out) return "";
    const auto percent = [](double error) { return core::significant(100.0 * error, 2); };
    const FigureErrors& errors = *clustering.held_out;
    return fmt::format("on held-out benchmarks the fleet's mean is off by {} %, its 95th "
                       "percentile by {} %, the mean of its slowest hundredth by {} %, a device "
                       "by {} %{}",
                       percent(errors.mean), percent(errors.p95), percent(errors.slowest),
                       percent(errors.device),
                       clustering.stability && clustering.clusters() > 1
                           ? fmt::format("; two halves of the fleet have groups that agree by {}",
                                         core::significant(*clustering.stability, 2))
                           : "");
}

std::vector<core::Setting> settings_of(ClusteringParameters& parameters) {
    constexpr auto shapes = core::Outputs::clusters;
    return {
        core::text("method", parameters.method, grouping_method_names(),
                   "How devices are grouped; " + grouping_methods_text(), shapes),
        core::choice("weighting", parameters.weighting,
                     {{"devices", ClusterWeighting::devices}, {"equal", ClusterWeighting::equal}},
                     "What a cluster counts in the fleet's mean: its devices, or as much as any "
                     "other",
                     shapes),
        core::choice("metric", parameters.metric,
                     {{"automatic", MetricChoice::automatic},
                      {"level", MetricChoice::level},
                      {"shape", MetricChoice::shape}},
                     "level: compare latencies; shape: without the device's overall speed; "
                     "automatic: level with dbscan, as published, else shape, and with covering "
                     "one cluster where that is noise",
                     shapes),
        core::real("error", parameters.error, {1e-6, 1.0},
                   "covering: largest error that the groups may make in the fleet's mean and 95th "
                   "percentile",
                   shapes),
        core::real(
            "radius", parameters.radius, {0.0, 10.0},
            "covering: of a group, in log latency, 0.01 is about 1 %; 0: what keeps the error",
            shapes),
        core::integer("most_clusters", parameters.most_clusters, {1, 1000}, "covering: at most",
                      shapes),
        core::real("eps", parameters.eps, {0.0, 10.0},
                   "dbscan: radius in log latency, 0.01 is about 1 %; 0: at the knee of the "
                   "k-distance curve",
                   shapes),
        core::integer("min_points", parameters.min_points, {0, 1'000'000},
                      "dbscan: devices that make a dense group; 0: by the size of the fleet",
                      shapes),
        core::integer("representatives", parameters.representatives, {1, 1000},
                      "Devices of a cluster that are measured on its behalf", shapes),
        core::choice(
            "noise", parameters.noise,
            {{"nearest_cluster", NoisePolicy::nearest_cluster}, {"drop", NoisePolicy::drop}},
            "How devices in no group count: with the nearest cluster, or not at all", shapes),
        core::choice("blending", parameters.blending,
                     {{"automatic", Blending::automatic}, {"never", Blending::never}},
                     "automatic: devices between clusters are told from several, where held-out "
                     "benchmarks say so; never: from their own",
                     shapes)};
}

} // namespace hdap::fleet
