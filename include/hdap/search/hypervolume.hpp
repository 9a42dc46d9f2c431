#pragma once

#include <cstddef>
#include <span>

namespace hdap::search {

/// The exact volume of the region that `points` dominate up to `reference`, all objectives being
/// minimised. A point that does not lie below the reference in every objective adds nothing.
///
/// Two objectives by a sweep, three by a sweep with a staircase, O(n log n) (after Fonseca et al.,
/// "An improved dimension-sweep algorithm for the hypervolume indicator", CEC 2006). More by
/// exclusive volumes (WFG: While et al., "A fast way of calculating exact hypervolumes", IEEE TEVC
/// 16(1), 2012), sliced along the last objective down to three; exponential in m at worst.
/// The result does not depend on the order of the points.
///
/// @param points [n][m]
/// @param reference [m], finite
/// Throws InternalError for NaN or −∞ in a point and for sizes that do not fit.
double hypervolume(std::span<const double> points, std::size_t m,
                   std::span<const double> reference);

} // namespace hdap::search
