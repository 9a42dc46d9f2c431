#pragma once

#include "hdap/fleet/neighbours.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace hdap::fleet {

/// What DBSCAN finds.
struct DbscanResult {
    std::vector<std::int32_t> label; ///< [point] cluster, or -1 for noise
    std::int32_t clusters = 0;
};

/// DBSCAN (Ester, Kriegel, Sander and Xu, KDD 1996). A point is a core point when at least
/// `min_points` points, itself included, lie within `eps` (bounds included). Core points within
/// `eps` of each other share a cluster. Any other point within `eps` of a core point belongs to the
/// cluster of the nearest one, of equally near ones of that with the lowest index: the paper leaves
/// this to the order of processing. The rest is noise.
/// Clusters are numbered by descending size, equal ones by their lowest point. The result does not
/// depend on the number of threads. `eps` > 0, `min_points` ≥ 1.
/// Complexity: O(n log n) typically; O(n) memory, no neighbour lists are kept.
DbscanResult dbscan(PointView points, double eps, std::int64_t min_points);

/// Distances to the k-th nearest other point, ascending, for up to `sample` points spread evenly
/// over the indices (neighbours are searched among all points). k is cut to size − 1; a single
/// point has distance 0. Complexity: O(n log n + min(n, sample) log n), parallel.
std::vector<double> k_distance_curve(PointView points, std::int64_t k, std::size_t sample);

/// Index of the knee of an ascending, convex-like curve of at least one point: the point furthest
/// below the chord from the first to the last one, both axes scaled to [0, 1], as in Satopaa et
/// al., "Finding a 'kneedle' in a haystack", ICDCSW 2011 (without their smoothing: a sorted curve
/// is smooth). The last index when the curve is flat or has no point below its chord.
std::size_t knee(std::span<const double> ascending);

} // namespace hdap::fleet
