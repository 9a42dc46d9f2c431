#include "accuracy/network_torch.hpp"
#include "accuracy/threads_torch.hpp"
#include "accuracy/training/training_batches.hpp"
#include "bench.hpp"
#include "hdap/accuracy/evaluation.hpp"
#include "hdap/accuracy/inference.hpp"
#include "hdap/accuracy/training.hpp"
#include "hdap/core/random.hpp"
#include "hdap/network/zoo.hpp"
#include "stopwatch.hpp"

#include <ATen/core/Reduction.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <c10/core/GradMode.h>
#include <functional>

namespace hdap::bench {
namespace {

using namespace accuracy;

constexpr std::int64_t batch = 128;

network::PrunedNetwork subject() {
    const network::Network network = network::make_network({.name = "resnet20"});
    return {network, network::initial_weights(network, 1)};
}

ImageData random_images() {
    ImageData images{.count = 2048,
                     .channels = 3,
                     .height = 32,
                     .width = 32,
                     .classes = 10,
                     .pixels = {},
                     .labels = {},
                     .mean = {0.5, 0.5, 0.5},
                     .deviation = {0.25, 0.25, 0.25}};
    core::RandomStream random(1, core::StreamId::testing);
    for (std::int64_t i = 0; i < images.count * 3 * 32 * 32; ++i)
        images.pixels.push_back(static_cast<std::uint8_t>(random.below(256)));
    for (std::int64_t i = 0; i < images.count; ++i)
        images.labels.push_back(static_cast<std::int32_t>(random.below(10)));
    return images;
}

/// All steps that anyone may ask for. A rate so small that the loss stays a number.
TrainingParameters parameters(std::int64_t shard) {
    return {.epochs = 1e4, .batch = batch, .shard = shard, .learning_rate = 1e-6};
}

/// The loop that a user of LibTorch writes, on one batch that is there already: forward, backward,
/// SGD with Nesterov momentum, a tensor at a time.
class PlainLoop {
  public:
    PlainLoop(const network::PrunedNetwork& start, const ImageData& images, const Backend& backend)
        : network_(start.network, start.weights, backend), pixels_(empty_batch(batch, images)),
          labels_(at::empty({batch}, at::kLong)) {
        TrainingBatches batches(images, parameters(batch));
        batches.begin(0);
        batches.write(0, batch, pixels_.data_ptr<float>(), labels_.data_ptr<std::int64_t>());
        pixels_ = pixels_.contiguous(backend.layout());
        for (NodeParameters& node : network_.parameters())
            for (at::Tensor* value : {&node.weight, &node.bias})
                if (value->defined()) {
                    value->set_requires_grad(true);
                    trained_.push_back(*value);
                    velocity_.push_back(at::zeros_like(*value));
                }
    }

    void run() {
        {
            const c10::AutoGradMode gradients(true);
            at::cross_entropy_loss(network_.forward_training(pixels_), labels_, {},
                                   at::Reduction::Mean, -100, 0.0)
                .backward();
        }
        const c10::AutoGradMode no_gradients(false);
        for (std::size_t i = 0; i < trained_.size(); ++i) {
            at::Tensor& gradient = trained_[i].mutable_grad();
            gradient.add_(trained_[i], 5e-4);
            velocity_[i].mul_(0.9).add_(gradient);
            trained_[i].add_(gradient.add_(velocity_[i], 0.9), -1e-6);
            gradient.reset();
        }
    }

  private:
    TorchNetwork network_;
    at::Tensor pixels_;
    at::Tensor labels_;
    std::vector<at::Tensor> trained_;
    std::vector<at::Tensor> velocity_;
};

Result compared(const std::string& name, const std::string& baseline, double target, Clock clock,
                const std::function<void()>& ours, const std::function<void()>& theirs) {
    const std::vector<std::function<void()>> contenders{ours, theirs};
    const auto seconds = fastest_seconds(contenders, 9, 0.3, clock);
    return {.name = name,
            .value = static_cast<double>(batch) / seconds[0],
            .unit = "images/s",
            .baseline = baseline,
            .baseline_value = static_cast<double>(batch) / seconds[1],
            .ratio = seconds[1] / seconds[0],
            .target = target};
}

void verify_threads(const network::PrunedNetwork& start, const ImageData& images) {
    const auto one = make_training(start, images, parameters(batch / 4));
    const auto two = make_training(start, images, parameters(batch / 4));
    for (int step = 0; step < 3; ++step) {
        take_step(*one, 1);
        take_step(*two, 2);
    }
    const network::Weights expected = one->state().weights;
    for (const auto& [name, tensor] : two->state().weights)
        if (tensor.values != expected.at(name).values)
            throw core::InternalError("training on two threads and on one differ in '" + name +
                                      "'");
}

} // namespace

std::vector<Result> bench_training(bool verify) {
    use_threads(1);
    return translate_errors([&] {
        const network::PrunedNetwork start = subject();
        const ImageData images = random_images();
        if (verify) verify_threads(start, images);
        const auto training = make_training(start, images, parameters(batch));
        PlainLoop same_kernels(start, images, {});
        PlainLoop libtorch(start, images, {.device = at::kCPU, .own_kernels = false});
        const auto sharded = make_training(start, images, parameters(batch / 2));
        std::vector<Result> results;
        const auto step = [&] { take_step(*training, 1); };
        results.push_back(compared("training_resnet20_pipeline",
                                   "the same kernels, one batch again and again", 0.85,
                                   Clock::thread, step, [&] { same_kernels.run(); }));
        results.push_back(compared("training_resnet20_vs_libtorch",
                                   inference_engine() + "'s kernels, one batch again and again",
                                   0.85, Clock::thread, step, [&] { libtorch.run(); }));
        results.push_back(compared(
            "training_scaling_2", "one thread", 1.8, Clock::wall, [&] { take_step(*sharded, 2); },
            [&] { take_step(*sharded, 1); }));
        return results;
    });
}

} // namespace hdap::bench
