#pragma once

#include "hdap/core/settings.hpp"
#include "hdap/fleet/dbscan.hpp"
#include "hdap/fleet/figure_errors.hpp"
#include "hdap/fleet/fleet.hpp"
#include "hdap/fleet/signatures.hpp"
#include "hdap/storage/hdf5.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace hdap::fleet {

/// Root attribute `schema` of clusters.h5.
inline constexpr const char* clusters_schema = "hdap-clusters/3";

/// The smallest automatic eps: devices within 0.1 % of each other never need to be told apart.
inline constexpr double smallest_automatic_eps = 1e-3;

/// By what devices are compared.
enum class MetricChoice {
    /// level for dbscan, as published; else shape, of two benchmarks or more. Where shape is not
    /// above noise, covering makes one group: ratios tell all that level could.
    automatic,
    level,
    shape,
};

/// What a cluster counts in the fleet's mean.
enum class ClusterWeighting {
    devices, ///< the devices that it stands for
    equal,   ///< as much as any other: what public code of the method does
};

/// How noise devices count in the cluster weights.
enum class NoisePolicy {
    nearest_cluster, ///< as devices of the cluster of the nearest clustered device
    drop,            ///< not at all
};

/// How a device's latency comes from its cluster's.
enum class Blending {
    automatic, ///< from those of several clusters, where that is seen to be nearer; else as `never`
    never,     ///< its cluster's times the device's own ratio
};

/// What shapes a clustering.
struct ClusteringParameters {
    std::string method = "covering"; ///< one of grouping_method_names()
    MetricChoice metric = MetricChoice::automatic;
    /// covering: how far a device may be from its representative, as the root mean square over the
    /// benchmarks of the difference in log latency: 0.01 is about 1 %. 0: the largest that keeps
    /// `error`.
    double radius = 0.0;
    /// covering: largest error of the fleet's mean and 95th percentile that the groups may make,
    /// as a share; of the mean of the slowest hundredth, twice that.
    double error = 0.01;
    std::int64_t most_clusters = 24; ///< covering: never more
    /// dbscan: radius in log latency. 0: that of eps_at_knee, at least smallest_automatic_eps.
    double eps = 0.0;
    /// dbscan: devices within eps, itself included, that make a device a core one. 0: that of
    /// min_points_for.
    std::int64_t min_points = 0;
    std::int64_t representatives = 3; ///< wanted per cluster; a small cluster has fewer
    NoisePolicy noise = NoisePolicy::nearest_cluster;
    Blending blending = Blending::automatic;
    ClusterWeighting weighting = ClusterWeighting::devices;
    std::uint64_t seed = 0; ///< of the device that single_device draws
};

/// The ways to group devices, the standard one first.
std::vector<std::string> grouping_method_names();

/// A radius that `covering` has tried.
struct RadiusTrial {
    double radius = 0.0;
    std::int64_t clusters = 0;
    FigureErrors errors;
    bool operator==(const RadiusTrial&) const = default;
};

/// What a method tells beside the groups; 0 or empty where it is another method's.
struct GroupingFacts {
    double radius = 0.0; ///< covering: of every cluster, around its first representative
    std::vector<RadiusTrial> trials; ///< covering, unless the radius was given: widest first
    /// covering: devices differ by speed and noise alone, so that they are one group.
    bool shape_is_noise = false;
    double eps = 0.0;            ///< dbscan: the radius used
    std::int64_t min_points = 0; ///< dbscan: the number used
    /// dbscan: sorted distances to the (min_points − 1)-th nearest other device, thinned to
    /// ≤ 1,000.
    std::vector<double> k_distance;
    /// dbscan: it found noise devices only; the whole fleet was made one cluster.
    bool no_dense_group = false;
    bool operator==(const GroupingFacts&) const = default;
};

/// Device clusters: groups that respond alike. Clusters are numbered by descending size.
struct Clustering {
    std::string method;
    SignatureMetric metric = SignatureMetric::level;
    GroupingFacts facts;
    std::vector<std::int32_t> cluster_of_device; ///< [device]; -1: a noise device
    /// [device] the cluster that stands for it: its own, for noise devices by policy; -1: dropped.
    std::vector<std::int32_t> assigned_cluster;
    /// [cluster] share of the assigned devices, or equal shares; sums to 1.
    std::vector<double> cluster_weight;
    /// [device] its latency ÷ that of its blend: for a blend of one cluster, that of its
    /// representatives, geometric means over benchmarks, those estimated among them, and
    /// representatives; of a kept cluster, as these were when it was new. 0 for a dropped device.
    std::vector<double> device_ratio;
    std::vector<double> cluster_mean_ratio; ///< [cluster] mean device_ratio of assigned devices
    /// [device] the blend that its latency is told from; -1 for a dropped device.
    std::vector<std::int32_t> blend_of_device;
    /// [blend][cluster] what the clusters' latencies count in the latency of a device of ratio 1.
    /// The first blends are the clusters themselves, each alone.
    std::vector<double> blends;
    /// [cluster][cluster] what the clusters' latencies count in the mean latency of the devices
    /// that a cluster stands for.
    std::vector<double> cluster_blend;
    /// [cluster] the devices that are measured on its behalf, unless the method says who: those
    /// nearest to the mean signature of the cluster's own devices, nearest first, among the quarter
    /// of them that were measured on most benchmarks (at least as many as are wanted, and all that
    /// were measured on as many as the last of these).
    std::vector<std::vector<std::int32_t>> representatives;
    /// What the clusters make of the fleet's figures, on benchmarks and devices that were held out;
    /// nothing where there are too few to hold one out.
    std::optional<FigureErrors> held_out;
    /// How alike the groups of two halves of the fleet are: the adjusted Rand index, 1 is the same
    /// and 0 is chance. Nothing for fewer than 40 devices.
    std::optional<double> stability;
    /// [cluster] which cluster of the fleet as it was it is, −1: a new one. Empty where none were
    /// to be kept.
    std::vector<std::int32_t> former_cluster;

    [[nodiscard]] std::size_t devices() const noexcept { return cluster_of_device.size(); }
    [[nodiscard]] std::size_t clusters() const noexcept { return cluster_weight.size(); }
};

/// A fleet as it was, and the clusters that it was in.
struct FormerClusters {
    Fleet fleet;
    Clustering clustering;
};

/// About the most memory that clustering so many devices takes beside the fleet, in bytes.
std::size_t clustering_bytes(std::size_t devices, std::size_t benchmarks);

/// Clusters the devices of a fleet by `parameters.method`. What is missing is estimated
/// (completed_latencies). Uses OpenMP; the result does not depend on the threads.
/// Throws ConfigError for parameters out of range, an unknown method and more than 1,000 groups;
/// DataError when the fleet is invalid (check_fleet), InternalError when there is not memory enough
/// (clustering_bytes). `dbscan`: what finds dense groups; nothing: fleet::dbscan (DbscanTeam has
/// others). Complexity: O(n log n) typically, O(n · benchmarks) memory.
Clustering cluster_devices(const Fleet& fleet, const ClusteringParameters& parameters,
                           const FindDense& dbscan = {});

/// Clusters a fleet as cluster_devices does, but keeps of the clusters that it was in those that
/// are still valid (drift_of). A device that counts to the same cluster as before stays in it,
/// others join the kept cluster that they are in reach of; its representatives stay where they are
/// in it, as many central devices take the place of the others, and its latencies are still told at
/// what they were measured at. The rest is grouped by the parameters' method, with the radius, or
/// eps and min_points, of then: the devices of clusters that are not valid, and, where there are
/// more than chance would have, those that are out of every cluster's reach. A fleet that is the
/// same gets the same clusters, bit for bit. `held_out` and `stability` are of groups that the
/// method makes of the new fleet with that radius. Takes the memory of both fleets' clustering.
/// Throws as cluster_devices and drift_of do, and ConfigError when the former clusters were made by
/// another method or metric.
Clustering continue_clusters(const Fleet& fleet, const ClusteringParameters& parameters,
                             const FormerClusters& former);

/// What `device`, one that counts, is told to take where the clusters' representatives take
/// `cluster_latency_ms` [cluster], in ms. Complexity: O(clusters).
double device_latency_ms(const Clustering& clustering, std::span<const double> cluster_latency_ms,
                         std::size_t device);

/// How devices were grouped: "covering, radius 0.05", "dbscan, eps 0.012".
std::string grouping_text(const Clustering& clustering);

/// What to know of the groups before they are used: that there is no dense one, or that many
/// devices are in none; with what to change. Empty where there is nothing.
std::string grouping_warning(const Clustering& clustering);

/// What the groups make of the fleet's figures on held-out benchmarks: "on held-out benchmarks the
/// mean is off by 0.1 %, the 95th percentile by 0.4 %, …"; empty where nothing was held out.
std::string held_out_text(const Clustering& clustering);

/// Writes one data set per field; /representatives is int32 [cluster, rank], padded with -1; and as
/// root attributes `method`, `metric` and what the method tells.
void write_clustering(storage::Hdf5Writer& file, const Clustering& clustering);

/// Reads what write_clustering has written.
/// Throws DataError when data sets are missing, disagree, or hold values out of range.
Clustering read_clustering(const storage::Hdf5Reader& file);

/// The settings of `parameters`, which must outlive them.
std::vector<core::Setting> settings_of(ClusteringParameters& parameters);

} // namespace hdap::fleet
