#pragma once

#include "hdap/network/graph.hpp"
#include "hdap/network/pruning_groups.hpp"
#include "hdap/network/weights.hpp"

#include <cstdint>
#include <vector>

namespace hdap::network {

/// A physically smaller network with its weights.
struct PrunedNetwork {
    Network network;
    Weights weights;
};

/// Per group: its channels, most important first. The importance of a channel is the L2 norm of
/// all weights that produce it, over all members of the group (L2 magnitude, Li et al., ICLR
/// 2017); ties go to the lower index. Computed once per network; a genome then keeps a prefix.
std::vector<std::vector<std::int32_t>> rank_channels(const Network& network, const Weights& weights,
                                                     const SearchSpace& space);

/// Keeps the `genome[g]` most important channels of every group, in their original order, and
/// drops the others from the weights of every layer that produces or consumes them.
PrunedNetwork prune(const Network& network, const Weights& weights, const SearchSpace& space,
                    const std::vector<std::vector<std::int32_t>>& ranked_channels,
                    const Genome& genome);

} // namespace hdap::network
