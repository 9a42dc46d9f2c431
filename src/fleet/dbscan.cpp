#include "hdap/fleet/dbscan.hpp"

#include <algorithm>
#include <numeric>

namespace hdap::fleet {

namespace {

/// Gives every point that is not a core point the label of the nearest core point within eps.
void label_border_points(PointView points, PointView core_view,
                         const std::vector<std::size_t>& core_of, double eps,
                         const std::vector<std::uint8_t>& is_core,
                         std::vector<std::int32_t>& label) {
    const NeighbourIndex index(core_view);
#pragma omp parallel for schedule(dynamic, 256)
    for (std::size_t i = 0; i < points.size(); ++i) {
        if (is_core[i] != 0) continue;
        const std::size_t nearest = index.nearest(points[i], eps);
        if (nearest != NeighbourIndex::none) label[i] = label[core_of[nearest]];
    }
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

} // namespace

DbscanResult dbscan(PointView points, double eps, std::int64_t min_points) {
    DbscanResult result;
    result.label.assign(points.size(), -1);
    if (points.size() == 0) return result;
    const std::vector<std::uint8_t> is_core =
        has_neighbours(points, eps, static_cast<std::size_t>(min_points));
    std::vector<std::size_t> core_of;
    std::vector<double> core_coordinates;
    for (std::size_t i = 0; i < points.size(); ++i) {
        if (is_core[i] == 0) continue;
        core_of.push_back(i);
        core_coordinates.insert(core_coordinates.end(), points[i], points[i] + points.dimension);
    }
    if (core_of.empty()) return result;
    const PointView core_view{core_coordinates, points.dimension};
    const std::vector<std::int32_t> component = radius_components(core_view, eps);
    for (std::size_t c = 0; c < core_of.size(); ++c)
        result.label[core_of[c]] = component[c];
    result.clusters = *std::max_element(component.begin(), component.end()) + 1;
    if (core_of.size() < points.size())
        label_border_points(points, core_view, core_of, eps, is_core, result.label);
    renumber(result);
    return result;
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
