#pragma once

#include "hdap/fleet/neighbours.hpp"
#include "hdap/parallel/communicator.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
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
/// Complexity: O(n log n), and for each point where the density passes the threshold, up to the
/// distances to all points about as near as `eps`: at a fixed share of the points a small part of
/// n². O(n) memory (dbscan_bytes), no neighbour lists are kept.
DbscanResult dbscan(PointView points, double eps, std::int64_t min_points);

/// Something that finds what dbscan finds.
using FindDense =
    std::function<DbscanResult(PointView points, double eps, std::int64_t min_points)>;

/// The same, with the work shared by the ranks of a job, all of which have the same points (see
/// Communicator::broadcast) and get the same result, that of one rank. Collective.
DbscanResult dbscan(PointView points, double eps, std::int64_t min_points,
                    const parallel::Communicator& communicator);

/// About the most memory that dbscan takes beside the points, per rank.
std::size_t dbscan_bytes(std::size_t points, std::size_t dimension);

/// The number of devices within eps that make a device a core one, when nobody says otherwise: one
/// in 400 of the fleet, but at least 5. With the same share of the fleet and the same eps, DBSCAN
/// looks for the regions of the same density whatever the fleet's size, so it finds the same
/// clusters within sampling error. That is large where the share is a handful of devices: below
/// some ten thousand devices, small clusters come and go. (With the same *number*, a larger fleet
/// has more stragglers between two groups that join them into one.)
std::int64_t min_points_for(std::size_t devices);

/// Distances to the (min_points − 1)-th nearest other point, ascending, of 2,000 points: the curve
/// at whose knee eps is. Neighbours are looked for among 100,000 points, spread evenly over the
/// indices; `min_points` is scaled down as the points are. Where fewer than 5 would be left of it,
/// they are looked for among all points. So the curve does not depend on the number of points but
/// for sampling error when `min_points` is a share of them.
std::vector<double> density_curve(PointView points, std::int64_t min_points);

/// The value of an ascending curve at its knee, which is looked for between 90 % and 97 % of it,
/// but at least `smallest`. One device that is ten times slower pulls the chord so far up that eps
/// would swallow the tail; a main mode with little noise pulls it so far down that a third of the
/// fleet would be noise. Real fleets have a few per cent of odd devices.
double eps_at_knee(std::span<const double> ascending, double smallest);

/// Distances to the k-th nearest other point, ascending, for up to `sample` points spread evenly
/// over the indices (neighbours are searched among all points). k is cut to size − 1; a single
/// point has distance 0. Complexity: O(n log n + min(n, sample) (k + log n)), parallel.
std::vector<double> k_distance_curve(PointView points, std::int64_t k, std::size_t sample);

/// Index of the knee of an ascending, convex-like curve of at least one point: the point furthest
/// below the chord from the first to the last one, both axes scaled to [0, 1], as in Satopaa et
/// al., "Finding a 'kneedle' in a haystack", ICDCSW 2011 (without their smoothing: a sorted curve
/// is smooth). The last index when the curve is flat or has no point below its chord.
std::size_t knee(std::span<const double> ascending);

} // namespace hdap::fleet
