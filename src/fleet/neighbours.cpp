#include "hdap/fleet/neighbours.hpp"

#include <nanoflann.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

namespace hdap::fleet {

namespace {

constexpr std::size_t leaf_points = 64;
constexpr std::size_t nanoflann_leaf_points = 16;

/// nanoflann bounds the distance to a subtree with sums in another order than squared_distance, so
/// we let it search a little further than the radius and decide ourselves.
double search_bound(double squared_radius) {
    return std::nextafter(squared_radius * (1.0 + 1e-9), std::numeric_limits<double>::infinity());
}

/// The data source that nanoflann asks for; its names are nanoflann's.
struct TreePoints {
    PointView points;

    [[nodiscard]] std::size_t kdtree_get_point_count() const { return points.size(); }
    [[nodiscard]] double kdtree_get_pt(std::size_t i, std::size_t d) const { return points[i][d]; }
    template <class Box>
    bool kdtree_get_bbox(Box&) const {
        return false;
    }
};

/// A nanoflann result set that keeps the nearest point, of equally near ones the lowest index.
class NearestResult {
  public:
    using DistanceType = double;
    using IndexType = std::size_t;

    explicit NearestResult(double squared_radius) : best_(squared_radius) {}

    [[nodiscard]] std::size_t index() const { return index_; }
    [[nodiscard]] std::size_t size() const { return index_ == NeighbourIndex::none ? 0 : 1; }
    [[nodiscard]] bool full() const { return index_ != NeighbourIndex::none; }
    [[nodiscard]] double worstDist() const { return search_bound(best_); }
    bool addPoint(double distance, std::size_t index) {
        if (distance < best_ || (distance == best_ && index < index_)) {
            best_ = distance;
            index_ = index;
        }
        return true;
    }
    void sort() {}

  private:
    double best_;
    std::size_t index_ = NeighbourIndex::none;
};

} // namespace

struct NeighbourIndex::Tree {
    // L2_Simple sums in the order of the dimensions, as squared_distance does.
    using Metric = nanoflann::L2_Simple_Adaptor<double, TreePoints>;
    using Index = nanoflann::KDTreeSingleIndexAdaptor<Metric, TreePoints, -1, std::size_t>;

    explicit Tree(PointView view)
        : points{view}, index(static_cast<int>(view.dimension), points,
                              nanoflann::KDTreeSingleIndexAdaptorParams(nanoflann_leaf_points)) {
        index.buildIndex();
    }

    TreePoints points;
    Index index;
};

NeighbourIndex::NeighbourIndex(PointView points) : tree_(std::make_unique<Tree>(points)) {}
NeighbourIndex::~NeighbourIndex() = default;
NeighbourIndex::NeighbourIndex(NeighbourIndex&&) noexcept = default;
NeighbourIndex& NeighbourIndex::operator=(NeighbourIndex&&) noexcept = default;

std::size_t NeighbourIndex::nearest(const double* query, double radius) const {
    NearestResult result(radius * radius);
    tree_->index.findNeighbors(result, query, {});
    return result.index();
}

double NeighbourIndex::kth_distance(const double* query, std::size_t k) const {
    std::vector<std::size_t> indices(k);
    std::vector<double> squared(k);
    tree_->index.knnSearch(query, k, indices.data(), squared.data());
    return std::sqrt(squared.back());
}

namespace {

/// A balanced k-d tree whose nodes know the bounding box of their points and how many of them are
/// left, as points can be taken out.
class CountingTree {
  public:
    explicit CountingTree(PointView points)
        : dimension_(points.dimension), index_(points.size()),
          coordinates_(points.coordinates.size()) {
        std::iota(index_.begin(), index_.end(), 0U);
        nodes_.reserve(4 * points.size() / leaf_points + 1);
        build(points, 0, points.size());
        for (const Node& node : nodes_)
            if (node.right == 0) store_leaf(points, node);
    }

    /// Whether `wanted` points lie within a radius of `query`.
    [[nodiscard]] bool holds(const double* query, double squared_radius, std::size_t wanted) const {
        return count(0, query, squared_radius, wanted) >= wanted;
    }

    /// Takes all points within a radius of `query` out and appends their indices to `taken`.
    void take(const double* query, double squared_radius, std::vector<std::uint32_t>& taken) {
        take_from(0, query, squared_radius, taken);
    }

  private:
    struct Node {
        std::size_t first = 0; ///< of its points in index_
        std::size_t last = 0;  ///< one past its last; a leaf's points that are left come first
        std::size_t left_over = 0;
        std::uint32_t right = 0; ///< the second child; the first follows its parent; 0: a leaf
        std::uint32_t axis = 0;  ///< the children's points are below and above `cut` along it
        double cut = 0.0;
    };

    /// Coordinates of a leaf are stored dimension by dimension, so that the distances to its points
    /// are computed side by side in vector registers.
    void store_leaf(PointView points, const Node& leaf) {
        const std::size_t size = leaf.last - leaf.first;
        double* const block = coordinates_.data() + leaf.first * dimension_;
        for (std::size_t d = 0; d < dimension_; ++d)
            for (std::size_t i = 0; i < size; ++i)
                block[d * size + i] = points[index_[leaf.first + i]][d];
    }

    /// Squared distances to the points left in a leaf, each summed as squared_distance does.
    void leaf_distances(const Node& leaf, const double* query,
                        std::array<double, leaf_points>& squared) const {
        const std::size_t size = leaf.last - leaf.first;
        const double* row = coordinates_.data() + leaf.first * dimension_;
        squared.fill(0.0);
        for (std::size_t d = 0; d < dimension_; ++d, row += size)
            for (std::size_t i = 0; i < leaf.left_over; ++i)
                squared[i] += (query[d] - row[i]) * (query[d] - row[i]);
    }

    std::uint32_t build(PointView points, std::size_t first, std::size_t last) {
        const auto self = static_cast<std::uint32_t>(nodes_.size());
        nodes_.push_back({.first = first, .last = last, .left_over = last - first});
        const std::size_t widest = append_box(points, first, last);
        if (last - first <= leaf_points) return self;
        const std::size_t middle = first + (last - first) / 2;
        const auto begin = index_.begin();
        std::nth_element(
            begin + static_cast<std::ptrdiff_t>(first), begin + static_cast<std::ptrdiff_t>(middle),
            begin + static_cast<std::ptrdiff_t>(last), [&](std::uint32_t a, std::uint32_t b) {
                return points[a][widest] < points[b][widest];
            });
        const double cut = points[index_[middle]][widest];
        build(points, first, middle);
        const std::uint32_t right = build(points, middle, last);
        nodes_[self].right = right;
        nodes_[self].axis = static_cast<std::uint32_t>(widest);
        nodes_[self].cut = cut;
        return self;
    }

    /// Appends a node's bounding box (all lower bounds, then all upper bounds) and returns the
    /// dimension in which it is widest.
    std::size_t append_box(PointView points, std::size_t first, std::size_t last) {
        const std::size_t at = boxes_.size();
        boxes_.insert(boxes_.end(), points[index_[first]], points[index_[first]] + dimension_);
        boxes_.insert(boxes_.end(), points[index_[first]], points[index_[first]] + dimension_);
        double* const low = boxes_.data() + at;
        double* const high = low + dimension_;
        for (std::size_t i = first + 1; i < last; ++i) {
            const double* const point = points[index_[i]];
            for (std::size_t d = 0; d < dimension_; ++d) {
                low[d] = std::min(low[d], point[d]);
                high[d] = std::max(high[d], point[d]);
            }
        }
        std::size_t widest = 0;
        for (std::size_t d = 1; d < dimension_; ++d)
            if (high[d] - low[d] > high[widest] - low[widest]) widest = d;
        return widest;
    }

    /// Where a node's box lies with respect to a ball.
    enum class Side { outside, across, inside };

    /// Bounds squared_distance from `query` to any point in the box. The bounds hold to the last
    /// bit, as rounding is monotone and the sums run in the same order.
    [[nodiscard]] Side side_of(std::uint32_t node, const double* query,
                               double squared_radius) const {
        const double* const low = boxes_.data() + 2 * dimension_ * node;
        const double* const high = low + dimension_;
        double nearest = 0.0;
        for (std::size_t d = 0; d < dimension_; ++d) {
            const double outside = std::max(std::max(low[d] - query[d], query[d] - high[d]), 0.0);
            nearest += outside * outside;
            if (nearest > squared_radius) return Side::outside;
        }
        double furthest = 0.0;
        for (std::size_t d = 0; d < dimension_; ++d) {
            const double across = std::max(query[d] - low[d], high[d] - query[d]);
            furthest += across * across;
            if (furthest > squared_radius) return Side::across;
        }
        return Side::inside;
    }

    /// The number of points within the radius; once it is `wanted` or more, any such number.
    std::size_t count(std::uint32_t at, const double* query, double squared_radius,
                      std::size_t wanted) const {
        const Node& node = nodes_[at];
        const Side side = side_of(at, query, squared_radius);
        if (side == Side::outside) return 0;
        if (side == Side::inside) return node.left_over;
        std::size_t found = 0;
        if (node.right == 0) {
            std::array<double, leaf_points> squared;
            leaf_distances(node, query, squared);
            for (std::size_t i = 0; i < node.left_over; ++i)
                found += squared[i] <= squared_radius ? 1 : 0;
            return found;
        }
        // The side of the query first: its points are the likelier ones.
        const bool below = query[node.axis] < node.cut;
        found = count(below ? at + 1 : node.right, query, squared_radius, wanted);
        if (found < wanted)
            found += count(below ? node.right : at + 1, query, squared_radius, wanted - found);
        return found;
    }

    void take_from(std::uint32_t at, const double* query, double squared_radius,
                   std::vector<std::uint32_t>& taken) {
        Node& node = nodes_[at];
        if (node.left_over == 0) return;
        const Side side = side_of(at, query, squared_radius);
        if (side == Side::outside) return;
        if (side == Side::inside) {
            take_all(at, taken);
        } else if (node.right == 0) {
            take_from_leaf(node, query, squared_radius, taken);
        } else {
            take_from(at + 1, query, squared_radius, taken);
            take_from(node.right, query, squared_radius, taken);
            node.left_over = nodes_[at + 1].left_over + nodes_[node.right].left_over;
        }
    }

    void take_all(std::uint32_t at, std::vector<std::uint32_t>& taken) {
        Node& node = nodes_[at];
        if (node.left_over == 0) return;
        if (node.right == 0) {
            for (std::size_t i = node.first; i < node.first + node.left_over; ++i)
                taken.push_back(index_[i]);
        } else {
            take_all(at + 1, taken);
            take_all(node.right, taken);
        }
        node.left_over = 0;
    }

    void take_from_leaf(Node& leaf, const double* query, double squared_radius,
                        std::vector<std::uint32_t>& taken) {
        std::array<double, leaf_points> squared;
        leaf_distances(leaf, query, squared);
        const std::size_t size = leaf.last - leaf.first;
        double* const block = coordinates_.data() + leaf.first * dimension_;
        // Those that stay move to the front.
        std::size_t kept = 0;
        for (std::size_t i = 0; i < leaf.left_over; ++i) {
            if (squared[i] <= squared_radius) {
                taken.push_back(index_[leaf.first + i]);
                continue;
            }
            index_[leaf.first + kept] = index_[leaf.first + i];
            for (std::size_t d = 0; d < dimension_; ++d)
                block[d * size + kept] = block[d * size + i];
            ++kept;
        }
        leaf.left_over = kept;
    }

    std::size_t dimension_;
    std::vector<std::uint32_t> index_; ///< the points in the order of the leaves
    std::vector<double> coordinates_;  ///< theirs, leaf by leaf, [dimension][point] in each
    std::vector<Node> nodes_;
    std::vector<double> boxes_; ///< [node][low, high][dimension]
};

} // namespace

std::vector<std::uint8_t> has_neighbours(PointView points, double radius, std::size_t count) {
    std::vector<std::uint8_t> holds(points.size(), 0);
    if (points.size() == 0) return holds;
    const CountingTree tree(points);
#pragma omp parallel for schedule(dynamic, 256)
    for (std::size_t i = 0; i < points.size(); ++i)
        holds[i] = tree.holds(points[i], radius * radius, count) ? 1 : 0;
    return holds;
}

std::vector<std::int32_t> radius_components(PointView points, double radius) {
    std::vector<std::int32_t> component(points.size(), -1);
    if (points.size() == 0) return component;
    CountingTree tree(points);
    std::vector<std::uint32_t> reached;
    std::int32_t components = 0;
    for (std::size_t start = 0; start < points.size(); ++start) {
        if (component[start] >= 0) continue;
        // The first query finds `start` itself too, as it is still in the tree.
        tree.take(points[start], radius * radius, reached);
        while (!reached.empty()) {
            const std::uint32_t point = reached.back();
            reached.pop_back();
            component[point] = components;
            tree.take(points[point], radius * radius, reached);
        }
        ++components;
    }
    return component;
}

} // namespace hdap::fleet
