#include "hdap/fleet/neighbours.hpp"

#include "fleet/nearest.hpp"

#include <cmath>
#include <limits>

namespace hdap::fleet {

struct NeighbourIndex::Tree {
    KdTree points;
};

NeighbourIndex::NeighbourIndex(PointView points)
    : tree_(std::make_unique<Tree>(Tree{KdTree(points)})) {}
NeighbourIndex::~NeighbourIndex() = default;
NeighbourIndex::NeighbourIndex(NeighbourIndex&&) noexcept = default;
NeighbourIndex& NeighbourIndex::operator=(NeighbourIndex&&) noexcept = default;

std::size_t NeighbourIndex::nearest(const double* query, double radius) const {
    const KdTree::Slot slot = NearestSearch(tree_->points).nearest(query, radius * radius);
    return slot == no_slot ? none : tree_->points.point(slot);
}

double NeighbourIndex::kth_distance(const double* query, std::size_t k) const {
    return std::sqrt(NearestSearch(tree_->points)
                         .kth_squared_distance(query, k, std::numeric_limits<double>::infinity()));
}

} // namespace hdap::fleet
