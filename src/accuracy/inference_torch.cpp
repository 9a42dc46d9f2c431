#include "backend_torch.hpp"
#include "hdap/network/fold_batch_norm.hpp"
#include "network_torch.hpp"
#include "threads_torch.hpp"

#include <ATen/ops/empty.h>
#include <fmt/core.h>
#include <torch/csrc/api/include/torch/version.h>

#include <algorithm>
#include <c10/core/InferenceMode.h>
#include <cmath>
#include <string>

namespace hdap::accuracy {
namespace {

void check_range(const char* name, std::int64_t value, std::int64_t most) {
    if (value < 1 || value > most)
        throw core::ConfigError(fmt::format("{} is {}, must be in [1, {}]", name, value, most));
}

/// Numbers spread over [-1, 1): what an image holds hardly matters to its latency, but zeros would
/// spare the arithmetic units some power, and with it heat.
void fill(at::Tensor& input) {
    constexpr double golden_ratio = 0.6180339887498949;
    float* const values = input.data_ptr<float>();
    for (std::int64_t i = 0; i < input.numel(); ++i) {
        const double place = static_cast<double>(i) * golden_ratio;
        values[i] = static_cast<float>(2.0 * (place - std::floor(place)) - 1.0);
    }
}

class TorchInference final : public Inference {
  public:
    TorchInference(const network::PrunedNetwork& folded, at::Tensor input, int threads)
        : network_(folded.network, folded.weights), input_(std::move(input)), threads_(threads) {}

    void run() override {
        use_threads(threads_);
        translate_errors([&] {
            const c10::InferenceMode inference;
            const at::Tensor output = network_.forward(input_);
        });
    }

  private:
    TorchNetwork network_;
    at::Tensor input_;
    int threads_;
};

} // namespace

std::unique_ptr<Inference> backend::make_inference(const network::Network& network,
                                                   const network::Weights& weights,
                                                   std::int64_t batch, int threads) {
    check_range("batch", batch, 100'000);
    check_range("threads", threads, 4096);
    const network::TensorShape shape = network::infer_shapes(network).front();
    ImageData image;
    image.channels = shape.channels;
    image.height = shape.extent.height;
    image.width = shape.extent.width;
    const network::PrunedNetwork folded = network::fold_batch_norms(network, weights);
    use_threads(threads);
    return translate_errors([&] {
        const c10::InferenceMode inference;
        at::Tensor input = empty_batch(batch, image);
        fill(input);
        return std::make_unique<TorchInference>(folded, std::move(input), threads);
    });
}

std::string backend::inference_engine() {
    return "LibTorch " TORCH_VERSION;
}

} // namespace hdap::accuracy
