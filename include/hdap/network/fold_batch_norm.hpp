#pragma once

#include "hdap/network/pruned_network.hpp"

namespace hdap::network {

/// The same function with fewer layers: every batch norm that alone reads a convolution or linear
/// layer is folded into its weights and bias, and is gone. The others stay. Layers keep their
/// names; what read, or returned, the batch norm takes the layer instead.
/// Tensors that the network does not use are dropped. Complexity: O(weights).
/// Throws DataError when the weights do not fit the network.
PrunedNetwork fold_batch_norms(const Network& network, const Weights& weights);

} // namespace hdap::network
