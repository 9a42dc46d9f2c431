#include "hdap/fleet/clustering.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/fleet/completion.hpp"
#include "hdap/fleet/dbscan.hpp"
#include "hdap/fleet/ticks.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <span>
#include <string>
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

void check_parameters(const ClusteringParameters& parameters) {
    if (!(parameters.eps >= 0.0 && parameters.eps <= 1e3))
        throw core::ConfigError(
            fmt::format("clustering: eps is {:f}, expected 0 (automatic) or a positive "
                        "radius in log latency, such as 0.01",
                        parameters.eps));
    if (parameters.min_points < 0)
        throw core::ConfigError(
            fmt::format("clustering: min_points is {}, expected 0 (automatic) or a "
                        "positive number of devices",
                        parameters.min_points));
    if (parameters.representatives < 1)
        throw core::ConfigError(fmt::format(
            "clustering: representatives is {}, expected at least 1", parameters.representatives));
}

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

/// The devices of every cluster, ascending.
std::vector<std::vector<std::int32_t>> members_of(const std::vector<std::int32_t>& cluster,
                                                  std::size_t clusters) {
    std::vector<std::vector<std::int32_t>> members(clusters);
    for (std::size_t i = 0; i < cluster.size(); ++i)
        if (cluster[i] >= 0)
            members[static_cast<std::size_t>(cluster[i])].push_back(static_cast<std::int32_t>(i));
    return members;
}

/// [device] on how many benchmarks it was measured.
std::vector<std::size_t> measured_benchmarks(const Fleet& fleet) {
    std::vector<std::size_t> measured(fleet.devices(), 0);
    for (std::size_t i = 0; i < fleet.latency_ms.size(); ++i)
        if (!std::isnan(fleet.latency_ms[i])) ++measured[i / fleet.benchmarks()];
    return measured;
}

/// Those of the members that were measured on most benchmarks: a quarter of them, at least
/// `wanted`, and all that were measured on as many as the last of these. Estimates lie nearer to a
/// cluster's centre than latencies do, so a device of which little is known would look typical.
std::vector<std::int32_t> well_measured(const std::vector<std::int32_t>& members,
                                        const std::vector<std::size_t>& measured,
                                        std::size_t wanted) {
    constexpr std::size_t part = 4;
    const std::size_t count =
        std::min(members.size(), std::max(wanted, (members.size() + part - 1) / part));
    std::vector<std::size_t> counts;
    for (const std::int32_t device : members)
        counts.push_back(measured[static_cast<std::size_t>(device)]);
    const auto last = counts.begin() + static_cast<std::ptrdiff_t>(count - 1);
    std::nth_element(counts.begin(), last, counts.end(), std::greater<>());
    std::vector<std::int32_t> chosen;
    for (const std::int32_t device : members)
        if (measured[static_cast<std::size_t>(device)] >= *last) chosen.push_back(device);
    return chosen;
}

/// The mean of the members' signatures.
std::vector<double> centre_of(PointView signatures, const std::vector<std::int32_t>& members) {
    std::vector<double> centre(signatures.dimension, 0.0);
    for (const std::int32_t device : members)
        for (std::size_t d = 0; d < centre.size(); ++d)
            centre[d] += signatures[static_cast<std::size_t>(device)][d];
    for (double& coordinate : centre)
        coordinate /= static_cast<double>(members.size());
    return centre;
}

/// The `wanted` of `candidates` nearest to `centre`, nearest first, ties by index.
std::vector<std::int32_t> nearest_to(const std::vector<double>& centre, PointView signatures,
                                     const std::vector<std::int32_t>& candidates,
                                     std::size_t wanted) {
    std::vector<std::pair<double, std::int32_t>> ranked;
    ranked.reserve(candidates.size());
    for (const std::int32_t device : candidates)
        ranked.emplace_back(squared_distance(signatures[static_cast<std::size_t>(device)],
                                             centre.data(), centre.size()),
                            device);
    const std::size_t count = std::min(wanted, candidates.size());
    std::partial_sort(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(count),
                      ranked.end());
    std::vector<std::int32_t> nearest;
    for (std::size_t i = 0; i < count; ++i)
        nearest.push_back(ranked[i].second);
    return nearest;
}

/// [cluster] `wanted` devices to be measured on its behalf.
std::vector<std::vector<std::int32_t>>
central_devices(const Fleet& fleet, PointView signatures,
                const std::vector<std::vector<std::int32_t>>& members, std::size_t wanted) {
    const std::vector<std::size_t> measured = measured_benchmarks(fleet);
    std::vector<std::vector<std::int32_t>> central;
    for (const std::vector<std::int32_t>& devices : members)
        central.push_back(nearest_to(centre_of(signatures, devices), signatures,
                                     well_measured(devices, measured, wanted), wanted));
    return central;
}

/// Assigns every noise device to the cluster of the clustered device nearest to it.
void assign_noise_to_nearest(PointView signatures, Clustering& clustering) {
    std::vector<std::size_t> clustered;
    std::vector<double> coordinates;
    for (std::size_t i = 0; i < signatures.size(); ++i) {
        if (clustering.cluster_of_device[i] < 0) continue;
        clustered.push_back(i);
        coordinates.insert(coordinates.end(), signatures[i], signatures[i] + signatures.dimension);
    }
    if (clustered.size() == signatures.size()) return;
    const NeighbourIndex index({coordinates, signatures.dimension});
    constexpr double anywhere = std::numeric_limits<double>::infinity();
#pragma omp parallel for schedule(dynamic, 64)
    for (std::size_t i = 0; i < signatures.size(); ++i) {
        if (clustering.cluster_of_device[i] >= 0) continue;
        const std::size_t nearest = clustered[index.nearest(signatures[i], anywhere)];
        clustering.assigned_cluster[i] = clustering.cluster_of_device[nearest];
    }
}

/// [device] mean over the benchmarks of the log latency.
std::vector<double> mean_log_latency(std::span<const double> latency_ms, std::size_t benchmarks) {
    std::vector<double> mean(latency_ms.size() / benchmarks, 0.0);
    for (std::size_t i = 0; i < mean.size(); ++i) {
        for (std::size_t b = 0; b < benchmarks; ++b)
            mean[i] += std::log(latency_ms[i * benchmarks + b]);
        mean[i] /= static_cast<double>(benchmarks);
    }
    return mean;
}

/// Fills in cluster_weight, device_ratio and cluster_mean_ratio; `mean_log` is [device].
void weigh(const std::vector<double>& mean_log, Clustering& clustering) {
    const std::size_t clusters = clustering.representatives.size();
    std::vector<double> reference(clusters, 0.0);
    for (std::size_t c = 0; c < clusters; ++c) {
        for (const std::int32_t device : clustering.representatives[c])
            reference[c] += mean_log[static_cast<std::size_t>(device)];
        reference[c] /= static_cast<double>(clustering.representatives[c].size());
    }
    std::vector<double> devices(clusters, 0.0);
    double all = 0.0;
    clustering.device_ratio.assign(mean_log.size(), 0.0);
    clustering.cluster_mean_ratio.assign(clusters, 0.0);
    for (std::size_t i = 0; i < mean_log.size(); ++i) {
        if (clustering.assigned_cluster[i] < 0) continue;
        const auto c = static_cast<std::size_t>(clustering.assigned_cluster[i]);
        clustering.device_ratio[i] = std::exp(mean_log[i] - reference[c]);
        clustering.cluster_mean_ratio[c] += clustering.device_ratio[i];
        devices[c] += 1.0;
        all += 1.0;
    }
    clustering.cluster_weight.resize(clusters);
    for (std::size_t c = 0; c < clusters; ++c) {
        clustering.cluster_weight[c] = devices[c] / all;
        clustering.cluster_mean_ratio[c] /= devices[c];
    }
}

/// The one device of a lab that has no other: any that has measured as many benchmarks as the most
/// thorough one.
std::int32_t drawn_device(const Fleet& fleet, std::uint64_t seed) {
    const auto missing_of = [&](std::size_t device) {
        const auto row =
            std::span(fleet.latency_ms).subspan(device * fleet.benchmarks(), fleet.benchmarks());
        return std::ranges::count_if(row, [](double latency) { return std::isnan(latency); });
    };
    std::vector<std::int32_t> thorough;
    auto least = missing_of(0);
    for (std::size_t i = 0; i < fleet.devices(); ++i) {
        const auto missing = missing_of(i);
        if (missing < least) thorough.clear();
        least = std::min(least, missing);
        if (missing == least) thorough.push_back(static_cast<std::int32_t>(i));
    }
    core::RandomStream random(seed, core::StreamId::single_device);
    return thorough[random.below(thorough.size())];
}

const char* metric_name(SignatureMetric metric) {
    return metric == SignatureMetric::level ? "level" : "shape";
}

/// Subtracts from each row the mean of what it has.
void subtract_row_means(std::vector<double>& signature, std::size_t benchmarks) {
    for (std::size_t first = 0; first < signature.size(); first += benchmarks) {
        double sum = 0.0;
        double measured = 0.0;
        for (const double value : std::span(signature).subspan(first, benchmarks)) {
            if (std::isnan(value)) continue;
            sum += value;
            measured += 1.0;
        }
        for (double& value : std::span(signature).subspan(first, benchmarks))
            value -= sum / measured;
    }
}

std::vector<double> signatures_of(std::span<const double> latency_ms, std::size_t benchmarks,
                                  SignatureMetric metric) {
    std::vector<double> signature(latency_ms.size());
    std::vector<double> column;
    for (std::size_t b = 0; b < benchmarks; ++b) {
        column.clear();
        for (std::size_t i = b; i < latency_ms.size(); i += benchmarks)
            if (!std::isnan(latency_ms[i])) column.push_back(latency_ms[i]);
        const double log_median = std::log(core::median(column));
        for (std::size_t i = b; i < latency_ms.size(); i += benchmarks)
            signature[i] = std::log(latency_ms[i]) - log_median;
    }
    if (metric == SignatureMetric::shape) subtract_row_means(signature, benchmarks);
    return signature;
}

/// Where DBSCAN sees the devices: at their signatures, with estimates for what is missing, and with
/// latencies that come in steps spread over the step. Steps below smallest_automatic_eps do not
/// matter: `signatures` are without.
std::vector<double> dbscan_signatures(const Fleet& fleet, SignatureMetric metric,
                                      const std::vector<double>& signatures) {
    const std::vector<double> ticks = latency_ticks(fleet);
    if (tick_distance(fleet, ticks, metric) < smallest_automatic_eps) return signatures;
    return signatures_of(completed_latencies(spread_over_ticks(fleet, ticks), fleet.benchmarks()),
                         fleet.benchmarks(), metric);
}

} // namespace

std::vector<double> latency_signatures(const Fleet& fleet, SignatureMetric metric) {
    return signatures_of(fleet.latency_ms, fleet.benchmarks(), metric);
}

Clustering cluster_devices(const Fleet& fleet, const ClusteringParameters& parameters) {
    check_parameters(parameters);
    check_fleet(fleet, "fleet to be clustered");
    if (parameters.metric == SignatureMetric::shape && fleet.benchmarks() < 2)
        throw core::ConfigError(
            "clustering: the metric 'shape' compares benchmarks with each other, "
            "but the fleet has only one; choose 'level'");
    const std::vector<double> complete = completed_latencies(fleet.latency_ms, fleet.benchmarks());
    const std::vector<double> coordinates =
        signatures_of(complete, fleet.benchmarks(), parameters.metric);
    const PointView signatures{coordinates, fleet.benchmarks()};
    Clustering clustering;
    clustering.min_points =
        parameters.min_points > 0 ? parameters.min_points : automatic_min_points(fleet.devices());
    const std::vector<double> spread = dbscan_signatures(fleet, parameters.metric, coordinates);
    const PointView places{spread, fleet.benchmarks()};
    const std::vector<double> curve =
        k_distance_curve(places, clustering.min_points - 1, curve_sample);
    clustering.metric = parameters.metric;
    clustering.k_distance = thinned(curve);
    clustering.eps = parameters.eps > 0.0 ? parameters.eps : automatic_eps(curve);
    std::size_t clusters = 0;
    if (parameters.method == ClusteringMethod::dbscan) {
        DbscanResult found = dbscan(places, clustering.eps, clustering.min_points);
        clusters = static_cast<std::size_t>(found.clusters);
        clustering.no_dense_group = clusters == 0;
        clustering.cluster_of_device = std::move(found.label);
    }
    if (clusters == 0) {
        clusters = 1;
        clustering.cluster_of_device.assign(fleet.devices(), 0);
    }
    clustering.assigned_cluster = clustering.cluster_of_device;
    if (parameters.noise == NoisePolicy::nearest_cluster)
        assign_noise_to_nearest(signatures, clustering);
    if (parameters.method == ClusteringMethod::single_device)
        clustering.representatives.push_back({drawn_device(fleet, parameters.seed)});
    else
        clustering.representatives =
            central_devices(fleet, signatures, members_of(clustering.cluster_of_device, clusters),
                            static_cast<std::size_t>(parameters.representatives));
    weigh(mean_log_latency(complete, fleet.benchmarks()), clustering);
    if (parameters.weighting == ClusterWeighting::equal)
        clustering.cluster_weight.assign(clusters, 1.0 / static_cast<double>(clusters));
    return clustering;
}

void write_clustering(storage::Hdf5Writer& file, const Clustering& clustering) {
    std::size_t ranks = 0;
    for (const auto& devices : clustering.representatives)
        ranks = std::max(ranks, devices.size());
    std::vector<std::int32_t> representatives(clustering.clusters() * ranks, -1);
    for (std::size_t c = 0; c < clustering.clusters(); ++c)
        std::copy(clustering.representatives[c].begin(), clustering.representatives[c].end(),
                  representatives.begin() + static_cast<std::ptrdiff_t>(c * ranks));
    file.attribute("/", "metric", std::string(metric_name(clustering.metric)));
    file.attribute("/", "eps", clustering.eps);
    file.attribute("/", "min_points", clustering.min_points);
    file.attribute("/", "no_dense_group", std::int64_t{clustering.no_dense_group ? 1 : 0});
    file.write("/cluster_of_device", clustering.cluster_of_device);
    file.write("/assigned_cluster", clustering.assigned_cluster);
    file.write("/device_ratio", clustering.device_ratio);
    file.write("/cluster_weight", clustering.cluster_weight);
    file.write("/cluster_mean_ratio", clustering.cluster_mean_ratio);
    file.write("/representatives", representatives, {clustering.clusters(), ranks});
    file.write("/k_distance", clustering.k_distance);
}

namespace {

/// Checks what a file of clusters holds. Messages begin with the file and the data set.
class ClusteringCheck {
  public:
    ClusteringCheck(const Clustering& clustering, const std::string& file)
        : clustering_(clustering), file_(file) {}

    void run() const {
        const double eps = clustering_.eps;
        require(eps > 0.0 && std::isfinite(eps), "/", fmt::format("eps is {:f}", eps));
        require(clustering_.min_points > 0, "/",
                fmt::format("min_points is {}", clustering_.min_points));
        require(clustering_.devices() > 0, "/cluster_of_device", "no devices");
        require(clustering_.clusters() > 0, "/cluster_weight", "no clusters");
        check_labels();
        check_weights();
        check_representatives();
        check_curve();
    }

  private:
    void require(bool holds, const char* path, const std::string& message) const {
        if (!holds) throw core::DataError(fmt::format("{}: {}: {}", file_, path, message));
    }

    void check_labels() const {
        const auto clusters = static_cast<std::int64_t>(clustering_.clusters());
        const auto in_range = [&](std::int32_t c) { return c >= -1 && c < clusters; };
        for (std::size_t i = 0; i < clustering_.devices(); ++i) {
            const std::int32_t own = clustering_.cluster_of_device[i];
            const std::int32_t assigned = clustering_.assigned_cluster[i];
            const double ratio = clustering_.device_ratio[i];
            require(in_range(own), "/cluster_of_device",
                    fmt::format("device {} is in cluster {} of {}", i, own, clusters));
            require(in_range(assigned) && (own < 0 || own == assigned), "/assigned_cluster",
                    fmt::format("device {} of cluster {} is assigned to {}", i, own, assigned));
            require(std::isfinite(ratio) && (assigned < 0 ? ratio == 0.0 : ratio > 0.0),
                    "/device_ratio", fmt::format("device {} has ratio {:f}", i, ratio));
        }
    }

    void check_weights() const {
        double sum = 0.0;
        for (std::size_t c = 0; c < clustering_.clusters(); ++c) {
            const double weight = clustering_.cluster_weight[c];
            const double ratio = clustering_.cluster_mean_ratio[c];
            require(weight > 0.0 && weight <= 1.0, "/cluster_weight",
                    fmt::format("cluster {} has weight {:f}", c, weight));
            require(std::isfinite(ratio) && ratio > 0.0, "/cluster_mean_ratio",
                    fmt::format("cluster {} has ratio {:f}", c, ratio));
            sum += weight;
        }
        require(std::abs(sum - 1.0) <= 1e-9, "/cluster_weight",
                fmt::format("the weights sum to {:f}, expected 1", sum));
    }

    void check_representatives() const {
        std::vector<bool> seen(clustering_.devices(), false);
        for (std::size_t c = 0; c < clustering_.clusters(); ++c) {
            require(!clustering_.representatives[c].empty(), "/representatives",
                    fmt::format("cluster {} has none", c));
            for (const std::int32_t device : clustering_.representatives[c]) {
                const bool valid =
                    device >= 0 && static_cast<std::size_t>(device) < clustering_.devices();
                const auto i = static_cast<std::size_t>(device);
                require(valid && !seen[i] &&
                            clustering_.cluster_of_device[i] == static_cast<std::int32_t>(c),
                        "/representatives",
                        fmt::format("device {} cannot represent cluster {}", device, c));
                seen[i] = true;
            }
        }
    }

    void check_curve() const {
        const std::vector<double>& curve = clustering_.k_distance;
        const bool plausible = curve.size() <= curve_kept &&
                               std::all_of(curve.begin(), curve.end(), [](double distance) {
                                   return std::isfinite(distance) && distance >= 0.0;
                               });
        require(plausible && std::is_sorted(curve.begin(), curve.end()), "/k_distance",
                "expected at most 1000 ascending distances");
    }

    const Clustering& clustering_;
    const std::string& file_;
};

/// Splits the padded table into one list per cluster.
std::vector<std::vector<std::int32_t>> read_representatives(const storage::Hdf5Reader& file,
                                                            std::size_t clusters) {
    const storage::Shape shape = file.shape("/representatives");
    if (shape.size() != 2 || shape[0] != clusters)
        throw core::DataError(
            fmt::format("{}: /representatives: expected one row for each of {} clusters",
                        file.name(), clusters));
    const std::vector<std::int32_t> table = file.read<std::int32_t>("/representatives", shape);
    std::vector<std::vector<std::int32_t>> representatives(clusters);
    for (std::size_t i = 0; i < table.size(); ++i)
        if (table[i] != -1) representatives[i / shape[1]].push_back(table[i]);
    return representatives;
}

} // namespace

Clustering read_clustering(const storage::Hdf5Reader& file) {
    Clustering clustering;
    const std::string metric = file.attribute_string("/", "metric");
    if (metric != "level" && metric != "shape")
        throw core::DataError(fmt::format(
            "{}: root attribute metric is '{}', expected 'level' or 'shape'", file.name(), metric));
    clustering.metric = metric == "level" ? SignatureMetric::level : SignatureMetric::shape;
    clustering.eps = file.attribute_double("/", "eps");
    clustering.min_points = file.attribute_int("/", "min_points");
    clustering.no_dense_group = file.attribute_int("/", "no_dense_group") != 0;
    clustering.cluster_weight = file.read<double>("/cluster_weight");
    clustering.cluster_of_device = file.read<std::int32_t>("/cluster_of_device");
    const storage::Shape per_cluster{clustering.clusters()};
    const storage::Shape per_device{clustering.devices()};
    clustering.assigned_cluster = file.read<std::int32_t>("/assigned_cluster", per_device);
    clustering.device_ratio = file.read<double>("/device_ratio", per_device);
    clustering.cluster_mean_ratio = file.read<double>("/cluster_mean_ratio", per_cluster);
    clustering.representatives = read_representatives(file, clustering.clusters());
    clustering.k_distance = file.read<double>("/k_distance");
    ClusteringCheck(clustering, file.name()).run();
    return clustering;
}

std::vector<core::Setting> settings_of(ClusteringParameters& parameters) {
    constexpr auto shapes = core::Outputs::clusters;
    return {
        core::choice("method", parameters.method,
                     {{"dbscan", ClusteringMethod::dbscan},
                      {"single_device", ClusteringMethod::single_device},
                      {"whole_fleet", ClusteringMethod::whole_fleet}},
                     "dbscan: dense groups; baselines: one device stands for all, or the fleet is "
                     "one group",
                     shapes),
        core::choice("weighting", parameters.weighting,
                     {{"devices", ClusterWeighting::devices}, {"equal", ClusterWeighting::equal}},
                     "What a cluster counts in the fleet's mean: its devices, or as much as any "
                     "other",
                     shapes),
        core::choice("metric", parameters.metric,
                     {{"level", SignatureMetric::level}, {"shape", SignatureMetric::shape}},
                     "level: compare latencies; shape: without the device's overall speed", shapes),
        core::real("eps", parameters.eps, {0.0, 10.0},
                   "Radius in log latency, 0.01 is about 1 %; 0: at the knee of the k-distance "
                   "curve",
                   shapes),
        core::integer("min_points", parameters.min_points, {0, 1'000'000},
                      "Devices that make a dense group; 0: by the size of the fleet", shapes),
        core::integer("representatives", parameters.representatives, {1, 1000},
                      "Devices of a cluster that are measured on its behalf", shapes),
        core::choice(
            "noise", parameters.noise,
            {{"nearest_cluster", NoisePolicy::nearest_cluster}, {"drop", NoisePolicy::drop}},
            "How devices in no group count: with the nearest cluster, or not at all", shapes)};
}

} // namespace hdap::fleet
