#include "fleet/nearest.hpp"

#include <algorithm>

namespace hdap::fleet {

NearestSearch::NearestSearch(const KdTree& tree) : tree_(tree), squared_(tree.slots_per_leaf()) {}

KdTree::Slot NearestSearch::nearest(const double* query, double squared_radius) {
    best_ = squared_radius;
    best_slot_ = no_slot;
    look_for_nearest(KdTree::root, {}, query);
    return best_slot_;
}

void NearestSearch::look_for_nearest(KdTree::Node node, Reach squared, const double* query) {
    // An equally near point may have a lower index.
    if (squared.nearest > best_) return;
    if (!tree_.is_leaf(node)) {
        for (const KdTree::Child& child : tree_.children(node, Box::of(query)))
            look_for_nearest(child.node, child.squared, query);
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

double NearestSearch::kth_squared_distance(const double* query, std::size_t k) {
    lowest_.clear();
    look_for_kth(KdTree::root, {}, query, k);
    return lowest_.front();
}

void NearestSearch::look_for_kth(KdTree::Node node, Reach squared, const double* query,
                                 std::size_t k) {
    if (lowest_.size() == k && squared.nearest >= lowest_.front()) return;
    if (!tree_.is_leaf(node)) {
        for (const KdTree::Child& child : tree_.children(node, Box::of(query)))
            look_for_kth(child.node, child.squared, query, k);
        return;
    }
    tree_.distances(node, query, squared_);
    for (std::size_t i = 0; i < tree_.count(node); ++i) {
        if (lowest_.size() == k) {
            if (squared_[i] >= lowest_.front()) continue;
            std::pop_heap(lowest_.begin(), lowest_.end());
            lowest_.pop_back();
        }
        lowest_.push_back(squared_[i]);
        std::push_heap(lowest_.begin(), lowest_.end());
    }
}

} // namespace hdap::fleet
