#include "fleet/components.hpp"

#include <algorithm>
#include <atomic>

namespace hdap::fleet {

using Node = KdTree::Node;
using Slot = KdTree::Slot;

Joiner::Joiner(const KdTree& tree, double squared_radius, DisjointSets& sets)
    : tree_(tree), radius_(squared_radius), sets_(sets), first_(2 * tree.leaves() - 1),
      whole_(first_.size(), 0) {
    for (std::size_t i = first_.size(); i-- > 0;) {
        const auto node = static_cast<Node>(i);
        if (tree.is_leaf(node))
            first_[i] = tree.first_slot(node);
        else
            first_[i] = first_[tree.count(KdTree::left(node)) > 0 ? KdTree::left(node)
                                                                  : KdTree::right(node)];
    }
}

// A thread may see a node become whole before it sees all of the links that made it so. It then
// does more than it has to, but nothing wrong.
bool Joiner::whole(Node node) const noexcept {
    return std::atomic_ref(whole_[node]).load(std::memory_order_relaxed) != 0;
}

void Joiner::set_whole(Node node) noexcept {
    std::atomic_ref(whole_[node]).store(1, std::memory_order_relaxed);
}

bool Joiner::same(Node a, Node b) noexcept {
    return sets_.find(first_[a]) == sets_.find(first_[b]);
}

Radius::Side Joiner::side(Node a, Node b) const {
    const PointRegion from = tree_.region(a);
    return radius_.side(from, tree_.region(b), tree_.distant(b, from).distance, tree_.dimension());
}

void Joiner::join(Node node) {
    if (tree_.count(node) == 0 || whole(node)) return;
    if (side(node, node) == Radius::Side::inside) {
        join_all(node);
    } else if (tree_.is_leaf(node)) {
        join_leaf(node);
    } else {
        join(KdTree::left(node));
        join(KdTree::right(node));
        join(KdTree::left(node), KdTree::right(node));
    }
    look_whether_whole(node);
}

void Joiner::join(Node a, Node b) {
    const Radius::Side where = side(a, b);
    if (where == Radius::Side::outside) return;
    if (whole(a) && whole(b) && same(a, b)) return;
    if (where == Radius::Side::inside) {
        join_all(a);
        join_all(b);
        sets_.unite(first_[a], first_[b]);
    } else if (tree_.is_leaf(a) && tree_.is_leaf(b)) {
        join_leaves(a, b);
    } else if (a < b) { // a is on a higher level, or on the same
        split(a, b);
    } else {
        split(b, a);
    }
}

/// Unites all points of a node, without a look at their distances.
void Joiner::join_all(Node node) {
    if (tree_.count(node) == 0 || whole(node)) return;
    if (tree_.is_leaf(node)) {
        for (std::size_t i = 1; i < tree_.count(node); ++i)
            sets_.unite(first_[node], static_cast<Slot>(first_[node] + i));
    } else {
        const Node left = KdTree::left(node);
        const Node right = KdTree::right(node);
        join_all(left);
        join_all(right);
        if (tree_.count(left) > 0 && tree_.count(right) > 0)
            sets_.unite(first_[left], first_[right]);
    }
    set_whole(node);
}

void Joiner::join_leaf(Node leaf) {
    std::vector<double> query(tree_.dimension());
    std::vector<double> squared(tree_.slots_per_leaf());
    const Slot first = first_[leaf];
    for (std::size_t i = 0; i + 1 < tree_.count(leaf); ++i) {
        tree_.coordinates(static_cast<Slot>(first + i), query);
        tree_.distances(leaf, query.data(), squared);
        for (std::size_t j = i + 1; j < tree_.count(leaf); ++j)
            if (squared[j] <= radius_.squared())
                sets_.unite(static_cast<Slot>(first + i), static_cast<Slot>(first + j));
    }
}

void Joiner::join_leaves(Node a, Node b) {
    const bool one_is_enough = whole(a) && whole(b);
    std::vector<double> query(tree_.dimension());
    std::vector<double> squared(tree_.slots_per_leaf());
    for (std::size_t i = 0; i < tree_.count(a); ++i) {
        const auto slot = static_cast<Slot>(first_[a] + i);
        tree_.coordinates(slot, query);
        if (squared_gap(PointRegion::of(query.data()), tree_.region(b), tree_.dimension()) >
            radius_.squared())
            continue;
        tree_.distances(b, query.data(), squared);
        for (std::size_t j = 0; j < tree_.count(b); ++j) {
            if (squared[j] > radius_.squared()) continue;
            sets_.unite(slot, static_cast<Slot>(first_[b] + j));
            if (one_is_enough) return;
        }
    }
    look_whether_whole(a);
    look_whether_whole(b);
}

void Joiner::split(Node node, Node other) {
    const Node left = KdTree::left(node);
    const Node right = KdTree::right(node);
    if (whole(node)) {
        set_whole(left);
        set_whole(right);
    }
    join(left, other);
    join(right, other);
    look_whether_whole(node);
}

void Joiner::look_whether_whole(Node node) {
    if (whole(node)) return;
    if (tree_.is_leaf(node)) {
        for (std::size_t i = 1; i < tree_.count(node); ++i)
            if (sets_.find(first_[node]) != sets_.find(static_cast<Slot>(first_[node] + i))) return;
        set_whole(node);
        return;
    }
    const Node left = KdTree::left(node);
    const Node right = KdTree::right(node);
    const bool empty = tree_.count(left) == 0 || tree_.count(right) == 0;
    const auto ready = [&](Node child) { return tree_.count(child) == 0 || whole(child); };
    if (ready(left) && ready(right) && (empty || same(left, right))) set_whole(node);
}

namespace {

/// Every rank's links since these were the roots, made on all ranks.
void share_links(const std::vector<std::uint8_t>& was_root, const Shares& shares,
                 DisjointSets& sets) {
    if (shares.ranks() == 1) return;
    const std::vector<Slot> links = shares.gather(sets.links_since(was_root));
    for (std::size_t i = 0; i < links.size(); i += 2)
        sets.unite(links[i], links[i + 1]);
}

} // namespace

DisjointSets components(const KdTree& tree, double squared_radius, const Shares& shares) {
    constexpr std::size_t most_blocks = 128;
    DisjointSets sets(tree.slots());
    Joiner joiner(tree, squared_radius, sets);
    const std::size_t blocks = std::min(tree.leaves(), most_blocks); // all nodes of a level
    const auto block = [&](std::size_t i) { return static_cast<Node>(blocks - 1 + i); };
    std::vector<std::uint8_t> was_root = sets.roots();
#pragma omp parallel for schedule(dynamic, 1)
    for (std::size_t i = 0; i < shares.mine(blocks); ++i)
        joiner.join(block(shares.item(i)));
    share_links(was_root, shares, sets);
    was_root = sets.roots();
#pragma omp parallel for schedule(dynamic, 1)
    for (std::size_t i = 0; i < shares.mine(blocks * blocks); ++i) {
        const std::size_t pair = shares.item(i);
        if (pair / blocks < pair % blocks) joiner.join(block(pair / blocks), block(pair % blocks));
    }
    share_links(was_root, shares, sets);
    return sets;
}

} // namespace hdap::fleet
