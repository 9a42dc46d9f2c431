#pragma once

#include "fleet/groupings/grouping.hpp"

#include <cstdint>
#include <optional>
#include <span>

namespace hdap::fleet {

/// How alike two groupings of the same devices are: 1 is the same, 0 is chance (Hubert and Arabie,
/// "Comparing partitions", Journal of Classification 2, 1985). 1 where both are one group.
double adjusted_rand_index(std::span<const std::int32_t> a, std::span<const std::int32_t> b);

/// How alike the groups are that two halves of a fleet have: at most 2,000 devices are dealt to two
/// halves, each is grouped by itself, and every device is in the group of the nearest one of either
/// half. Nothing for fewer than 40 devices.
std::optional<double> agreement_of_halves(const GroupingTask& task, GroupDevices group,
                                          const ClusteringParameters& parameters);

} // namespace hdap::fleet
