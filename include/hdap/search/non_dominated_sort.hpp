#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace hdap::search {

/// The rank of every point: 0 for those that no other point dominates, 1 for those that only
/// points of rank 0 dominate, and so on. Equal points share a rank.
///
/// Domination is that of Deb et al., "A fast and elitist multiobjective genetic algorithm:
/// NSGA-II" (IEEE TEVC 6(2), 2002), section VI: a feasible point (violation 0) dominates every
/// infeasible one, and of two infeasible points that with the smaller violation dominates,
/// whatever their objectives are. All objectives are minimised.
///
/// The points are visited in lexicographic order, each one's front is found by binary search, and
/// a front knows quickly whether it dominates a point (the search of ENS-BS: Zhang et al., IEEE
/// TEVC 19(2), 2015): by one number for two objectives, by a staircase for three.
/// Complexity: O(n log n) for m ≤ 2. O(n log² n) comparisons for m = 3, though inserting into a
/// long staircase moves O(n) numbers. O(m n²) at worst for m ≥ 4.
///
/// @param objectives [n][m]
/// @param violations [n], at least 0; empty when all points are feasible
/// Throws InternalError for NaN, for a negative violation and for sizes that do not fit.
std::vector<std::int32_t> non_dominated_rank(std::span<const double> objectives, std::size_t m,
                                             std::span<const double> violations);

/// The crowding distance (Deb et al. 2002, section III-B) of the points of one front, in the order
/// of `front`: the sum over the objectives of the gap between a point's neighbours, as a share of
/// the front's range; infinite for the first and the last point of an objective. Points that are
/// equal in an objective are ordered by their indices, so the result does not depend on the order
/// of `front`. An objective that is the same everywhere, or whose range is infinite, adds no gaps.
/// Complexity: O(m k log k) for k points.
///
/// @param objectives [n][m]
/// @param front distinct rows of `objectives`
/// Throws InternalError for NaN, for an index that is out of range, and for sizes that do not fit.
std::vector<double> crowding_distance(std::span<const double> objectives, std::size_t m,
                                      std::span<const std::size_t> front);

/// The indices of every rank's points, in ascending order, the best rank first.
/// Throws InternalError for a negative rank or one without a rank before it.
std::vector<std::vector<std::size_t>> fronts_of(std::span<const std::int32_t> ranks);

/// The crowding distance of every point within the front of its rank, in the points' order.
std::vector<double> crowding_distance_by_rank(std::span<const double> objectives, std::size_t m,
                                              std::span<const std::int32_t> ranks);

} // namespace hdap::search
