#include "fleet/disjoint_sets.hpp"

#include <atomic>
#include <numeric>
#include <utility>

namespace hdap::fleet {

namespace {

using Parent = std::atomic_ref<DisjointSets::Member>;

} // namespace

DisjointSets::DisjointSets(std::size_t size) : parent_(size) {
    std::iota(parent_.begin(), parent_.end(), Member{0});
}

DisjointSets::Member DisjointSets::find(Member member) noexcept {
    while (true) {
        const Member parent = Parent(parent_[member]).load(std::memory_order_relaxed);
        const Member grandparent = Parent(parent_[parent]).load(std::memory_order_relaxed);
        if (parent == grandparent) return parent;
        // Halves the path. Where another thread was faster, its link is as good.
        Member expected = parent;
        Parent(parent_[member])
            .compare_exchange_weak(expected, grandparent, std::memory_order_relaxed);
        member = grandparent;
    }
}

void DisjointSets::unite(Member a, Member b) noexcept {
    while (true) {
        a = find(a);
        b = find(b);
        if (a == b) return;
        if (a < b) std::swap(a, b);
        // Fails when another thread has linked this root meanwhile.
        Member expected = a;
        if (Parent(parent_[a]).compare_exchange_strong(expected, b, std::memory_order_relaxed))
            return;
    }
}

std::vector<std::uint8_t> DisjointSets::roots() const {
    std::vector<std::uint8_t> is_root(parent_.size());
    for (std::size_t i = 0; i < parent_.size(); ++i)
        is_root[i] = parent_[i] == i ? 1 : 0;
    return is_root;
}

std::vector<DisjointSets::Member>
DisjointSets::links_since(const std::vector<std::uint8_t>& was_root) {
    std::vector<Member> links;
    for (std::size_t i = 0; i < parent_.size(); ++i) {
        if (was_root[i] == 0 || parent_[i] == i) continue;
        links.push_back(static_cast<Member>(i));
        links.push_back(find(static_cast<Member>(i)));
    }
    return links;
}

} // namespace hdap::fleet
