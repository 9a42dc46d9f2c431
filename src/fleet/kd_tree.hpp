#pragma once

#include "hdap/fleet/neighbours.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace hdap::fleet {

/// Bounds of squared distances. They hold to the last bit for what squared_distance computes, as
/// rounding is monotone and the sums run in the same order.
struct Reach {
    double nearest = 0.0;
    double furthest = 0.0;
};

/// A box between two corners. Without points it lies infinitely far from everything.
struct Box {
    const double* low = nullptr;
    const double* high = nullptr;

    /// The box of one point.
    static Box of(const double* point) noexcept { return {point, point}; }
};

inline Reach reach(Box a, Box b, std::size_t dimension) noexcept {
    Reach squared;
    for (std::size_t d = 0; d < dimension; ++d) {
        const double above = a.high[d] - b.low[d];
        const double below = b.high[d] - a.low[d];
        const double gap = std::max(std::max(-above, -below), 0.0);
        const double span = std::max(above, below);
        squared.nearest += gap * gap;
        squared.furthest += span * span;
    }
    return squared;
}

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

    /// The box of a node's kept points, and how many they are.
    [[nodiscard]] Box box(Node node) const noexcept {
        const double* const low = boxes_.data() + 2 * dimension_ * node;
        return {low, low + dimension_};
    }
    [[nodiscard]] std::size_t count(Node node) const noexcept { return count_[node]; }

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
    /// A node's children and how far they are from a box, the nearer one first.
    struct Child {
        Node node = 0;
        Reach squared;
    };
    [[nodiscard]] std::array<Child, 2> children(Node node, Box from) const noexcept;

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

    std::size_t dimension_;
    std::size_t size_;                 ///< points, kept or not
    std::size_t leaves_ = 1;           ///< a power of two
    std::size_t slots_ = 0;            ///< of a leaf
    std::vector<std::uint32_t> order_; ///< [slot] its point
    std::vector<double> coordinates_;  ///< [leaf][dimension][place]
    std::vector<std::uint32_t> count_; ///< [node] points kept
    std::vector<double> boxes_;        ///< [node][low, high][dimension]
};

} // namespace hdap::fleet
