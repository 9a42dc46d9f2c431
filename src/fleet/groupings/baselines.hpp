#pragma once

#include "grouping.hpp"

namespace hdap::fleet {

/// One group of all devices.
Grouping group_as_whole(const GroupingTask& task);

/// The same, for which one device stands, drawn by the parameters' seed among those that were
/// measured on most benchmarks: the one device of a lab that has no other.
Grouping group_for_single_device(const GroupingTask& task);

/// A group for each device. Throws ConfigError where that asks for too many measurements.
Grouping group_per_device(const GroupingTask& task);

} // namespace hdap::fleet
