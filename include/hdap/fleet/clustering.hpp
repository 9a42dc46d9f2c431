#pragma once

#include "hdap/core/settings.hpp"
#include "hdap/fleet/fleet.hpp"
#include "hdap/storage/hdf5.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hdap::fleet {

/// Root attribute `schema` of clusters.h5.
inline constexpr const char* clusters_schema = "hdap-clusters/2";

/// The smallest automatic eps: devices within 0.1 % of each other never need to be told apart.
inline constexpr double smallest_automatic_eps = 1e-3;

/// How devices are compared.
enum class SignatureMetric {
    /// The logs of a device's latencies relative to the fleet's medians: the paper's.
    level,
    /// `level` minus its own mean over the benchmarks. A device that is slower by one factor on
    /// everything has the same best network; only its device_ratio differs.
    shape,
};

/// What makes a cluster.
enum class ClusteringMethod {
    dbscan,        ///< dense groups of devices
    single_device, ///< baseline: one cluster, represented by one device, drawn at random
    whole_fleet,   ///< baseline: one cluster, represented as DBSCAN's are
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

/// What shapes a clustering.
struct ClusteringParameters {
    SignatureMetric metric = SignatureMetric::level;
    /// Radius in log latency: 0.01 is about 1 %. 0: the k-distance curve's value at its knee, which
    /// is looked for between 90 % and 97 % of the curve, but at least smallest_automatic_eps.
    double eps = 0.0;
    /// Devices within eps, itself included, that make a device a core one. 0: one in 400 of the
    /// fleet, at least 5 and at most 250.
    std::int64_t min_points = 0;
    std::int64_t representatives = 3; ///< wanted per cluster; a small cluster has fewer
    NoisePolicy noise = NoisePolicy::nearest_cluster;
    ClusteringMethod method = ClusteringMethod::dbscan;
    ClusterWeighting weighting = ClusterWeighting::devices;
    std::uint64_t seed = 0; ///< of the device that single_device draws
};

/// Device clusters: groups that respond alike. Clusters are numbered by descending size.
struct Clustering {
    SignatureMetric metric = SignatureMetric::level;
    std::vector<std::int32_t> cluster_of_device; ///< [device]; -1: a noise device
    /// [device] the cluster that stands for it: its own, for noise devices by policy; -1: dropped.
    std::vector<std::int32_t> assigned_cluster;
    /// [cluster] share of the assigned devices, or equal shares; sums to 1.
    std::vector<double> cluster_weight;
    /// [device] its latency ÷ that of its assigned cluster's representatives, geometric means over
    /// benchmarks, those estimated among them, and representatives; 0 for a dropped device.
    std::vector<double> device_ratio;
    std::vector<double> cluster_mean_ratio; ///< [cluster] mean device_ratio of assigned devices
    /// [cluster] the devices nearest to the mean signature of the cluster's own devices, nearest
    /// first, among the quarter of them that were measured on most benchmarks (at least as many as
    /// are wanted, and all that were measured on as many as the last of these).
    std::vector<std::vector<std::int32_t>> representatives;
    double eps = 0.0;            ///< the radius used
    std::int64_t min_points = 0; ///< the number used
    /// Sorted distances to the (min_points − 1)-th nearest other device, thinned to ≤ 1,000.
    std::vector<double> k_distance;
    /// DBSCAN found noise devices only; the whole fleet was made one cluster. False for the other
    /// methods, for which eps, min_points and k_distance only describe the fleet.
    bool no_dense_group = false;

    [[nodiscard]] std::size_t devices() const noexcept { return cluster_of_device.size(); }
    [[nodiscard]] std::size_t clusters() const noexcept { return cluster_weight.size(); }
};

/// The latency signatures that `metric` compares, [device][benchmark], row-major; not a number
/// where a latency is missing, medians and means over the others. Complexity: O(devices ·
/// benchmarks).
std::vector<double> latency_signatures(const Fleet& fleet, SignatureMetric metric);

/// Clusters the devices of a fleet with DBSCAN on their latency signatures (see dbscan.hpp for the
/// rules that make the result unique). Latencies that come in steps are spread over them first
/// (spread_over_ticks), for DBSCAN alone. What is missing is estimated (completed_latencies). Uses
/// OpenMP; the result does not depend on the threads.
/// Throws ConfigError for eps < 0 or above 1000, min_points < 0, representatives < 1; DataError
/// when the fleet is invalid (check_fleet). Complexity: O(n log n) typically, O(n · benchmarks)
/// memory.
Clustering cluster_devices(const Fleet& fleet, const ClusteringParameters& parameters);

/// Writes one data set per field; /representatives is int32 [cluster, rank], padded with -1. Root
/// attributes: metric, eps, min_points, no_dense_group.
void write_clustering(storage::Hdf5Writer& file, const Clustering& clustering);

/// Reads what write_clustering has written.
/// Throws DataError when data sets are missing, disagree, or hold values out of range.
Clustering read_clustering(const storage::Hdf5Reader& file);

/// The settings of `parameters`, which must outlive them.
std::vector<core::Setting> settings_of(ClusteringParameters& parameters);

} // namespace hdap::fleet
