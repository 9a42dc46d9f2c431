#pragma once

#include "fleet/disjoint_sets.hpp"
#include "fleet/kd_tree.hpp"
#include "fleet/shares.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hdap::fleet {

/// Unites the kept points of a tree that lie at most a radius apart, the bound included: their
/// connected components become sets of slots.
///
/// Walks over pairs of nodes. A node is *whole* when all its points are known to be in one set. A
/// pair of whole nodes ends at once when they are in the same set, else at the first distance
/// within the radius; a pair of which no two points are further apart than the radius becomes whole
/// without any distance. So dense regions cost next to nothing.
///
/// Threads may join any nodes at once.
class Joiner {
  public:
    /// Complexity: O(slots).
    Joiner(const KdTree& tree, double squared_radius, DisjointSets& sets);

    /// Unites points of one node.
    void join(KdTree::Node node);

    /// Unites points of one node with points of another that has none in common with it.
    void join(KdTree::Node a, KdTree::Node b);

  private:
    [[nodiscard]] Radius::Side side(KdTree::Node a, KdTree::Node b) const;
    void join_all(KdTree::Node node);
    void join_leaf(KdTree::Node leaf);
    void join_leaves(KdTree::Node a, KdTree::Node b);
    void split(KdTree::Node node, KdTree::Node other);
    [[nodiscard]] bool whole(KdTree::Node node) const noexcept;
    void set_whole(KdTree::Node node) noexcept;
    void look_whether_whole(KdTree::Node node);
    [[nodiscard]] bool same(KdTree::Node a, KdTree::Node b) noexcept;

    const KdTree& tree_;
    Radius radius_;
    DisjointSets& sets_;
    std::vector<KdTree::Slot> first_; ///< [node] the slot of its first kept point, if it has any
    mutable std::vector<std::uint8_t> whole_; ///< [node]
};

/// The connected components of a tree's kept points, which join those at most a radius apart, as
/// sets of slots. Blocks of leaves are joined within themselves first, then with each other; ranks
/// and threads share both, and the ranks tell each other what they have united. Collective.
/// Complexity: O(n log n) typically, O(n) memory.
DisjointSets components(const KdTree& tree, double squared_radius, const Shares& shares);

} // namespace hdap::fleet
