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
/// "All weights" are those of convolutions, depthwise ones included, and linear layers; biases and
/// batch norm do not count. Complexity: O(weights + channels·log(channels)).
/// Throws DataError when the weights do not fit (see check_weights) or are not finite, or when
/// `space` belongs to another network.
std::vector<std::vector<std::int32_t>> rank_channels(const Network& network, const Weights& weights,
                                                     const SearchSpace& space);

/// Keeps the `genome[g]` most important channels of every group, in their original order, and
/// drops the others from the weights of every layer that produces or consumes them. Tensors that
/// the network does not use are dropped, too. If the dropped channels are zero, the smaller network
/// computes the same function. Complexity: O(weights kept).
/// Throws DataError when `genome` is not one of `space`, when a group's `ranked_channels` are not a
/// permutation of its channels, or when `weights` or `space` belong to another network.
PrunedNetwork prune(const Network& network, const Weights& weights, const SearchSpace& space,
                    const std::vector<std::vector<std::int32_t>>& ranked_channels,
                    const Genome& genome);

} // namespace hdap::network
