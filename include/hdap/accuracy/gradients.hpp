#pragma once

#include "hdap/accuracy/evaluation.hpp"
#include "hdap/accuracy/image_data.hpp"
#include "hdap/network/graph.hpp"
#include "hdap/network/weights.hpp"

namespace hdap::accuracy {

/// The gradient of the mean cross-entropy loss over `images` with respect to every weight and bias
/// of convolutions, linear layers and batch norms, by the weights' names: what the criterion
/// network::Criterion::taylor needs. Batch norms use their running statistics.
///
/// Runs in the calling thread, `parameters.batch` images at a time.
/// Throws DataError when network, weights and images do not fit together.
network::Weights loss_gradients(const network::Network& network, const network::Weights& weights,
                                const ImageData& images, const EvaluationParameters& parameters);

} // namespace hdap::accuracy
