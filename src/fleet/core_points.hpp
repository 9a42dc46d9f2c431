#pragma once

#include "fleet/kd_tree.hpp"
#include "fleet/nearest.hpp"
#include "fleet/shares.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace hdap::fleet {

/// Tells the core points of DBSCAN, those that have at least `wanted` points within a radius,
/// itself and the bound included, in three steps, each for the points that the one before left
/// open.
///
/// Pivots: the distance to the `wanted`-th nearest point changes by no more than the way that one
/// goes. So how large it is at the centre of a node tells for all points that are nearer to the
/// centre than it is to the radius.
/// Leaves: nodes that lie within the radius of all of a leaf's points, or of none, count for all of
/// them together; then come the distances to points of the nearest leaves that are in doubt.
/// Points: one that has not found enough by then looks through the tree on its own.
class CoreSearch {
  public:
    CoreSearch(const KdTree& tree, double squared_radius, std::size_t wanted);

    /// Sets is_core[slot − first slot of the node] for every point below a node. Complexity:
    /// O(points + wanted + log n) where the density changes little over the node; where it passes
    /// the threshold, up to the distances of each point to all that are about as near as the
    /// radius.
    void search(KdTree::Node node, std::span<std::uint8_t> is_core);

  private:
    /// A point of the leaf that has not found enough.
    struct Undecided {
        std::size_t place = 0;
        std::size_t found = 0; ///< in leaves that were doubtful
    };

    void search_part(KdTree::Node node, std::span<std::uint8_t> is_core);
    void ask_pivot(KdTree::Node node, std::span<std::uint8_t> is_core);
    void search_leaf(KdTree::Node leaf, std::span<std::uint8_t> is_core);
    void begin(KdTree::Node leaf, std::span<const std::uint8_t> is_core);
    void collect(KdTree::Distant node);
    void settle_doubts();
    [[nodiscard]] bool enough_doubts() const;
    [[nodiscard]] const double* coordinates(const Undecided& point) const;
    [[nodiscard]] bool is_core_alone(const double* point) const;
    [[nodiscard]] std::size_t count(KdTree::Distant node, const double* point,
                                    std::size_t wanted) const;

    const KdTree& tree_;
    Radius radius_;
    std::size_t wanted_;
    NearestSearch nearest_;
    std::vector<double> squared_;        ///< from a pivot to a leaf's points
    PointRegion region_;                 ///< of the leaf
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
