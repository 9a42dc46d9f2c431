#pragma once

#include "hdap/network/pruned_network.hpp"

#include <cstddef>
#include <vector>

namespace hdap::network {

/// The convolutions that batch norms were folded into, as far as a graph can tell, ascending. None
/// where a batch norm alone reads a convolution: a tool that folds leaves no such pair. Else those
/// with a bias, as folding leaves one, but for those whose tensor reaches an output without
/// another layer with weights (what is returned is not normalised), and those behind a global
/// pooling (gates, as of squeeze-and-excitation, have no norms). A network that was trained without
/// norms looks the same. Complexity: O(nodes).
std::vector<std::size_t> layers_without_norm(const Network& network);

/// A graph with batch norms inserted.
struct NetworkWithNorms {
    Network network;
    std::vector<std::size_t> norms; ///< their nodes, in the order of the nodes that they follow
};

/// The same graph with a batch norm behind each of `nodes`, which are ascending: what read, or
/// returned, the node takes the norm instead. Its name is the node's and ".norm", made unique.
NetworkWithNorms with_norms_behind(const Network& network, const std::vector<std::size_t>& nodes);

/// What images made of a layer, per channel.
struct LayerStatistics {
    std::vector<double> mean;     ///< of its output
    std::vector<double> variance; ///< of its output
    std::vector<double> strength; ///< at least 0: how much of the channel goes on to its readers
};

/// The inverse of fold_batch_norms: the same function, up to rounding, with a batch norm behind
/// each of `layers`, whose statistics are `statistics` (one entry a layer) and which has the
/// layer's bias.
///
/// What of a filter's scale was its own and what the norm's cannot be seen any more, and norms of
/// folded filters rank channels badly. As the norm takes out whatever scale a filter has, filters
/// get the Euclidean norm `strength`, for l1, l2 and the others of Criterion to rank by.
///
/// Throws DataError when the weights do not fit the network, InternalError when the statistics do
/// not fit the layers. Complexity: O(weights).
PrunedNetwork insert_batch_norms(const Network& network, const Weights& weights,
                                 const std::vector<std::size_t>& layers,
                                 const std::vector<LayerStatistics>& statistics);

} // namespace hdap::network
