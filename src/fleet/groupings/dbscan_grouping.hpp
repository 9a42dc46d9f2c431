#pragma once

#include "grouping.hpp"

namespace hdap::fleet {

/// The groups that DBSCAN finds (dbscan.hpp has the rules that make them unique), with `eps` and
/// `min_points` of the parameters, or automatic ones. Latencies that come in steps are spread over
/// them first (spread_over_ticks). Where it finds noise devices only, the fleet is one group.
Grouping group_by_density(const GroupingTask& task);

} // namespace hdap::fleet
