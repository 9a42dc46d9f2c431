#include "accuracy/engine/engine.hpp"
#include "accuracy/engine/lane_kernels.hpp"
#include "accuracy/engine/lane_layer.hpp"
#include "accuracy/network_torch.hpp"
#include "accuracy/threads_torch.hpp"
#include "bench.hpp"
#include "hdap/accuracy/evaluation.hpp"
#include "hdap/accuracy/inference.hpp"
#include "hdap/core/random.hpp"
#include "hdap/core/text.hpp"
#include "hdap/network/prunable.hpp"
#include "hdap/network/zoo.hpp"
#include "stopwatch.hpp"

#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <c10/core/InferenceMode.h>
#include <cmath>
#include <functional>
#include <future>
#include <utility>

namespace hdap::bench {
namespace {

using namespace accuracy;

constexpr std::int64_t batch = 64;

struct Subject {
    std::string label;
    network::ZooRequest request;
    double target; ///< times as fast as eager mode
};

std::vector<Subject> subjects() {
    return {{"mbv1_025",
             {.name = "mobilenet_v1",
              .width = 0.25,
              .classes = 10,
              .input_channels = 1,
              .input_extent = {28, 28}},
             5.0},
            {"mbv1_10",
             {.name = "mobilenet_v1", .width = 1.0, .classes = 10, .input_extent = {32, 32}},
             3.0},
            {"resnet20", {.name = "resnet20"}, 1.4},
            {"resnet56", {.name = "resnet56"}, 1.35}};
}

/// Different numbers for every pixel, as normalised images have them: [images][channels][pixels].
std::vector<float> random_images(const network::TensorShape& shape) {
    core::RandomStream random(1, core::StreamId::testing);
    std::vector<float> values;
    for (std::int64_t i = 0; i < batch * shape.channels * shape.extent.height * shape.extent.width;
         ++i)
        values.push_back(static_cast<float>(random.normal()));
    return values;
}

/// The unpruned network and three random genomes.
std::vector<network::PrunedNetwork> networks_of(const Subject& subject) {
    const network::Network network = network::make_network(subject.request);
    const network::Weights weights = network::initial_weights(network, 1);
    const network::Prunable prunable =
        network::with_weights(network::make_prunable(network, {}), weights);
    const network::SearchSpace& space = prunable.space;
    std::vector<network::PrunedNetwork> result{{network, weights}};
    for (std::uint32_t draw = 0; draw < 3; ++draw) {
        core::RandomStream random(1, core::StreamId::testing, draw);
        network::Genome genome;
        for (std::size_t g = 0; g < space.groups().size(); ++g)
            genome.push_back(space.nearest_allowed(
                g, random.uniform() * static_cast<double>(space.groups()[g].channels)));
        result.push_back(prunable.prune(genome));
    }
    return result;
}

/// LibTorch's eager mode, as a user runs a network who does nothing about its speed.
class EagerNetwork {
  public:
    explicit EagerNetwork(const network::PrunedNetwork& pruned)
        : network_(pruned.network, pruned.weights) {
        const network::TensorShape shape = network::infer_shapes(pruned.network).front();
        for (NodeParameters& node : network_.parameters())
            if (node.weight.defined()) node.weight = node.weight.contiguous();
        images_ =
            at::empty({batch, shape.channels, shape.extent.height, shape.extent.width}, at::kFloat);
        const std::vector<float> values = random_images(shape);
        std::copy(values.begin(), values.end(), images_.data_ptr<float>());
    }

    at::Tensor run() const {
        const c10::InferenceMode inference;
        return network_.forward(images_);
    }

  private:
    TorchNetwork network_;
    at::Tensor images_;
};

Engine make_engine(const network::PrunedNetwork& pruned,
                   const LaneKernels& kernels = lane_kernels()) {
    Engine engine(pruned.network, pruned.weights, batch, NormMode::running, kernels);
    const network::TensorShape shape = network::infer_shapes(pruned.network).front();
    const std::vector<float> values = random_images(shape);
    const std::int64_t pixels = shape.extent.height * shape.extent.width;
    for (std::int64_t n = 0; n < batch; ++n)
        for (std::int64_t c = 0; c < shape.channels; ++c)
            for (std::int64_t p = 0; p < pixels; ++p)
                engine.images()[(n * pixels + p) * shape.channels + c] =
                    values[static_cast<std::size_t>((n * shape.channels + c) * pixels + p)];
    return engine;
}

void compare(const std::string& label, Engine& engine, const EagerNetwork& eager,
             std::int64_t classes) {
    engine.run();
    const at::Tensor expected = eager.run().contiguous();
    const float* const theirs = expected.data_ptr<float>();
    const float* const ours = engine.output();
    for (std::int64_t i = 0; i < batch; ++i) {
        const float* const a = ours + i * classes;
        const float* const b = theirs + i * classes;
        bool agree = std::max_element(a, a + classes) - a == std::max_element(b, b + classes) - b;
        for (std::int64_t c = 0; c < classes; ++c)
            agree = agree && std::abs(a[c] - b[c]) <= 1e-3F * (1.0F + std::abs(b[c]));
        if (!agree)
            throw core::InternalError("the engine and LibTorch differ on image " +
                                      std::to_string(i) + " of " + label);
    }
}

Result against_eager(const Subject& subject, bool verify) {
    std::vector<Engine> engines;
    std::vector<EagerNetwork> eager;
    for (const network::PrunedNetwork& pruned : networks_of(subject)) {
        engines.push_back(make_engine(pruned));
        eager.emplace_back(pruned);
        if (verify) compare(subject.label, engines.back(), eager.back(), 10);
    }
    const std::vector<std::function<void()>> contenders{[&] {
                                                            for (Engine& engine : engines)
                                                                engine.run();
                                                        },
                                                        [&] {
                                                            for (const EagerNetwork& network :
                                                                 eager)
                                                                (void)network.run();
                                                        }};
    const auto seconds = fastest_seconds(contenders, 9, 0.1, Clock::thread);
    const double images = static_cast<double>(batch) * static_cast<double>(engines.size());
    return {.name = "accuracy_" + subject.label + "_vs_eager",
            .value = images / seconds[0],
            .unit = "images/s",
            .baseline = inference_engine() + " eager",
            .baseline_value = images / seconds[1],
            .ratio = seconds[1] / seconds[0],
            .target = subject.target};
}

double macs_of(const network::Network& network) {
    const auto structure = network::find_pruning_structure(network);
    return static_cast<double>(
        network::CostModel(network, structure).total(network::unpruned_genome(structure)).macs);
}

Result machine_share(const Subject& subject) {
    std::vector<Engine> engines;
    double macs = 0.0;
    for (const network::PrunedNetwork& pruned : networks_of(subject)) {
        engines.push_back(make_engine(pruned));
        macs += static_cast<double>(batch) * macs_of(pruned.network);
    }
    const LaneKernels& kernels = lane_kernels();
    const LaneBuffer values = make_buffer(kernels.lanes);
    constexpr std::int64_t vectors = 12'000'000;
    const std::vector<std::function<void()>> contenders{
        [&] {
            for (Engine& engine : engines)
                engine.run();
        },
        [&] { kernels.multiply_add_registers(vectors, values.get()); }};
    const auto seconds = fastest_seconds(contenders, 9, 0.1, Clock::thread);
    const double ours = 2e-9 * macs / seconds[0];
    const double limit = 2e-9 * static_cast<double>(vectors * kernels.lanes) / seconds[1];
    return {.name = "accuracy_" + subject.label + "_machine_share",
            .value = ours,
            .unit = "GFLOP/s",
            .baseline = "multiply-adds in registers alone",
            .baseline_value = limit,
            .ratio = ours / limit,
            .target = std::nullopt};
}

/// Rounding must not change more than the last digits of logits.
void compare_precisions(const std::string& label, Engine& rounded, Engine& exact,
                        std::int64_t classes) {
    rounded.run();
    exact.run();
    double squares = 0.0;
    double difference_squares = 0.0;
    for (std::int64_t i = 0; i < batch * classes; ++i) {
        const auto logit = static_cast<double>(exact.output()[i]);
        squares += logit * logit;
        difference_squares += std::pow(static_cast<double>(rounded.output()[i]) - logit, 2);
    }
    if (!(difference_squares <= 0.05 * 0.05 * squares))
        throw core::InternalError("bfloat16 changes the logits of " + label + " by " +
                                  core::significant(std::sqrt(difference_squares / squares)) +
                                  " of their size");
}

Result bfloat16_against_float32(const Subject& subject, bool verify) {
    std::vector<Engine> rounded;
    std::vector<Engine> exact;
    for (const network::PrunedNetwork& pruned : networks_of(subject)) {
        rounded.push_back(make_engine(pruned, *bfloat16_lane_kernels()));
        exact.push_back(make_engine(pruned));
        if (verify) compare_precisions(subject.label, rounded.back(), exact.back(), 10);
    }
    const auto run_all = [](std::vector<Engine>& engines) {
        return [&engines] {
            for (Engine& engine : engines)
                engine.run();
        };
    };
    const std::vector<std::function<void()>> contenders{run_all(rounded), run_all(exact)};
    const auto seconds = fastest_seconds(contenders, 9, 0.1, Clock::thread);
    const double images = static_cast<double>(batch) * static_cast<double>(exact.size());
    return {.name = "accuracy_" + subject.label + "_bfloat16",
            .value = images / seconds[0],
            .unit = "images/s",
            .baseline = "the same engine in float32",
            .baseline_value = images / seconds[1],
            .ratio = seconds[1] / seconds[0],
            .target = std::nullopt};
}

/// The 3 × 3 convolutions of ResNet56's three stages, as LibTorch computes them at its best:
/// channels-last, without anything around them.
class StageConvolutions {
  public:
    StageConvolutions() {
        for (const auto& [channels, size] : {std::pair{16, 32}, {32, 16}, {64, 8}}) {
            const auto layout =
                at::TensorOptions(at::kFloat).memory_format(at::MemoryFormat::ChannelsLast);
            inputs_.push_back(at::empty({batch, channels, size, size}, layout).fill_(0.5));
            weights_.push_back(at::empty({channels, channels, 3, 3}, layout).fill_(0.5));
        }
    }

    void run() const {
        const c10::InferenceMode inference;
        const std::array<std::int64_t, 2> one{1, 1};
        for (std::size_t i = 0; i < inputs_.size(); ++i)
            (void)at::conv2d(inputs_[i], weights_[i], {}, one, one, one, 1);
    }

  private:
    std::vector<at::Tensor> inputs_;
    std::vector<at::Tensor> weights_;
};

Result peak_share() {
    const network::Network network = network::make_network({.name = "resnet56"});
    Engine whole = make_engine({network, network::initial_weights(network, 1)});
    const StageConvolutions stages;
    const std::vector<std::function<void()>> contenders{[&] { whole.run(); },
                                                        [&] { stages.run(); }};
    const auto seconds = fastest_seconds(contenders, 9, 0.1, Clock::thread);
    // All three stages' convolutions have the same number of multiply-accumulates.
    constexpr double stage_macs = 3.0 * 16 * 16 * 9 * 32 * 32;
    const auto gflops = [](double macs, double s) {
        return 2e-9 * static_cast<double>(batch) * macs / s;
    };
    const double ours = gflops(macs_of(network), seconds[0]);
    const double peak = gflops(stage_macs, seconds[1]);
    return {.name = "accuracy_resnet56_peak_share",
            .value = ours,
            .unit = "GFLOP/s",
            .baseline = inference_engine() + "'s dense 3 x 3 convolutions alone",
            .baseline_value = peak,
            .ratio = ours / peak,
            .target = 0.85};
}

/// Runs a candidate `runs` times in a thread of its own.
void run_candidate(const network::PrunedNetwork& pruned, int runs) {
    Engine engine = make_engine(pruned);
    for (int i = 0; i < runs; ++i)
        engine.run();
}

Result scaling() {
    const network::Network network = network::make_network({.name = "resnet20"});
    const network::PrunedNetwork candidate{network, network::initial_weights(network, 1)};
    constexpr int runs = 20;
    const std::vector<std::function<void()>> contenders{
        [&] {
            auto other = std::async(std::launch::async, [&] { run_candidate(candidate, runs); });
            run_candidate(candidate, runs);
            other.get();
        },
        [&] {
            run_candidate(candidate, runs);
            run_candidate(candidate, runs);
        }};
    const auto seconds = fastest_seconds(contenders, 9, 0.1, Clock::wall);
    constexpr double images = 2.0 * runs * static_cast<double>(batch);
    return {.name = "accuracy_scaling_2",
            .value = images / seconds[0],
            .unit = "images/s",
            .baseline = "one candidate after the other",
            .baseline_value = images / seconds[1],
            .ratio = seconds[1] / seconds[0],
            .target = 1.9};
}

} // namespace

std::vector<Result> bench_accuracy(bool verify) {
    use_threads(1);
    return translate_errors([&] {
        std::vector<Result> results;
        for (const Subject& subject : subjects())
            results.push_back(against_eager(subject, verify));
        results.push_back(peak_share());
        for (const Subject& subject : subjects())
            results.push_back(machine_share(subject));
        results.push_back(scaling());
        if (bfloat16_lane_kernels())
            for (const Subject& subject : subjects())
                results.push_back(bfloat16_against_float32(subject, verify));
        return results;
    });
}

} // namespace hdap::bench
