#pragma once

#include "hdap/fleet/clustering.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hdap::fleet {

/// [cluster] share of the devices that count. Sums to 1.
std::vector<double> shares_of(const std::vector<std::int32_t>& assigned_cluster,
                              std::size_t clusters);

/// Fills in cluster_mean_ratio and cluster_blend, means over the devices that a cluster stands for;
/// 0 where there are none.
void add_means(Clustering& clustering, std::size_t clusters);

} // namespace hdap::fleet
