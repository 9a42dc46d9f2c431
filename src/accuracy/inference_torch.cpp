#include "accuracy/engine/engine.hpp"
#include "hdap/accuracy/inference.hpp"
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

enum class Order { channels_first, channels_last };

/// Copies images of `shape` into the order `to` from the other one.
void transpose(const float* from, std::int64_t images, const network::TensorShape& shape, Order to,
               float* target) {
    const std::int64_t pixels = shape.extent.height * shape.extent.width;
    for (std::int64_t n = 0; n < images; ++n)
        for (std::int64_t c = 0; c < shape.channels; ++c)
            for (std::int64_t p = 0; p < pixels; ++p) {
                const std::int64_t first = (n * shape.channels + c) * pixels + p;
                const std::int64_t last = (n * pixels + p) * shape.channels + c;
                if (to == Order::channels_last)
                    target[last] = from[first];
                else
                    target[first] = from[last];
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
    const network::PrunedNetwork folded = network::fold_batch_norms(network, weights);
    use_threads(threads);
    state_ = translate_errors([&] {
        const c10::InferenceMode inference;
        auto state = std::make_unique<State>(State{TorchNetwork(folded.network, folded.weights),
                                                   empty_batch(batch, image), threads});
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
        throw core::DataError(
            fmt::format("{} values are not whole images of {} values, as network '{}' takes them",
                        images.size(), size, network.name));
    Engine engine(network, weights, count, NormMode::running);
    transpose(images.data(), count, shape, Order::channels_last, engine.images());
    engine.run();
    std::vector<std::vector<float>> results;
    const std::vector<network::TensorShape> shapes = network::infer_shapes(network);
    for (const std::size_t output : network::output_nodes(network)) {
        const network::TensorShape& of = shapes[output];
        std::vector<float>& values = results.emplace_back(
            static_cast<std::size_t>(count * of.channels * of.extent.height * of.extent.width));
        transpose(engine.output(results.size() - 1), count, of, Order::channels_first,
                  values.data());
    }
    return results;
}

std::string inference_engine() {
    return "LibTorch " TORCH_VERSION;
}

} // namespace hdap::accuracy
