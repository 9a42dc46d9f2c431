#pragma once

#include "hdap/network/graph.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace hdap::network {

/// Channels kept in each pruning group, in the order of SearchSpace::groups.
using Genome = std::vector<std::int32_t>;

/// Output channels of several layers that must go together.
struct PruningGroup {
    std::string name;                 ///< the first producing layer's name
    std::int64_t channels = 0;        ///< of the unpruned network
    std::vector<std::size_t> members; ///< every node whose *output* has the group's channels
};

/// Finds the groups by tracing which outputs share their channels: through batch norm,
/// activations, depthwise convolutions, pooling and additions (DepGraph: Fang et al., CVPR 2023).
/// Groups that contain the input or the output of the network are left out, and so are those on
/// either side of a grouped convolution that is not depthwise: dropping any channel would break it.
/// The result is ordered by each group's first node. Complexity: almost linear in the nodes.
/// Throws DataError as infer_shapes does.
std::vector<PruningGroup> find_pruning_groups(const Network& network);

/// For every node the index of the group that its output's channels belong to, or -1 when they
/// are never pruned.
/// Throws DataError when the groups are those of another network.
std::vector<int> group_of_nodes(const Network& network, const std::vector<PruningGroup>& groups);

/// What a search may choose from.
struct SearchSpaceParameters {
    double min_keep = 0.2;    ///< the least share of a group's channels that is kept; (0, 1]
    std::int64_t divisor = 1; ///< channels kept are multiples of this, or all; [1, 1024]
};

/// The genomes of a network: for every group the channels that may be kept.
class SearchSpace {
  public:
    /// Throws ConfigError when the network has no pruning group or a parameter is out of range,
    /// DataError as infer_shapes does.
    SearchSpace(const Network& network, const SearchSpaceParameters& parameters);

    [[nodiscard]] const std::vector<PruningGroup>& groups() const noexcept { return groups_; }

    [[nodiscard]] Genome unpruned() const; ///< all channels of every group
    [[nodiscard]] Genome smallest() const; ///< the least allowed count of every group

    /// The same keep ratio in every group, each rounded to the nearest allowed count: uniform
    /// width scaling, the simplest baseline.
    [[nodiscard]] Genome uniform(double keep_ratio) const;

    /// The counts that group `g` may have, ascending: multiples of the divisor from the least
    /// share on, and all channels. `g` < groups().size(), here and below.
    [[nodiscard]] std::vector<std::int32_t> allowed_counts(std::size_t g) const;

    /// The allowed count of group `g` that is nearest to `channels`; of two, the larger. Any value
    /// is fine: it is clamped first. Complexity: O(1).
    [[nodiscard]] std::int32_t nearest_allowed(std::size_t g, double channels) const;

    /// Channels kept ÷ channels, per group: each in (0, 1]. The surrogates' input.
    /// Throws DataError when `genome` has the wrong length.
    [[nodiscard]] std::vector<double> keep_ratios(const Genome& genome) const;

    /// Throws DataError when `genome` has the wrong length or a count that is not allowed: names
    /// the group, the count and what is allowed.
    void validate(const Genome& genome) const;

  private:
    std::vector<PruningGroup> groups_;
    std::vector<std::int32_t> minimum_;
    std::int64_t divisor_;
};

} // namespace hdap::network
