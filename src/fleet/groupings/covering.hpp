#pragma once

#include "grouping.hpp"

namespace hdap::fleet {

/// Groups of devices whose signatures lie within a radius of one of them, its representative; those
/// beyond every radius, a hundredth of the fleet or less where most_clusters allows that, are in
/// none. Unlike a bound on the gap between neighbours, a radius bounds how wrong a representative
/// can be, at any number of devices.
///
/// Representatives are chosen greedily, each the one that covers most of what the others do not
/// (Chvátal, "A greedy heuristic for the set-covering problem", Mathematics of Operations Research
/// 4(3), 1979), among at most 1,000 devices, so as to cover at most 8,000 evenly spaced ones. After
/// each choice all of them move to the middle of their groups, as a device between two groups
/// covers much and is like none. In the end those at the middle of a group whose overall speed is
/// the most usual one in it represent it. So the groups are those of the fleet that the devices
/// were drawn from, whatever their number.
///
/// Without a radius there is one group where shapes are no more than noise (shape_is_noise). Else
/// ever smaller ones are tried on held-out benchmarks and devices until the error
/// is as wanted; where it is not reached, the widest one that is not worse than the best,
/// benchmark by benchmark, by more than a standard error.
/// Complexity: O(devices · groups · benchmarks), parallel, beside what does not grow with them.
Grouping group_by_covering(const GroupingTask& task);

} // namespace hdap::fleet
