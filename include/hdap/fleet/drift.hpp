#pragma once

#include "hdap/fleet/clustering.hpp"
#include "hdap/fleet/fleet.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace hdap::fleet {

/// What became of a cluster.
struct ClusterDrift {
    double old_share = 0.0; ///< of the devices that count
    double new_share = 0.0; ///< without devices that respond as no cluster does and were not in it
    bool share_changed = false; ///< by more than chance would, with 99 % over all clusters
    std::int64_t joined = 0;    ///< devices of both fleets that were in another cluster before
    std::int64_t left = 0;      ///< for another cluster, or for none
    /// How far its middle has moved, as the root mean square over the benchmarks of the change in
    /// log latency, by the metric of the clustering; not a number where no device is left.
    double moved = 0.0;
    double overall_ratio = 1.0; ///< median over its devices of new ÷ old overall latency
    /// Whether what was measured on its representatives still tells how its devices respond.
    bool is_valid = false;
    bool operator==(const ClusterDrift&) const = default;
};

/// A device of both fleets that is now in another cluster, or in none.
struct MovedDevice {
    std::string device_id;
    std::int32_t from = 0;
    std::int32_t to = 0; ///< −1: none
    bool operator==(const MovedDevice&) const = default;
};

/// How a fleet has changed since it was clustered.
struct FleetDrift {
    std::size_t common_benchmarks = 0;
    std::size_t common_devices = 0;
    std::size_t new_devices = 0;  ///< that were not there
    std::size_t gone_devices = 0; ///< that are not there any more
    std::vector<ClusterDrift> clusters;
    std::vector<MovedDevice> moved; ///< in the order of the new fleet
    /// The share of the new devices that are further from their cluster than 99 % of its own were.
    double outside_share = 0.0;
    double outside_before = 0.0;  ///< the same of the old devices, noise devices among them
    bool outside_changed = false; ///< it is larger now by more than chance would have it
    /// The old clusters with the new devices: who is in which, ratios, weights.
    Clustering clustering;
    std::vector<std::int64_t> old_number; ///< [new device] its number in the old fleet; −1: none
    /// [new device] whether it was there, counts to the same cluster, and is outside only where it
    /// was before.
    std::vector<bool> stays;
    std::vector<double> overall; ///< [new device] mean log latency on the common benchmarks
    /// [cluster] the same of what its latencies are told at: its representatives, as they were when
    /// they were measured.
    std::vector<double> told_at;
};

/// Holds `now` against `before` and the clusters that it was in, by the benchmarks that both have.
///
/// A device, old or new, counts to the cluster of the nearest representatives; one that is further
/// from them than 99 % of the cluster's devices were before is outside. Of a cluster of n devices
/// that is 1 + 4 ÷ n times as far, as few devices do not show how far the next one may be, and at
/// least as far as the runs' noise goes. Latencies are compared relative to the old fleet's
/// medians, on benchmarks of one name that are not known to be two networks. What is missing is
/// estimated. A change of shares is held against chance by the test for two proportions; of devices
/// of both fleets, by McNemar's (Psychometrika 12, 1947).
///
/// A cluster is valid while its middle has moved by less than its devices scatter: then the
/// surrogates that were fitted on its representatives still hold. A device that is outside and was
/// not in the cluster does not move it, though it may be the nearest one.
///
/// Throws DataError when a fleet is invalid, is of another SKU, shares no benchmark, or does not
/// fit the clustering. Complexity: O(devices · (clusters · benchmarks + log devices)).
FleetDrift drift_of(const Fleet& before, const Clustering& clustering, const Fleet& now);

} // namespace hdap::fleet
