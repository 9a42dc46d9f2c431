#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hdap::fleet {

/// Disjoint sets that threads may unite at once. Neither the sets nor their roots, which are the
/// lowest members, depend on the order. (Anderson and Woll, "Wait-free parallel algorithms for the
/// union-find problem", STOC 1991, with links from higher to lower members.)
class DisjointSets {
  public:
    using Member = std::uint32_t;

    /// Every member alone.
    explicit DisjointSets(std::size_t size);

    [[nodiscard]] std::size_t size() const noexcept { return parent_.size(); }

    /// The root of a member's set. Complexity: O(log size) typically.
    [[nodiscard]] Member find(Member member) noexcept;

    void unite(Member a, Member b) noexcept;

    /// [member] whether it is the root of its set.
    [[nodiscard]] std::vector<std::uint8_t> roots() const;

    /// What has been united since these were the roots: member and root of its set, again and
    /// again. Uniting these in the sets as they were gives the sets as they are.
    [[nodiscard]] std::vector<Member> links_since(const std::vector<std::uint8_t>& was_root);

  private:
    std::vector<Member> parent_; ///< at most the member itself
};

} // namespace hdap::fleet
