#include "fleet/nearest.hpp"

#include <algorithm>
#include <limits>

namespace hdap::fleet {

NearestSearch::NearestSearch(const KdTree& tree) : tree_(tree), squared_(tree.slots_per_leaf()) {}

KdTree::Slot NearestSearch::nearest(const double* query, double squared_radius) {
    best_ = squared_radius;
    best_slot_ = no_slot;
    look_for_nearest(KdTree::root, query);
    return best_slot_;
}

double NearestSearch::gap(KdTree::Node node, const double* query) const {
    return squared_gap(PointRegion::of(query), tree_.region(node), tree_.dimension());
}

void NearestSearch::look_for_nearest(KdTree::Node node, const double* query) {
    // An equally near point may have a lower index.
    if (gap(node, query) > best_) return;
    if (!tree_.is_leaf(node)) {
        for (const KdTree::Distant child : tree_.children(node, PointRegion::of(query)))
            look_for_nearest(child.node, query);
        return;
    }
    tree_.distances(node, query, squared_);
    for (std::size_t i = 0; i < tree_.count(node); ++i) {
        const auto slot = static_cast<KdTree::Slot>(tree_.first_slot(node) + i);
        if (squared_[i] > best_) continue;
        if (squared_[i] == best_ && best_slot_ != no_slot &&
            tree_.point(slot) > tree_.point(best_slot_))
            continue;
        best_ = squared_[i];
        best_slot_ = slot;
    }
}

double NearestSearch::kth_squared_distance(const double* query, std::size_t k,
                                           double squared_limit) {
    best_ = squared_limit;
    lowest_.clear();
    look_for_kth(KdTree::root, query, k);
    if (lowest_.size() < k) return std::numeric_limits<double>::infinity();
    keep_lowest(k);
    return best_;
}

/// Forgets all but the k lowest distances.
void NearestSearch::keep_lowest(std::size_t k) {
    const auto last = lowest_.begin() + static_cast<std::ptrdiff_t>(k - 1);
    std::nth_element(lowest_.begin(), last, lowest_.end());
    best_ = *last;
    lowest_.resize(k);
}

void NearestSearch::look_for_kth(KdTree::Node node, const double* query, std::size_t k) {
    if (gap(node, query) > best_) return;
    if (!tree_.is_leaf(node)) {
        for (const KdTree::Distant child : tree_.children(node, PointRegion::of(query)))
            look_for_kth(child.node, query, k);
        return;
    }
    tree_.distances(node, query, squared_);
    for (std::size_t i = 0; i < tree_.count(node); ++i) {
        if (squared_[i] > best_) continue;
        lowest_.push_back(squared_[i]);
        // Not for each of them, so that it costs next to nothing for one.
        if (lowest_.size() == 2 * k) keep_lowest(k);
    }
}

} // namespace hdap::fleet
