#pragma once

#include "hdap/fleet/clustering.hpp"
#include "hdap/storage/hdf5.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace hdap::fleet {

/// How the devices of a fleet spread around their clusters' representatives: all that is needed of
/// them to tell a candidate's mean, quantiles and deadline misses over the fleet from its latency
/// on each cluster. Its size does not grow with the fleet's.
///
/// A *part* is the devices of one blend (Clustering): the latency of each is its ratio times what
/// the blend makes of the clusters' latencies.
struct FleetDistribution {
    std::vector<double> cluster_weight; ///< [cluster] sums to 1
    /// [cluster][cluster] what the clusters' latencies count in the mean latency of the devices
    /// that a cluster stands for.
    std::vector<double> cluster_blend;
    std::vector<double> part_weight;        ///< [part] share of the fleet; sums to 1
    std::vector<std::int32_t> part_cluster; ///< [part] that stands for its devices
    std::vector<double> part_blend;         ///< [part][cluster]
    /// The ratios in bins of 0.01 % width, the empty ones left out: part p has the bins
    /// [first_bin[p], first_bin[p + 1]), ascending.
    std::vector<std::size_t> first_bin;    ///< [part + 1]
    std::vector<double> bin_ratio;         ///< [bin] mean of the ratios in it
    std::vector<std::int64_t> bin_devices; ///< [bin] devices in it and in the part's bins before

    [[nodiscard]] std::size_t clusters() const noexcept { return cluster_weight.size(); }
    [[nodiscard]] std::size_t parts() const noexcept { return part_weight.size(); }
};

/// The distribution of the devices that count. Complexity: O(devices log devices).
FleetDistribution distribution_of(const Clustering& clustering);

/// The mean latency in ms of the devices that `cluster` stands for. `cluster_latency_ms`: [cluster]
/// on its representatives, here and below. Complexity: O(clusters).
double cluster_mean_ms(const FleetDistribution& fleet, std::span<const double> cluster_latency_ms,
                       std::size_t cluster);

/// The mean latency over the fleet in ms, each cluster counting by its weight. Complexity:
/// O(clusters²).
double mean_latency_ms(const FleetDistribution& fleet, std::span<const double> cluster_latency_ms);

/// The smallest latency that at least the share `q`, (0, 1], of the fleet keeps to, in ms, exact
/// for the bins' ratios. Complexity: O(parts · (clusters + log² bins)) where no two bins have
/// almost one latency.
double latency_quantile_ms(const FleetDistribution& fleet,
                           std::span<const double> cluster_latency_ms, double q);

/// The share of the fleet that is slower than `limit_ms`.
double share_slower_than(const FleetDistribution& fleet, std::span<const double> cluster_latency_ms,
                         double limit_ms);

/// Writes one data set per field below "/distribution".
void write_distribution(storage::Hdf5Writer& file, const FleetDistribution& fleet);
/// Reads what write_distribution wrote. Throws DataError for data sets that are missing, disagree
/// or hold values out of range.
FleetDistribution read_distribution(const storage::Hdf5Reader& file);

} // namespace hdap::fleet
