#pragma once

#include "hdap/core/settings.hpp"
#include "hdap/network/graph.hpp"
#include "hdap/network/pruning_structure.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace hdap::network {

/// What a search may choose from.
struct SearchSpaceParameters {
    double min_keep = 0.2;         ///< the least share of a group's channels that is kept; (0, 1]
    std::int64_t min_channels = 1; ///< and the least count, or all channels; [1, 2^20]
    std::int64_t divisor = 1;      ///< channels kept are multiples of this, or all; [1, 1024]
    std::vector<std::string> pinned = {}; ///< names of layers whose channels are all kept
};

/// The genomes of a network: for every group the channels that may be kept.
class SearchSpace {
  public:
    /// Throws ConfigError when the network has no pruning group, a parameter is out of range or a
    /// pinned layer does not exist, DataError as infer_shapes does.
    SearchSpace(const Network& network, const SearchSpaceParameters& parameters);

    [[nodiscard]] const PruningStructure& structure() const noexcept { return structure_; }
    [[nodiscard]] const std::vector<PruningGroup>& groups() const noexcept {
        return structure_.groups;
    }

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

    /// The least counts of a pruning step that starts at `from`, a genome of this space: the
    /// nearest allowed to (1 − max_step) · from. `max_step`: the largest share of a group's present
    /// channels that the step drops; (0, 1].
    [[nodiscard]] Genome step_below(const Genome& from, double max_step) const;

    /// The same space without the genomes below `least`, which is one of them.
    /// Throws DataError as `validate`.
    [[nodiscard]] SearchSpace from(const Genome& least) const;

    /// Throws DataError when `genome` has the wrong length or a count that is not allowed: names
    /// the group, the count and what is allowed.
    void validate(const Genome& genome) const;

  private:
    PruningStructure structure_;
    std::vector<std::int32_t> minimum_;
    std::int64_t divisor_;
};

/// The mean over the pruning groups of (log of the share of channels that is kept)²: 0 unpruned,
/// 0.48 at half of all channels. Stands in for the accuracy that pruning costs where nothing
/// measures that: each group costs more the more of it is gone, and none may go entirely. It knows
/// nothing of the weights. Throws DataError when `genome` has the wrong length.
double pruning_loss(const SearchSpace& space, const Genome& genome);

/// The settings of `parameters`, which must outlive them.
std::vector<core::Setting> settings_of(SearchSpaceParameters& parameters);

} // namespace hdap::network
