#include "hdap/accuracy/evaluator.hpp"
#include "hdap/accuracy/inference.hpp"
#include "network_torch.hpp"
#include "threads_torch.hpp"

#include <ATen/ops/empty.h>
#include <torch/csrc/api/include/torch/version.h>

#include <algorithm>
#include <c10/core/InferenceMode.h>
#include <cmath>
#include <string>

namespace hdap::accuracy {
namespace {

void check_range(const char* name, std::int64_t value, std::int64_t most) {
    if (value < 1 || value > most)
        throw core::ConfigError(std::string(name) + " is " + std::to_string(value) +
                                ", must be in [1, " + std::to_string(most) + "]");
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

} // namespace

struct Inference::State {
    TorchNetwork network;
    at::Tensor input;
    int threads;
};

Inference::Inference(const network::Network& network, const network::Weights& weights,
                     std::int64_t batch, int threads) {
    check_range("batch", batch, 100'000);
    check_range("threads", threads, 4096);
    const network::TensorShape shape = network::infer_shapes(network).front();
    ImageData image;
    image.channels = shape.channels;
    image.height = shape.extent.height;
    image.width = shape.extent.width;
    use_threads(threads);
    state_ = translate_errors([&] {
        const c10::InferenceMode inference;
        auto state = std::make_unique<State>(
            State{TorchNetwork(network, weights), empty_batch(batch, image), threads});
        state->network.fold_batch_norms();
        fill(state->input);
        return state;
    });
}

Inference::~Inference() = default;
Inference::Inference(Inference&&) noexcept = default;
Inference& Inference::operator=(Inference&&) noexcept = default;

void Inference::run() {
    use_threads(state_->threads);
    translate_errors([&] {
        const c10::InferenceMode inference;
        const at::Tensor output = state_->network.forward(state_->input);
    });
}

std::vector<std::vector<float>> run_network(const network::Network& network,
                                            const network::Weights& weights,
                                            const std::vector<float>& images) {
    const network::TensorShape shape = network::infer_shapes(network).front();
    const std::int64_t size = shape.channels * shape.extent.height * shape.extent.width;
    const auto count = static_cast<std::int64_t>(images.size()) / size;
    if (count < 1 || count * size != static_cast<std::int64_t>(images.size()))
        throw core::DataError(std::to_string(images.size()) + " values are not whole images of " +
                              std::to_string(size) + " values, as network '" + network.name +
                              "' takes them");
    use_one_thread_per_candidate();
    return translate_errors([&] {
        const c10::InferenceMode inference;
        TorchNetwork torch_network(network, weights);
        torch_network.fold_batch_norms();
        at::Tensor input =
            at::empty({count, shape.channels, shape.extent.height, shape.extent.width}, at::kFloat);
        std::copy(images.begin(), images.end(), input.data_ptr<float>());
        std::vector<std::vector<float>> results;
        for (const at::Tensor& output :
             torch_network.forward_all(input.contiguous(at::MemoryFormat::ChannelsLast))) {
            const at::Tensor values = output.contiguous();
            results.emplace_back(values.data_ptr<float>(),
                                 values.data_ptr<float>() + values.numel());
        }
        return results;
    });
}

std::string inference_engine() {
    return "LibTorch " TORCH_VERSION;
}

} // namespace hdap::accuracy
