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
/// Groups that contain the input or the output of the network are left out.
/// The result is ordered by each group's first node.
std::vector<PruningGroup> find_pruning_groups(const Network& network);

/// What a search may choose from.
struct SearchSpaceParameters {
    double min_keep = 0.2;   ///< the least share of a group's channels that is kept; (0, 1]
    std::int64_t divisor = 1; ///< channels kept are multiples of this, or all; [1, 1024]
};

/// The genomes of a network: for every group the channels that may be kept.
class SearchSpace {
  public:
    /// Throws ConfigError when nothing can be pruned or a parameter is out of range.
    SearchSpace(const Network& network, const SearchSpaceParameters& parameters);

    [[nodiscard]] const std::vector<PruningGroup>& groups() const noexcept { return groups_; }

    [[nodiscard]] Genome unpruned() const;
    [[nodiscard]] Genome smallest() const;

    /// The same keep ratio in every group, each rounded to the nearest allowed count: uniform
    /// width scaling, the simplest baseline.
    [[nodiscard]] Genome uniform(double keep_ratio) const;

    /// The allowed count of group `g` that is nearest to `channels`.
    [[nodiscard]] std::int32_t nearest_allowed(std::size_t g, double channels) const;

    /// Channels kept ÷ channels, per group: each in (0, 1]. The surrogates' input.
    [[nodiscard]] std::vector<double> keep_ratios(const Genome& genome) const;

    /// Throws DataError when `genome` has the wrong length or a count that is not allowed.
    void validate(const Genome& genome) const;

  private:
    std::vector<PruningGroup> groups_;
    std::vector<std::int32_t> minimum_;
    std::int64_t divisor_;
};

} // namespace hdap::network
