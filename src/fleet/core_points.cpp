#include "fleet/core_points.hpp"

#include <algorithm>
#include <utility>

namespace hdap::fleet {

namespace {

/// Doubtful points beyond twice the wanted ones that are collected before their distances are
/// looked at: nodes found meanwhile that lie wholly within the radius may make that needless.
constexpr std::size_t spare_doubts = 1024;

} // namespace

CoreSearch::CoreSearch(const KdTree& tree, double squared_radius, std::size_t wanted)
    : tree_(tree), squared_radius_(squared_radius), wanted_(wanted),
      coordinates_(tree.slots_per_leaf() * tree.dimension()) {}

void CoreSearch::search(KdTree::Node leaf, std::span<std::uint8_t> is_core) {
    begin(leaf);
    collect(KdTree::root, reach(box_, tree_.box(KdTree::root), tree_.dimension()));
    const bool all_seen = !enough_doubts();
    const bool all_core = sure_ >= wanted_;
    const bool none_core = all_seen && sure_ + doubtful_points_ < wanted_;
    std::fill_n(is_core.begin(), tree_.count(leaf), static_cast<std::uint8_t>(none_core ? 0 : 1));
    if (all_core || none_core) return;
    settle_doubts();
    for (const Undecided& point : undecided_)
        if (all_seen || !is_core_alone(coordinates(point))) is_core[point.place] = 0;
}

void CoreSearch::begin(KdTree::Node leaf) {
    box_ = tree_.box(leaf);
    sure_ = 0;
    doubtful_.clear();
    doubtful_points_ = 0;
    undecided_.clear();
    const KdTree::Slot first = tree_.first_slot(leaf);
    for (std::size_t place = 0; place < tree_.count(leaf); ++place) {
        undecided_.push_back({.place = place});
        tree_.coordinates(
            static_cast<KdTree::Slot>(first + place),
            std::span(coordinates_).subspan(place * tree_.dimension(), tree_.dimension()));
    }
}

const double* CoreSearch::coordinates(const Undecided& point) const {
    return coordinates_.data() + point.place * tree_.dimension();
}

bool CoreSearch::enough_doubts() const {
    return doubtful_points_ / 2 >= wanted_ + spare_doubts;
}

/// Counts the points within the radius of all, and lists the leaves that have some within that of
/// some, until either are enough.
void CoreSearch::collect(KdTree::Node node, Reach squared) {
    if (sure_ >= wanted_ || enough_doubts() || squared.nearest > squared_radius_) return;
    if (squared.furthest <= squared_radius_) {
        sure_ += tree_.count(node);
    } else if (tree_.is_leaf(node)) {
        doubtful_.push_back(node);
        doubtful_points_ += tree_.count(node);
    } else {
        const auto [near, far] = tree_.children(node, box_);
        collect(near.node, near.squared);
        collect(far.node, far.squared);
    }
}

/// Counts the doubtful points for each point of the leaf, which leaves those that are no core
/// points by that.
void CoreSearch::settle_doubts() {
    for (const KdTree::Node leaf : doubtful_)
        std::erase_if(undecided_, [&](Undecided& point) {
            const Reach squared =
                reach(Box::of(coordinates(point)), tree_.box(leaf), tree_.dimension());
            point.found += count(leaf, squared, coordinates(point), wanted_);
            return sure_ + point.found >= wanted_;
        });
}

bool CoreSearch::is_core_alone(const double* point) const {
    const Reach squared = reach(Box::of(point), tree_.box(KdTree::root), tree_.dimension());
    return count(KdTree::root, squared, point, wanted_) >= wanted_;
}

/// The points within the radius of one; once they are `wanted` or more, any such number.
std::size_t CoreSearch::count(KdTree::Node node, Reach squared, const double* point,
                              std::size_t wanted) const {
    if (squared.nearest > squared_radius_) return 0;
    if (squared.furthest <= squared_radius_) return tree_.count(node);
    if (tree_.is_leaf(node)) return tree_.count_within(node, point, squared_radius_);
    const auto [near, far] = tree_.children(node, Box::of(point));
    const std::size_t found = count(near.node, near.squared, point, wanted);
    if (found >= wanted) return found;
    return found + count(far.node, far.squared, point, wanted - found);
}

std::vector<std::uint8_t> core_points(const KdTree& tree, double squared_radius, std::size_t wanted,
                                      const Shares& shares) {
    const std::size_t slots = tree.slots_per_leaf();
    std::vector<std::uint8_t> is_core(shares.mine(tree.leaves()) * slots, 0);
#pragma omp parallel
    {
        CoreSearch search(tree, squared_radius, wanted);
#pragma omp for schedule(dynamic, 4)
        for (std::size_t i = 0; i < shares.mine(tree.leaves()); ++i)
            search.search(tree.node_of_leaf(shares.item(i)),
                          std::span(is_core).subspan(i * slots, slots));
    }
    return shares.gather_items(std::move(is_core), tree.leaves(), slots);
}

} // namespace hdap::fleet
