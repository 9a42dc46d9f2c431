#pragma once

#include "grouping.hpp"

namespace hdap::fleet {

/// The groups of continue_clusters. Throws as that does.
Grouping continued_grouping(const GroupingTask& task, const GroupingMethod& method,
                            const FormerClusters& former);

} // namespace hdap::fleet
