#include "fleet/kd_tree.hpp"

#include "fleet/point_kernels.hpp"

#include <limits>

namespace hdap::fleet {

namespace {

constexpr std::size_t lanes = PointKernels::lanes;

/// Below this a thread sorts a part of the tree without asking another one's help.
constexpr std::size_t points_worth_a_task = 10'000;

/// The dimension in which points lie furthest apart, by a sample of them.
template <class Keys>
std::size_t widest_dimension(PointView points, const Keys& keys) {
    constexpr std::size_t sample = 200;
    const std::size_t step = std::max<std::size_t>(keys.size() / sample, 1);
    std::size_t widest = 0;
    double width = -1.0;
    for (std::size_t d = 0; d < points.dimension; ++d) {
        double low = points[keys[0].point][d];
        double high = low;
        for (std::size_t i = step; i < keys.size(); i += step) {
            const double value = points[keys[i].point][d];
            low = std::min(low, value);
            high = std::max(high, value);
        }
        if (high - low > width) {
            width = high - low;
            widest = d;
        }
    }
    return widest;
}

} // namespace

KdTree::KdTree(PointView points, std::size_t leaf_points)
    : dimension_(points.dimension), size_(points.size()) {
    while (size_ > leaves_ * leaf_points)
        leaves_ *= 2;
    const std::size_t fullest = (size_ + leaves_ - 1) / leaves_;
    slots_ = (fullest + lanes - 1) / lanes * lanes;
    order_.resize(slots());
    coordinates_.resize(slots() * dimension_);
    count_.resize(2 * leaves_ - 1);
    boxes_.resize(count_.size() * 3 * dimension_);
    radius_.resize(count_.size());
    std::vector<Key> keys(size_);
    for (std::size_t i = 0; i < size_; ++i)
        keys[i].point = static_cast<std::uint32_t>(i);
#pragma omp parallel
#pragma omp single
    sort(points, keys, 0, leaves_);
    bound();
}

/// Sorts the points of some leaves, a power of two of them, into their leaves.
void KdTree::sort(PointView points, std::vector<Key>& keys, std::size_t first_leaf,
                  std::size_t last_leaf) {
    const std::size_t first = first_point(first_leaf);
    const auto part = std::span(keys).subspan(first, first_point(last_leaf) - first);
    if (last_leaf - first_leaf == 1) {
        store_leaf(points, part, first_leaf);
        return;
    }
    const std::size_t middle_leaf = (first_leaf + last_leaf) / 2;
    const std::size_t widest = widest_dimension(points, part);
    for (Key& key : part)
        key.value = points[key.point][widest];
    const auto middle =
        part.begin() + static_cast<std::ptrdiff_t>(first_point(middle_leaf) - first);
    std::nth_element(part.begin(), middle, part.end(),
                     [](const Key& a, const Key& b) { return a.value < b.value; });
#pragma omp task shared(keys) if (part.size() > points_worth_a_task)
    sort(points, keys, first_leaf, middle_leaf);
    sort(points, keys, middle_leaf, last_leaf);
#pragma omp taskwait
}

void KdTree::store_leaf(PointView points, std::span<const Key> keys, std::size_t leaf) {
    double* const rows = leaf_rows(leaf);
    for (std::size_t i = 0; i < keys.size(); ++i) {
        order_[leaf * slots_ + i] = keys[i].point;
        for (std::size_t d = 0; d < dimension_; ++d)
            rows[d * slots_ + i] = points[keys[i].point][d];
    }
    count_[node_of_leaf(leaf)] = static_cast<std::uint32_t>(keys.size());
}

std::array<KdTree::Distant, 2> KdTree::children(Node node, const PointRegion& from) const noexcept {
    const Distant a = distant(left(node), from);
    const Distant b = distant(right(node), from);
    if (b.distance < a.distance) return {b, a};
    return {a, b};
}

void KdTree::coordinates(Slot slot, std::span<double> point) const noexcept {
    const double* const rows = leaf_rows(slot / slots_);
    for (std::size_t d = 0; d < dimension_; ++d)
        point[d] = rows[d * slots_ + slot % slots_];
}

void KdTree::distances(Node leaf, const double* query, std::span<double> squared) const noexcept {
    point_kernels().distances(leaf_rows(leaf + 1 - leaves_), slots_, dimension_, count_[leaf],
                              query, squared.data());
}

std::size_t KdTree::count_within(Node leaf, const double* query,
                                 double squared_radius) const noexcept {
    return point_kernels().count_within(leaf_rows(leaf + 1 - leaves_), slots_, dimension_,
                                        count_[leaf], query, squared_radius);
}

void KdTree::keep(std::span<const std::uint8_t> kept) {
#pragma omp parallel for schedule(static)
    for (std::size_t leaf = 0; leaf < leaves_; ++leaf)
        keep_in_leaf(kept, leaf);
    bound();
}

void KdTree::keep_in_leaf(std::span<const std::uint8_t> kept, std::size_t leaf) {
    double* const rows = leaf_rows(leaf);
    const Node node = node_of_leaf(leaf);
    const std::size_t first = leaf * slots_;
    std::uint32_t count = 0;
    for (std::size_t i = 0; i < count_[node]; ++i) {
        if (kept[first + i] == 0) continue;
        std::swap(order_[first + i], order_[first + count]);
        for (std::size_t d = 0; d < dimension_; ++d)
            std::swap(rows[d * slots_ + i], rows[d * slots_ + count]);
        ++count;
    }
    count_[node] = count;
}

/// Counts and bounds every node's points, from the leaves up.
void KdTree::bound() {
#pragma omp parallel for schedule(static)
    for (std::size_t leaf = 0; leaf < leaves_; ++leaf)
        bound_leaf(node_of_leaf(leaf));
    for (std::size_t node = leaves_ - 1; node-- > 0;)
        bound_parent(static_cast<Node>(node));
#pragma omp parallel for schedule(dynamic, 1)
    for (std::size_t node = 0; node < count_.size(); ++node)
        surround(static_cast<Node>(node));
}

/// Finds the radius around a node's centre.
void KdTree::surround(Node node) {
    std::vector<double> squared(slots_);
    double furthest = 0.0;
    const auto [first, last] = leaves_below(node);
    for (Node leaf = first; leaf <= last; ++leaf) {
        distances(leaf, region(node).centre, squared);
        for (std::size_t i = 0; i < count_[leaf]; ++i)
            furthest = std::max(furthest, squared[i]);
    }
    radius_[node] = std::sqrt(furthest);
}

void KdTree::bound_leaf(Node leaf) {
    double* const low = boxes_.data() + 3 * dimension_ * leaf;
    double* const high = low + dimension_;
    double* const centre = high + dimension_;
    for (std::size_t d = 0; d < dimension_; ++d) {
        low[d] = std::numeric_limits<double>::infinity();
        high[d] = -std::numeric_limits<double>::infinity();
        centre[d] = 0.0;
        const double* const row = leaf_rows(leaf + 1 - leaves_) + d * slots_;
        for (std::size_t i = 0; i < count_[leaf]; ++i) {
            low[d] = std::min(low[d], row[i]);
            high[d] = std::max(high[d], row[i]);
            centre[d] += row[i] / count_[leaf];
        }
    }
}

void KdTree::bound_parent(Node node) {
    count_[node] = count_[left(node)] + count_[right(node)];
    double* const low = boxes_.data() + 3 * dimension_ * node;
    double* const high = low + dimension_;
    double* const centre = high + dimension_;
    const PointRegion a = region(left(node));
    const PointRegion b = region(right(node));
    const double part =
        count_[node] == 0 ? 0.0 : static_cast<double>(count_[left(node)]) / count_[node];
    for (std::size_t d = 0; d < dimension_; ++d) {
        low[d] = std::min(a.low[d], b.low[d]);
        high[d] = std::max(a.high[d], b.high[d]);
        centre[d] = part * a.centre[d] + (1.0 - part) * b.centre[d];
    }
}

} // namespace hdap::fleet
