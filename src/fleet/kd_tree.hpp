#pragma once

#include "hdap/fleet/neighbours.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace hdap::fleet {

/// What is known of where some points lie: between the corners of a box, and around a centre.
/// Without points the box lies infinitely far from everything.
struct PointRegion {
    const double* low = nullptr;
    const double* high = nullptr;
    const double* centre = nullptr;
    double radius = 0.0; ///< the furthest of them from the centre

    static PointRegion of(const double* point) noexcept { return {point, point, point, 0.0}; }
};

/// A lower bound of squared_distance from the points of one region to those of another. It holds to
/// the last bit, as rounding is monotone and the sums run in the same order.
inline double squared_gap(const PointRegion& a, const PointRegion& b,
                          std::size_t dimension) noexcept {
    double squared = 0.0;
    for (std::size_t d = 0; d < dimension; ++d) {
        const double gap = std::max(std::max(b.low[d] - a.high[d], a.low[d] - b.high[d]), 0.0);
        squared += gap * gap;
    }
    return squared;
}

/// A radius around points, the bound included: squared_distance ≤ squared.
class Radius {
  public:
    explicit Radius(double squared)
        : squared_(squared), surely_within_(std::sqrt(squared) * (1.0 - slack)),
          surely_beyond_(std::sqrt(squared) * (1.0 + slack)) {}

    [[nodiscard]] double squared() const noexcept { return squared_; }
    [[nodiscard]] double value() const noexcept { return std::sqrt(squared_); }

    /// Whether a distance that was rounded a few times is within the radius, or beyond it, for
    /// sure.
    [[nodiscard]] bool surely_within(double distance) const noexcept {
        return distance <= surely_within_;
    }
    [[nodiscard]] bool surely_beyond(double distance) const noexcept {
        return distance > surely_beyond_;
    }

    /// Where the points of one region lie as seen from those of another, whose centres are so far
    /// apart: no pair of them within the radius, some perhaps, or all.
    enum class Side { outside, across, inside };
    [[nodiscard]] Side side(const PointRegion& a, const PointRegion& b, double centre_distance,
                            std::size_t dimension) const noexcept {
        const double radii = a.radius + b.radius;
        if (surely_within(centre_distance + radii)) return Side::inside;
        if (surely_beyond(centre_distance - radii)) return Side::outside;
        return squared_gap(a, b, dimension) > squared_ ? Side::outside : Side::across;
    }

  private:
    /// Beyond all rounding of distances from centres.
    static constexpr double slack = 1e-9;

    double squared_;
    double surely_within_;
    double surely_beyond_;
};

/// A k-d tree over a copy of at least one point. It is complete: 2^depth leaves, whose numbers of
/// points differ by one at most. Node 0 is the root, the children of node i are 2 i + 1 and
/// 2 i + 2.
///
/// Every leaf has as many *slots* for points, and a point is known by its slot: leaf · slots +
/// place. A leaf's coordinates are stored dimension by dimension, so that distances to its points
/// are computed side by side in vector registers.
///
/// The tree can be reduced to some of its points. The others keep their slots, behind those that
/// were kept, but searches do not see them any more.
class KdTree {
  public:
    using Node = std::uint32_t;
    using Slot = std::uint32_t;

    static constexpr std::size_t default_leaf_points = 64;
    static constexpr Node root = 0;

    /// Complexity: O(n log n), parallel. The tree does not depend on the number of threads.
    explicit KdTree(PointView points, std::size_t leaf_points = default_leaf_points);

    [[nodiscard]] std::size_t dimension() const noexcept { return dimension_; }
    [[nodiscard]] std::size_t leaves() const noexcept { return leaves_; }
    [[nodiscard]] std::size_t slots_per_leaf() const noexcept { return slots_; }
    [[nodiscard]] std::size_t slots() const noexcept { return leaves_ * slots_; }

    [[nodiscard]] bool is_leaf(Node node) const noexcept { return node + 1 >= leaves_; }
    [[nodiscard]] Node node_of_leaf(std::size_t leaf) const noexcept {
        return static_cast<Node>(leaves_ - 1 + leaf);
    }
    [[nodiscard]] static Node left(Node node) noexcept { return 2 * node + 1; }
    [[nodiscard]] static Node right(Node node) noexcept { return 2 * node + 2; }

    /// Where a node's kept points are, and how many.
    [[nodiscard]] PointRegion region(Node node) const noexcept {
        const double* const low = boxes_.data() + 3 * dimension_ * node;
        return {low, low + dimension_, low + 2 * dimension_, radius_[node]};
    }
    [[nodiscard]] std::size_t count(Node node) const noexcept { return count_[node]; }

    /// The first and the last leaf below a node, which is below itself.
    [[nodiscard]] std::pair<Node, Node> leaves_below(Node node) const noexcept {
        Node last = node;
        for (; !is_leaf(node); last = right(last))
            node = left(node);
        return {node, last};
    }

    /// A leaf's first slot. Its kept points come first, count() of them; then the others, points()
    /// in all; the slots behind them are empty.
    [[nodiscard]] Slot first_slot(Node leaf) const noexcept {
        return static_cast<Slot>((leaf + 1 - leaves_) * slots_);
    }
    [[nodiscard]] std::size_t points(Node leaf) const noexcept {
        return first_point(leaf + 2 - leaves_) - first_point(leaf + 1 - leaves_);
    }
    /// The index of the point in a slot.
    [[nodiscard]] std::uint32_t point(Slot slot) const noexcept { return order_[slot]; }
    /// A node, and how far its centre is from another.
    struct Distant {
        Node node = 0;
        double distance = 0.0;
    };
    [[nodiscard]] Distant distant(Node node, const PointRegion& from) const noexcept {
        return {node, std::sqrt(squared_distance(region(node).centre, from.centre, dimension_))};
    }
    /// A node's children, the nearer one first.
    [[nodiscard]] std::array<Distant, 2> children(Node node,
                                                  const PointRegion& from) const noexcept;

    /// Copies a slot's coordinates.
    void coordinates(Slot slot, std::span<double> point) const noexcept;

    /// Squared distances from a point to the kept points of a leaf, each as squared_distance has
    /// it. `squared` has slots_per_leaf() numbers; those behind the kept points mean nothing.
    void distances(Node leaf, const double* query, std::span<double> squared) const noexcept;

    /// How many kept points of a leaf have a squared distance of at most `squared_radius`.
    [[nodiscard]] std::size_t count_within(Node leaf, const double* query,
                                           double squared_radius) const noexcept;

    /// Keeps the points of the slots with a flag. Complexity: O(n), parallel.
    void keep(std::span<const std::uint8_t> kept);

  private:
    struct Key {
        double value = 0.0;
        std::uint32_t point = 0;
    };

    [[nodiscard]] std::size_t first_point(std::size_t leaf) const noexcept {
        return size_ * leaf / leaves_;
    }
    [[nodiscard]] double* leaf_rows(std::size_t leaf) noexcept {
        return coordinates_.data() + leaf * slots_ * dimension_;
    }
    [[nodiscard]] const double* leaf_rows(std::size_t leaf) const noexcept {
        return coordinates_.data() + leaf * slots_ * dimension_;
    }
    void sort(PointView points, std::vector<Key>& keys, std::size_t first_leaf,
              std::size_t last_leaf);
    void store_leaf(PointView points, std::span<const Key> keys, std::size_t leaf);
    void keep_in_leaf(std::span<const std::uint8_t> kept, std::size_t leaf);
    void bound();
    void bound_leaf(Node leaf);
    void bound_parent(Node node);
    void surround(Node node);

    std::size_t dimension_;
    std::size_t size_;                 ///< points, kept or not
    std::size_t leaves_ = 1;           ///< a power of two
    std::size_t slots_ = 0;            ///< of a leaf
    std::vector<std::uint32_t> order_; ///< [slot] its point
    std::vector<double> coordinates_;  ///< [leaf][dimension][place]
    std::vector<std::uint32_t> count_; ///< [node] points kept
    std::vector<double> boxes_;        ///< [node][low, high, centre][dimension]
    std::vector<double> radius_;       ///< [node]
};

} // namespace hdap::fleet
