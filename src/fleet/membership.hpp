#pragma once

#include "hdap/fleet/neighbours.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace hdap::fleet {

/// [device] its group, or for a device in none (−1) that of the nearest device in one. Complexity:
/// O(n log n), parallel.
std::vector<std::int32_t> assigned_to_nearest(PointView signatures,
                                              std::vector<std::int32_t> group_of_device);

/// [device] its latency ÷ that of its group's representatives, geometric means over benchmarks and
/// representatives; 0 for a device of no group (−1). `mean_log`: [device] mean log latency.
std::vector<double>
ratios_to_representatives(std::span<const double> mean_log, std::span<const std::int32_t> assigned,
                          const std::vector<std::vector<std::int32_t>>& representatives);

} // namespace hdap::fleet
