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
struct FleetDistribution {
    std::vector<double> cluster_weight;     ///< [cluster] sums to 1
    std::vector<double> cluster_mean_ratio; ///< [cluster] mean of its devices' ratios
    /// The ratios (a device's latency ÷ its cluster's) in bins of 0.01 % width, the empty ones left
    /// out: cluster k has the bins [first_bin[k], first_bin[k + 1]), ascending.
    std::vector<std::size_t> first_bin;    ///< [cluster + 1]
    std::vector<double> bin_ratio;         ///< [bin] mean of the ratios in it
    std::vector<std::int64_t> bin_devices; ///< [bin] devices in it and in the cluster's bins before

    [[nodiscard]] std::size_t clusters() const noexcept { return cluster_weight.size(); }
};

/// The distribution of the devices that count. Complexity: O(devices log devices).
FleetDistribution distribution_of(const Clustering& clustering);

/// The smallest latency that at least the share `q`, (0, 1], of the fleet keeps to, in ms, exact
/// for the bins' ratios: latencies are `cluster_latency_ms` [cluster] times a bin's ratio.
/// Complexity: O(64 · clusters · log bins).
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
