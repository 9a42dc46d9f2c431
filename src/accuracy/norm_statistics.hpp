#pragma once

#include "accuracy/engine/engine.hpp"
#include "hdap/accuracy/image_data.hpp"
#include "hdap/network/graph.hpp"
#include "hdap/network/weights.hpp"

#include <cstdint>
#include <optional>
#include <stop_token>
#include <vector>

namespace hdap::accuracy {

/// What the batch norms of `network` see of `images`, per node; empty lists for other nodes: the
/// mean over batches of nearly equal size, at most `batch` each (but at least 2), of the batches'
/// mean and unbiased variance. `mode`: what the norms do meanwhile; not NormMode::running.
/// Nothing when `cancelled` was requested before all was done. Runs in the calling thread.
/// Throws DataError where there are fewer than 2 images.
std::optional<std::vector<BatchStatistics>>
norm_statistics(const network::Network& network, const network::Weights& weights,
                const ImageData& images, std::int64_t batch, NormMode mode,
                const LaneKernels& kernels, const std::stop_token& cancelled);

} // namespace hdap::accuracy
