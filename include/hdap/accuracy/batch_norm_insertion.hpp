#pragma once

#include "hdap/accuracy/image_data.hpp"
#include "hdap/network/pruned_network.hpp"

#include <cstdint>

namespace hdap::accuracy {

/// Undoes the folding of batch norms: the same function, up to rounding, with a norm behind each of
/// network::layers_without_norm, its statistics those of the layer's output on `images`, at most
/// `batch` of them at a time. What is pruned of it can be recalibrated.
///
/// The original norms of the filters, which magnitude criteria rank by, are lost. They become what
/// the layers that read a channel get from it: √Σ w²·E[x²] over their weights w and its values x,
/// scaled to a mean square of one in each layer. That ranks as well (docs/networks.md).
///
/// Runs in the calling thread, about as long as a recalibration. The same bits in any thread and
/// process on one kind of processor. Does nothing where no norm is missing.
/// Throws DataError when network, weights and images do not fit together, or there are fewer than
/// 2 images; ConfigError when `batch` is not in [1, 100000].
network::PrunedNetwork insert_batch_norms(const network::Network& network,
                                          const network::Weights& weights, const ImageData& images,
                                          std::int64_t batch);

} // namespace hdap::accuracy
