#include "fleet/core_points.hpp"

#include <algorithm>
#include <utility>

namespace hdap::fleet {

namespace {

/// Doubtful points beyond twice the wanted ones that are collected before their distances are
/// looked at: nodes found meanwhile that lie wholly within the radius may make that needless.
constexpr std::size_t spare_doubts = 1024;

/// What is not known yet of a point.
constexpr std::uint8_t open = 2;

/// To ask a pivot takes as long as to count for some points, and the longer the more are wanted.
std::ptrdiff_t points_worth_a_pivot(std::size_t wanted) {
    return static_cast<std::ptrdiff_t>(std::max<std::size_t>(128, wanted / 16));
}

/// Leaves that a thread searches together.
constexpr std::size_t leaves_of_a_part = 128;

} // namespace

CoreSearch::CoreSearch(const KdTree& tree, double squared_radius, std::size_t wanted)
    : tree_(tree), radius_(squared_radius), wanted_(wanted), nearest_(tree),
      squared_(tree.slots_per_leaf()), coordinates_(tree.slots_per_leaf() * tree.dimension()) {}

void CoreSearch::search(KdTree::Node node, std::span<std::uint8_t> is_core) {
    std::ranges::fill(is_core, std::uint8_t{0});
    const auto [first, last] = tree_.leaves_below(node);
    for (KdTree::Node leaf = first; leaf <= last; ++leaf)
        std::ranges::fill(
            is_core.subspan(tree_.first_slot(leaf) - tree_.first_slot(first), tree_.count(leaf)),
            open);
    search_part(node, is_core);
}

void CoreSearch::search_part(KdTree::Node node, std::span<std::uint8_t> is_core) {
    const auto left_open = std::ranges::count(is_core, open);
    if (left_open >= points_worth_a_pivot(wanted_)) ask_pivot(node, is_core);
    if (left_open == 0) return;
    if (tree_.is_leaf(node)) {
        search_leaf(node, is_core);
    } else {
        const std::size_t half = is_core.size() / 2;
        search_part(KdTree::left(node), is_core.first(half));
        search_part(KdTree::right(node), is_core.last(half));
    }
}

/// Settles points by the distance of the `wanted`-th nearest point from the centre of their node.
void CoreSearch::ask_pivot(KdTree::Node node, std::span<std::uint8_t> is_core) {
    const PointRegion region = tree_.region(node);
    // Further away it may be anywhere: then none of the node's points is a core point.
    const double limit = 2.0 * radius_.value() + region.radius;
    const double distance =
        std::sqrt(nearest_.kth_squared_distance(region.centre, wanted_, limit * limit));
    const auto [first, last] = tree_.leaves_below(node);
    for (KdTree::Node leaf = first; leaf <= last; ++leaf) {
        const std::size_t offset = tree_.first_slot(leaf) - tree_.first_slot(first);
        tree_.distances(leaf, region.centre, squared_);
        for (std::size_t i = 0; i < tree_.count(leaf); ++i) {
            if (is_core[offset + i] != open) continue;
            const double way = std::sqrt(squared_[i]);
            if (radius_.surely_within(distance + way)) is_core[offset + i] = 1;
            if (radius_.surely_beyond(distance - way)) is_core[offset + i] = 0;
        }
    }
}

void CoreSearch::search_leaf(KdTree::Node leaf, std::span<std::uint8_t> is_core) {
    begin(leaf, is_core);
    if (undecided_.empty()) return;
    collect(tree_.distant(KdTree::root, region_));
    const bool all_seen = !enough_doubts();
    const bool all_core = sure_ >= wanted_;
    const bool none_core = all_seen && sure_ + doubtful_points_ < wanted_;
    std::ranges::replace(is_core, open, static_cast<std::uint8_t>(none_core ? 0 : 1));
    if (all_core || none_core) return;
    settle_doubts();
    for (const Undecided& point : undecided_)
        if (all_seen || !is_core_alone(coordinates(point))) is_core[point.place] = 0;
}

void CoreSearch::begin(KdTree::Node leaf, std::span<const std::uint8_t> is_core) {
    region_ = tree_.region(leaf);
    sure_ = 0;
    doubtful_.clear();
    doubtful_points_ = 0;
    undecided_.clear();
    const KdTree::Slot first = tree_.first_slot(leaf);
    for (std::size_t place = 0; place < tree_.count(leaf); ++place) {
        if (is_core[place] != open) continue;
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
void CoreSearch::collect(KdTree::Distant node) {
    if (sure_ >= wanted_ || enough_doubts()) return;
    const Radius::Side side =
        radius_.side(region_, tree_.region(node.node), node.distance, tree_.dimension());
    if (side == Radius::Side::outside) return;
    if (side == Radius::Side::inside) {
        sure_ += tree_.count(node.node);
    } else if (tree_.is_leaf(node.node)) {
        doubtful_.push_back(node.node);
        doubtful_points_ += tree_.count(node.node);
    } else {
        for (const KdTree::Distant child : tree_.children(node.node, region_))
            collect(child);
    }
}

/// Counts the doubtful points for each point of the leaf, which leaves those that are no core
/// points by that.
void CoreSearch::settle_doubts() {
    for (const KdTree::Node leaf : doubtful_)
        std::erase_if(undecided_, [&](Undecided& point) {
            const double* const at = coordinates(point);
            point.found += count(tree_.distant(leaf, PointRegion::of(at)), at, wanted_);
            return sure_ + point.found >= wanted_;
        });
}

bool CoreSearch::is_core_alone(const double* point) const {
    return count(tree_.distant(KdTree::root, PointRegion::of(point)), point, wanted_) >= wanted_;
}

/// The points within the radius of one; once they are `wanted` or more, any such number.
std::size_t CoreSearch::count(KdTree::Distant node, const double* point, std::size_t wanted) const {
    const PointRegion from = PointRegion::of(point);
    const Radius::Side side =
        radius_.side(from, tree_.region(node.node), node.distance, tree_.dimension());
    if (side == Radius::Side::outside) return 0;
    if (side == Radius::Side::inside) return tree_.count(node.node);
    if (tree_.is_leaf(node.node)) return tree_.count_within(node.node, point, radius_.squared());
    const auto [near, far] = tree_.children(node.node, from);
    const std::size_t found = count(near, point, wanted);
    if (found >= wanted) return found;
    return found + count(far, point, wanted - found);
}

std::vector<std::uint8_t> core_points(const KdTree& tree, double squared_radius, std::size_t wanted,
                                      const Shares& shares) {
    const std::size_t parts = std::max<std::size_t>(tree.leaves() / leaves_of_a_part, 1);
    const std::size_t slots = tree.slots() / parts;
    std::vector<std::uint8_t> is_core(shares.mine(parts) * slots);
#pragma omp parallel
    {
        CoreSearch search(tree, squared_radius, wanted);
#pragma omp for schedule(dynamic, 1)
        for (std::size_t i = 0; i < shares.mine(parts); ++i)
            search.search(static_cast<KdTree::Node>(parts - 1 + shares.item(i)), // of one level
                          std::span(is_core).subspan(i * slots, slots));
    }
    return shares.gather_items(std::move(is_core), parts, slots);
}

} // namespace hdap::fleet
