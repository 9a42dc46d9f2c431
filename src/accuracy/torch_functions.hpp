#pragma once

#include "hdap/accuracy/gradients.hpp"
#include "hdap/accuracy/inference.hpp"
#include "hdap/accuracy/training.hpp"

namespace hdap::accuracy {

/// What LibTorch does for this module, as the public headers describe it. The functions lie in the
/// library hdap_torch, which is loaded for them.
struct TorchFunctions {
    decltype(&accuracy::loss_gradients) loss_gradients;
    decltype(&accuracy::make_inference) make_inference;
    decltype(&accuracy::inference_engine) inference_engine;
    std::unique_ptr<Training> (*make_training)(
        const network::PrunedNetwork& start, const ImageData& images,
        const TrainingParameters& parameters,
        const std::optional<network::PrunedNetwork>& teacher);
};

} // namespace hdap::accuracy

extern "C" const hdap::accuracy::TorchFunctions hdap_accuracy_torch_functions;
