#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace hdap::search {

/// Chooses the networks to hand out when a fleet may get `count` different ones, each cluster the
/// one that is fastest on it: minimises Σ_k weight_k · min_v latency_vk over all sets of `count`
/// candidates v, the weighted k-median problem. Up to 12 clusters it is solved exactly, by dynamic
/// programming over the sets of clusters that get the same network; above, by greedy insertion and
/// single swaps as long as one helps (Teitz and Bart, Operations Research 16(5), 1968).
///
/// @param latency_ms [candidate][cluster], row-major, positive
/// @param weight [cluster]
/// @param count at least 1
/// @return indices of candidates, ascending; fewer than `count` when more would help no cluster
/// Complexity: O(2^clusters · candidates + 3^clusters · count), above 12 clusters
/// O(candidates · clusters · count) a pass, few passes.
std::vector<std::size_t> choose_variants(std::span<const double> latency_ms,
                                         std::span<const double> weight, std::size_t count);

/// The one of `variants` that is fastest on each cluster, [cluster]; ties by index.
std::vector<std::size_t> variant_of_cluster(std::span<const double> latency_ms,
                                            std::size_t clusters,
                                            std::span<const std::size_t> variants);

} // namespace hdap::search
