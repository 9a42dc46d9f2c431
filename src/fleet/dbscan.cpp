#include "hdap/fleet/dbscan.hpp"

#include "fleet/components.hpp"
#include "fleet/core_points.hpp"
#include "fleet/nearest.hpp"
#include "hdap/fleet/evenly_spaced.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace hdap::fleet {

namespace {

/// [slot] for every point that was not kept, of the core points that were, the slot of the nearest
/// within eps, or no_slot. Ranks and threads share the leaves. Collective.
std::vector<KdTree::Slot> nearest_core_points(const KdTree& cores, double squared_eps,
                                              const Shares& shares) {
    const std::size_t slots = cores.slots_per_leaf();
    std::vector<KdTree::Slot> nearest(shares.mine(cores.leaves()) * slots, no_slot);
#pragma omp parallel
    {
        NearestSearch search(cores);
        std::vector<double> point(cores.dimension());
#pragma omp for schedule(dynamic, 16)
        for (std::size_t i = 0; i < shares.mine(cores.leaves()); ++i) {
            const KdTree::Node leaf = cores.node_of_leaf(shares.item(i));
            for (std::size_t place = cores.count(leaf); place < cores.points(leaf); ++place) {
                cores.coordinates(static_cast<KdTree::Slot>(cores.first_slot(leaf) + place), point);
                nearest[i * slots + place] = search.nearest(point.data(), squared_eps);
            }
        }
    }
    return shares.gather_items(std::move(nearest), cores.leaves(), slots);
}

/// Labels every point by the set of its own slot, or of the nearest core point's.
DbscanResult labelled(const KdTree& cores, DisjointSets& sets,
                      const std::vector<KdTree::Slot>& nearest, std::size_t points) {
    DbscanResult result;
    result.label.assign(points, -1);
    std::vector<std::int32_t> cluster(cores.slots(), -1); // [root]
    for (std::size_t l = 0; l < cores.leaves(); ++l) {
        const KdTree::Node leaf = cores.node_of_leaf(l);
        for (std::size_t place = 0; place < cores.points(leaf); ++place) {
            const auto slot = static_cast<KdTree::Slot>(cores.first_slot(leaf) + place);
            const KdTree::Slot core = place < cores.count(leaf) ? slot : nearest[slot];
            if (core == no_slot) continue;
            std::int32_t& number = cluster[sets.find(core)];
            if (number < 0) number = result.clusters++;
            result.label[cores.point(slot)] = number;
        }
    }
    return result;
}

/// Renumbers clusters by descending size; equal ones by their lowest point.
void renumber(DbscanResult& result) {
    const auto clusters = static_cast<std::size_t>(result.clusters);
    std::vector<std::size_t> size(clusters, 0);
    std::vector<std::size_t> lowest(clusters, result.label.size());
    for (std::size_t i = result.label.size(); i-- > 0;) {
        if (result.label[i] < 0) continue;
        const auto cluster = static_cast<std::size_t>(result.label[i]);
        ++size[cluster];
        lowest[cluster] = i;
    }
    std::vector<std::size_t> order(clusters);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return size[a] != size[b] ? size[a] > size[b] : lowest[a] < lowest[b];
    });
    std::vector<std::int32_t> number(clusters);
    for (std::size_t rank = 0; rank < clusters; ++rank)
        number[order[rank]] = static_cast<std::int32_t>(rank);
    for (std::int32_t& label : result.label)
        if (label >= 0) label = number[static_cast<std::size_t>(label)];
}

DbscanResult shared_dbscan(PointView points, double eps, std::int64_t min_points,
                           const Shares& shares) {
    if (points.size() == 0) return {};
    const double squared_eps = eps * eps;
    KdTree tree(points);
    tree.keep(core_points(tree, squared_eps, static_cast<std::size_t>(min_points), shares));
    DisjointSets sets = components(tree, squared_eps, shares);
    const std::vector<KdTree::Slot> nearest = nearest_core_points(tree, squared_eps, shares);
    DbscanResult result = labelled(tree, sets, nearest, points.size());
    renumber(result);
    return result;
}

} // namespace

DbscanResult dbscan(PointView points, double eps, std::int64_t min_points) {
    return shared_dbscan(points, eps, min_points, Shares());
}

DbscanResult dbscan(PointView points, double eps, std::int64_t min_points,
                    const parallel::Communicator& communicator) {
    return shared_dbscan(points, eps, min_points, Shares(&communicator));
}

std::size_t dbscan_bytes(std::size_t points, std::size_t dimension) {
    // The tree's copy of the points, with up to a quarter of its slots empty; its boxes, of a
    // thirty-second as many nodes at most; and while it is built, a key and the order of each
    // point.
    constexpr std::size_t bytes_per_coordinate = 8 * 5 / 4 + 1;
    constexpr std::size_t bytes_per_point = 30;
    return points * (dimension * bytes_per_coordinate + bytes_per_point);
}

std::int64_t min_points_for(std::size_t devices) {
    constexpr std::int64_t fewest = 5;
    constexpr std::int64_t devices_per_point = 400;
    return std::max(static_cast<std::int64_t>(devices) / devices_per_point, fewest);
}

std::vector<double> density_curve(PointView points, std::int64_t min_points) {
    constexpr std::size_t curve_points = 2'000;
    constexpr std::size_t sample = 100'000;
    constexpr double fewest = 5.0;
    const double scaled = static_cast<double>(min_points) * static_cast<double>(sample) /
                          static_cast<double>(points.size());
    if (points.size() <= sample || scaled < fewest)
        return k_distance_curve(points, min_points - 1, curve_points);
    std::vector<double> coordinates;
    coordinates.reserve(sample * points.dimension);
    for (const std::size_t i : evenly_spaced(points.size(), sample))
        coordinates.insert(coordinates.end(), points[i], points[i] + points.dimension);
    return k_distance_curve({coordinates, points.dimension}, std::llround(scaled) - 1,
                            curve_points);
}

double eps_at_knee(std::span<const double> ascending, double smallest) {
    constexpr double lowest_knee = 0.90;
    constexpr double highest_knee = 0.97;
    const auto at = [&](double share) {
        return static_cast<std::size_t>(share * static_cast<double>(ascending.size() - 1));
    };
    const std::size_t index = std::clamp(knee(ascending), at(lowest_knee), at(highest_knee));
    return std::max(ascending[index], smallest);
}

std::vector<double> k_distance_curve(PointView points, std::int64_t k, std::size_t sample) {
    const std::size_t count = points.size();
    const std::size_t queries = std::min(count, sample);
    std::vector<double> distance(queries, 0.0);
    if (count < 2 || k < 1) return distance;
    const NeighbourIndex index(points);
    // The point itself is its own nearest neighbour.
    const std::size_t nth = std::min(static_cast<std::size_t>(k), count - 1) + 1;
#pragma omp parallel for schedule(dynamic, 64)
    for (std::size_t q = 0; q < queries; ++q)
        distance[q] = index.kth_distance(points[q * count / queries], nth);
    std::sort(distance.begin(), distance.end());
    return distance;
}

std::size_t knee(std::span<const double> ascending) {
    const std::size_t last = ascending.size() - 1;
    const double rise = ascending.back() - ascending.front();
    if (!(rise > 0.0)) return last;
    std::size_t best = last;
    double best_gap = 0.0;
    for (std::size_t i = 0; i < ascending.size(); ++i) {
        const double x = static_cast<double>(i) / static_cast<double>(last);
        const double gap = x - (ascending[i] - ascending.front()) / rise;
        if (gap > best_gap) {
            best_gap = gap;
            best = i;
        }
    }
    return best;
}

} // namespace hdap::fleet
