#pragma once

#include "hdap/core/progress.hpp"
#include "hdap/core/settings.hpp"
#include "hdap/network/search_space.hpp"
#include "hdap/network/weights.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
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
    int threads = 0; ///< OpenMP threads of `geometric_median`; 0: OpenMP's default
    /// Told now and then, by this thread, how many of the products of weights that
    /// `geometric_median` takes are done, and how many there are.
    std::function<void(std::int64_t done, std::int64_t total)> on_progress = {};
};

/// For on_progress: shows it as a line of `progress`, which must live as long, where it takes a
/// second or more.
std::function<void(std::int64_t, std::int64_t)> importance_progress(core::Progress& progress);

/// Per group the importance of each of its channels, divided by the group's mean, so that groups
/// compare; all ones where the mean is zero. A channel's score covers all members of the group:
/// convolutions, depthwise ones included, and linear layers; of l1, l2 and taylor neither biases
/// nor batch norms. The result does not depend on the threads. Complexity: O(weights);
/// geometric_median: O(weights · channels of a layer), half as many multiply-adds.
///
/// A criterion that says nothing about a group (a group without batch norm) falls back to l2 there.
/// Throws DataError when the weights or gradients do not fit (see check_weights) or are not finite,
/// or when `space` belongs to another network; ConfigError when `taylor` has no gradients.
std::vector<std::vector<double>> channel_importance(const Network& network, const Weights& weights,
                                                    const SearchSpace& space,
                                                    const ImportanceParameters& parameters = {});

/// How many groups of `space` have no batch norm whose scale tells their channels apart, and are
/// ranked by l2 where batch_norm_scale is asked for. Complexity: O(channels).
std::size_t groups_without_scale(const Network& network, const Weights& weights,
                                 const SearchSpace& space);

/// Per group: its channels, most important first; ties go to the lower index. Computed once per
/// network; a genome then keeps a prefix. Throws as channel_importance.
std::vector<std::vector<std::int32_t>> rank_channels(const Network& network, const Weights& weights,
                                                     const SearchSpace& space,
                                                     const ImportanceParameters& parameters = {});

/// The setting "criterion", which must not outlive `criterion`.
core::Setting criterion_setting(Criterion& criterion);

} // namespace hdap::network
