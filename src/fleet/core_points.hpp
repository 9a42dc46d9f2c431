#pragma once

#include "fleet/kd_tree.hpp"
#include "fleet/shares.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace hdap::fleet {

/// Tells the core points of DBSCAN, those that have at least `wanted` points within a radius,
/// itself and the bound included, a leaf at a time. Nodes that lie within the radius of all of the
/// leaf's points, or of none, count for all of them together. Distances are only computed where
/// that leaves a doubt: to points of the nearest leaves first. A point that has not found enough
/// there, at the edge of a group, looks through the tree on its own.
class CoreSearch {
  public:
    CoreSearch(const KdTree& tree, double squared_radius, std::size_t wanted);

    /// Sets is_core[place] for every point of a leaf. Complexity: O(log n) for a leaf that is
    /// narrow beside the radius in a dense region; else for each of its points at most the
    /// distances to points of leaves that the radius cuts, and only about as many as are wanted
    /// where points are dense.
    void search(KdTree::Node leaf, std::span<std::uint8_t> is_core);

  private:
    /// A point of the leaf that has not found enough.
    struct Undecided {
        std::size_t place = 0;
        std::size_t found = 0; ///< in leaves that were doubtful
    };

    void begin(KdTree::Node leaf);
    void collect(KdTree::Node node, Reach squared);
    void settle_doubts();
    [[nodiscard]] bool enough_doubts() const;
    [[nodiscard]] const double* coordinates(const Undecided& point) const;
    [[nodiscard]] bool is_core_alone(const double* point) const;
    [[nodiscard]] std::size_t count(KdTree::Node node, Reach squared, const double* point,
                                    std::size_t wanted) const;

    const KdTree& tree_;
    double squared_radius_;
    std::size_t wanted_;
    Box box_;                            ///< of the leaf
    std::size_t sure_ = 0;               ///< points within the radius of all of the leaf's
    std::vector<KdTree::Node> doubtful_; ///< leaves whose points may be within the radius of some
    std::size_t doubtful_points_ = 0;
    std::vector<double> coordinates_; ///< [place][dimension] of the leaf's points
    std::vector<Undecided> undecided_;
};

/// [slot] whether the point in it is a core point; ranks and threads share the leaves. Collective.
std::vector<std::uint8_t> core_points(const KdTree& tree, double squared_radius, std::size_t wanted,
                                      const Shares& shares);

} // namespace hdap::fleet
