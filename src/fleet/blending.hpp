#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace hdap::fleet {

/// Devices whose latencies are told from those of clusters.
struct BlendTask {
    std::span<const double> latency_ms; ///< [device][benchmark], none missing
    std::size_t benchmarks = 1;
    std::span<const double> reference_ms;   ///< [cluster][benchmark] of its representatives
    std::span<const std::int32_t> assigned; ///< [device] its cluster; −1: it does not count
    std::span<const double> ratio;          ///< [device] latency ÷ its cluster's, overall
};

/// From what each device's latency is told: its ratio times what a row of `blends` makes of the
/// clusters' latencies.
struct DeviceBlends {
    std::vector<std::int32_t> blend; ///< [device]; −1: it does not count
    /// [blend][cluster] not negative. The first blends are the clusters, each alone.
    std::vector<double> blends;
};

/// Each device its own cluster times its ratio.
DeviceBlends unblended(const BlendTask& task, std::size_t clusters);

/// A device between clusters is told from several: the combination w ≥ 0 of its own and the four
/// nearest others that comes nearest to its latencies x on the benchmarks, as relative differences,
/// with a ridge towards its own cluster alone,
///     Σ_b (1 − Σ_k w_k R_kb ÷ x_b)² ÷ B + ridge · Σ_k (τ_k (w_k − own_k))²,
/// where R are the clusters' latencies, τ_k the mean over b of R_kb ÷ x_b, and own is the ratio for
/// its cluster and 0 for others (Lawson and Hanson, "Solving Least Squares Problems", 1974,
/// chapter 23). Combinations are then rounded, the clusters' shares of
/// the latency to eighths, and those that are alike share their mean as a blend, at most 128 of
/// them: where no other cluster has a sixteenth, a device is its own cluster's alone.
/// The result does not depend on the number of threads. `ridge` > 0.
/// Complexity: O(devices · (clusters + 100) · benchmarks), parallel.
DeviceBlends blended(const BlendTask& task, std::size_t clusters, double ridge);

} // namespace hdap::fleet
