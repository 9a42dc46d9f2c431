#pragma once

#include "fleet/kd_tree.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace hdap::fleet {

/// No slot of any tree.
inline constexpr KdTree::Slot no_slot = static_cast<KdTree::Slot>(-1);

/// Finds, of the kept points of a tree, those nearest to others. One thread at a time.
class NearestSearch {
  public:
    explicit NearestSearch(const KdTree& tree);

    /// The slot of the point nearest to `query` with a squared distance of at most
    /// `squared_radius`; of equally near points the one with the lowest index; no_slot without any.
    [[nodiscard]] KdTree::Slot nearest(const double* query, double squared_radius);

    /// The squared distance from `query` to its k-th nearest point, k ≥ 1; infinity when fewer have
    /// one of at most `squared_limit`.
    [[nodiscard]] double kth_squared_distance(const double* query, std::size_t k,
                                              double squared_limit);

  private:
    [[nodiscard]] double gap(KdTree::Node node, const double* query) const;
    void look_for_nearest(KdTree::Node node, const double* query);
    void keep_lowest(std::size_t k);
    void look_for_kth(KdTree::Node node, const double* query, std::size_t k);

    const KdTree& tree_;
    std::vector<double> squared_; ///< to a leaf's points
    double best_ = 0.0;
    KdTree::Slot best_slot_ = no_slot;
    std::vector<double> lowest_; ///< the k lowest squared distances so far, and some more
};

} // namespace hdap::fleet
