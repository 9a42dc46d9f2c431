#pragma once

#include "hdap/core/settings.hpp"
#include "hdap/network/search_space.hpp"
#include "hdap/network/weights.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace hdap::network {

/// How important a channel is.
enum class Criterion {
    l1,               ///< sum of |w| over the weights that produce the channel
    l2,               ///< √Σ w² (Li et al., ICLR 2017)
    batch_norm_scale, ///< sum of |γ| of the batch norms behind it (Liu et al., ICCV 2017)
    taylor, ///< |Σ w·∂loss/∂w| (Molchanov et al., CVPR 2019, eq. 8, one sum a channel)
    geometric_median, ///< distance to the layer's other filters (FPGM: He et al., CVPR 2019)
    random,           ///< uniform; for checks
};

/// "l1", "l2", "batch_norm_scale", "taylor", "geometric_median", "random".
std::vector<std::string> criterion_names();

/// Throws ConfigError for a name that is none of criterion_names(); says the nearest.
Criterion criterion_from_name(const std::string& name);

struct ImportanceParameters {
    Criterion criterion = Criterion::l2;
    std::uint64_t seed = 1;             ///< of `random`
    const Weights* gradients = nullptr; ///< of `taylor`: ∂loss/∂w by the weights' names
};

/// Per group the importance of each of its channels, divided by the group's mean, so that groups
/// compare; all ones where the mean is zero. A channel's score covers all members of the group:
/// convolutions, depthwise ones included, and linear layers; of l1, l2 and taylor neither biases
/// nor batch norms. Complexity: O(weights); geometric_median: O(weights · channels of a layer).
///
/// A criterion that says nothing about a group (a group without batch norm) falls back to l2 there.
/// Throws DataError when the weights or gradients do not fit (see check_weights) or are not finite,
/// or when `space` belongs to another network; ConfigError when `taylor` has no gradients.
std::vector<std::vector<double>> channel_importance(const Network& network, const Weights& weights,
                                                    const SearchSpace& space,
                                                    const ImportanceParameters& parameters = {});

/// Per group: its channels, most important first; ties go to the lower index. Computed once per
/// network; a genome then keeps a prefix. Throws as channel_importance.
std::vector<std::vector<std::int32_t>> rank_channels(const Network& network, const Weights& weights,
                                                     const SearchSpace& space,
                                                     const ImportanceParameters& parameters = {});

/// The setting "criterion", which must not outlive `criterion`.
core::Setting criterion_setting(Criterion& criterion);

} // namespace hdap::network
