#include "torch_functions.hpp"

#include "hdap/core/library.hpp"

namespace hdap::accuracy {
namespace {

const TorchFunctions& torch() {
    static const auto* const functions = static_cast<const TorchFunctions*>(core::library_symbol(
        "torch", "hdap_accuracy_torch_functions",
        "training, gradients and the measuring of devices need it and LibTorch: install hdap as a "
        "whole"));
    return *functions;
}

} // namespace

network::Weights loss_gradients(const network::Network& network, const network::Weights& weights,
                                const ImageData& images, const EvaluationParameters& parameters) {
    return torch().loss_gradients(network, weights, images, parameters);
}

std::unique_ptr<Inference> make_inference(const network::Network& network,
                                          const network::Weights& weights, std::int64_t batch,
                                          int threads) {
    return torch().make_inference(network, weights, batch, threads);
}

std::string inference_engine() {
    return torch().inference_engine();
}

std::unique_ptr<Training> make_training(const network::PrunedNetwork& start,
                                        const ImageData& images,
                                        const TrainingParameters& parameters,
                                        const std::optional<network::PrunedNetwork>& teacher) {
    return torch().make_training(start, images, parameters, teacher);
}

} // namespace hdap::accuracy
