#pragma once

#include "hdap/fleet/fleet.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace hdap::fleet {

/// Throws InternalError unless `groups` has the number of a group for each device, negative for
/// none and below the number of devices.
void check_groups(const Fleet& fleet, std::span<const std::int32_t> groups);

/// How groups of devices rank the benchmarks.
struct GroupAgreement {
    double lowest = 1.0; ///< Kendall's tau of the two groups that agree least
    double median = 1.0; ///< over pairs of groups
    std::size_t groups = 0;
};

/// Of the groups' mean latencies; `groups` as for check_groups. Nothing for fewer than two groups,
/// or fewer than three benchmarks that devices of every group ran. Throws InternalError as
/// check_groups. Complexity: O(devices · benchmarks + groups² · benchmarks · log benchmarks).
std::optional<GroupAgreement> group_agreement(const Fleet& fleet,
                                              std::span<const std::int32_t> groups);

} // namespace hdap::fleet
