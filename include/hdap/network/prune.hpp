#pragma once

#include "hdap/network/graph.hpp"
#include "hdap/network/search_space.hpp"
#include "hdap/network/weights.hpp"

#include <cstdint>
#include <vector>

namespace hdap::network {

/// A physically smaller network with its weights.
struct PrunedNetwork {
    Network network;
    Weights weights;
};

/// Keeps the `genome[g]` most important channels of every group (see rank_channels), in their
/// original order, and drops the others from the weights of every layer that produces or consumes
/// them. Tensors that the network does not use are dropped, too. If the dropped channels are zero
/// wherever they are read, the smaller network computes the same function. Complexity: O(weights
/// kept).
/// Throws DataError when `genome` is not one of `space`, when a group's `ranked_channels` are not a
/// permutation of its channels, or when `weights` or `space` belong to another network.
PrunedNetwork prune(const Network& network, const Weights& weights, const SearchSpace& space,
                    const std::vector<std::vector<std::int32_t>>& ranked_channels,
                    const Genome& genome);

} // namespace hdap::network
