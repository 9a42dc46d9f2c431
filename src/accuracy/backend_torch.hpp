#pragma once

#include "torch_functions.hpp"

/// The functions that TorchFunctions names.
namespace hdap::accuracy::backend {

network::Weights loss_gradients(const network::Network& network, const network::Weights& weights,
                                const ImageData& images, const EvaluationParameters& parameters);

std::unique_ptr<Inference> make_inference(const network::Network& network,
                                          const network::Weights& weights, std::int64_t batch,
                                          int threads);

std::string inference_engine();

std::unique_ptr<Training> make_training(const network::PrunedNetwork& start,
                                        const ImageData& images,
                                        const TrainingParameters& parameters,
                                        const std::optional<network::PrunedNetwork>& teacher);

} // namespace hdap::accuracy::backend
