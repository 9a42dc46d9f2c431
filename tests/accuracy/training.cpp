#include "hdap/accuracy/training.hpp"

#include "accuracy/reference_batch.hpp"
#include "accuracy/synthetic_images.hpp"
#include "hdap/accuracy/evaluator.hpp"
#include "hdap/core/error.hpp"
#include "hdap/network/zoo.hpp"
#include "network/random_network.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>
#include <thread>

using namespace hdap;
using namespace hdap::accuracy;
using namespace hdap::accuracy::testing;
using Catch::Matchers::Contains;
using network::PrunedNetwork;
using network::Weights;

namespace {

PrunedNetwork small_start() {
    PrunedNetwork start{.network = network::make_network({.name = "mobilenet_v1",
                                                          .width = 0.1,
                                                          .classes = 2,
                                                          .input_channels = 1,
                                                          .input_extent = {16, 16}}),
                        .weights = {}};
    start.weights = network::initial_weights(start.network, 1);
    return start;
}

ImageData small_images(std::int64_t count = 160, std::uint32_t seed = 1) {
    return synthetic_images({.count = count, .height = 16, .width = 16, .seed = seed});
}

bool equal(const Weights& a, const Weights& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
        return x.first == y.first && x.second.values == y.second.values;
    });
}

/// Cross-entropy with smoothed labels, averaged over the images.
double reference_loss(const network::Network& network, const Weights& weights,
                      const ImageData& images, double smoothing) {
    const ReferenceBatch batch = reference_batch(network, weights, images, 0, images.count);
    double loss = 0.0;
    for (std::size_t i = 0; i < batch.logits.size(); ++i) {
        const FeatureMap& logits = batch.logits[i];
        const double largest = *std::max_element(logits.begin(), logits.end());
        double sum = 0.0;
        for (const double logit : logits)
            sum += std::exp(logit - largest);
        for (std::size_t c = 0; c < logits.size(); ++c) {
            const double target =
                (static_cast<std::int32_t>(c) == images.labels[i] ? 1.0 - smoothing : 0.0) +
                smoothing / static_cast<double>(logits.size());
            loss -= target * (logits[c] - largest - std::log(sum));
        }
    }
    return loss / static_cast<double>(batch.logits.size());
}

} // namespace

TEST_CASE("parameters out of their range and images that do not fit are refused", "[training]") {
    const auto run = [](const TrainingParameters& parameters) {
        return train(small_start(), small_images(), parameters, {});
    };
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    CHECK_THROWS_WITH(run({.epochs = 0.0}), Contains("epochs is 0, must be in (0, 10000]"));
    CHECK_THROWS_AS(run({.epochs = nan}), core::ConfigError);
    CHECK_THROWS_AS(run({.batch = 1}), core::ConfigError);
    CHECK_THROWS_AS(run({.learning_rate = 0.0}), core::ConfigError);
    CHECK_THROWS_AS(run({.learning_rate = INFINITY}), core::ConfigError);
    CHECK_THROWS_WITH(run({.momentum = 1.0}), Contains("momentum is 1, must be in [0, 1)"));
    CHECK_THROWS_AS(run({.weight_decay = -1.0}), core::ConfigError);
    CHECK_THROWS_AS(run({.warmup = 0.6}), core::ConfigError);
    CHECK_THROWS_AS(run({.label_smoothing = 0.6}), core::ConfigError);
    CHECK_THROWS_AS(run({.crop_padding = 0.51}), core::ConfigError);
    CHECK_THROWS_AS(train(small_start(), synthetic_images({}), {}, {}), core::DataError);
    CHECK_THROWS_AS(train(small_start(), small_images(1), {}, {}), core::DataError);
    PrunedNetwork lacking = small_start();
    lacking.weights.erase("stem.conv.weight");
    CHECK_THROWS_AS(train(lacking, small_images(), {}, {}), core::DataError);
}

TEST_CASE("one step goes down the gradient of the plain loss", "[training]") {
    constexpr double smoothing = 0.1;
    for (std::uint32_t seed = 0; seed < 30; ++seed) {
        CAPTURE(seed);
        PrunedNetwork start{.network = network::testing::random_network(seed), .weights = {}};
        if (!start.network.outputs.empty()) continue;
        // Training leaves a final softmax out, since the loss has its own.
        const network::Network trained = start.network;
        if (start.network.nodes.back().op == network::Operator::softmax)
            start.network.nodes.pop_back();
        start.weights = network::testing::random_weights(start.network, seed);
        const network::Node& input = start.network.nodes[0];
        const ImageData images = synthetic_images({.count = 6,
                                                   .channels = input.output_channels,
                                                   .height = start.network.input_extent.height,
                                                   .width = start.network.input_extent.width,
                                                   .classes = 3,
                                                   .seed = seed});
        const Weights result = train({trained, start.weights}, images,
                                        {.epochs = 1.0,
                                         .batch = 6,
                                         .learning_rate = 1.0,
                                         .momentum = 0.0,
                                         .weight_decay = 0.0,
                                         .warmup = 0.0,
                                         .label_smoothing = smoothing,
                                         .augment = false},
                                        {});
        core::RandomStream random(seed, core::StreamId::testing, 2);
        int checked = 0;
        int wrong = 0;
        for (const auto& [name, tensor] : start.weights) {
            if (name.find(".running_") != std::string::npos) continue;
            const std::size_t i = random.below(tensor.values.size());
            const auto loss_at = [&](float value) {
                Weights moved = start.weights;
                moved.at(name).values[i] = value;
                return reference_loss(start.network, moved, images, smoothing);
            };
            const float above = tensor.values[i] + 1e-4F;
            const float below = tensor.values[i] - 1e-4F;
            const double expected =
                (loss_at(above) - loss_at(below)) / static_cast<double>(above - below);
            const double gradient = static_cast<double>(tensor.values[i]) -
                                    static_cast<double>(result.at(name).values[i]);
            ++checked;
            wrong += std::abs(gradient - expected) > 2e-3 + 0.02 * std::abs(expected) ? 1 : 0;
        }
        // A kink of an activation may lie between the two points of a difference.
        CHECK(wrong <= checked / 10);
    }
}

TEST_CASE("training learns, and its statistics serve inference", "[training]") {
    const PrunedNetwork start = small_start();
    const Weights weights =
        train(start, small_images(320), {.epochs = 12.0, .batch = 32, .learning_rate = 0.1}, {});
    CHECK(top1_accuracy(start.network, weights, small_images(200, 2), {}) > 0.9);
}

TEST_CASE("the weights depend on the seed, not on the run or the thread", "[training]") {
    const PrunedNetwork start = small_start();
    const ImageData images = small_images(100);
    const auto trained = [&](std::uint64_t seed) {
        return train(start, images, {.epochs = 2.0, .batch = 16, .seed = seed}, {});
    };
    const Weights once = trained(1);
    CHECK(equal(once, trained(1)));
    CHECK_FALSE(equal(once, trained(2)));
    std::vector<Weights> threads_results(2);
    std::vector<std::thread> threads;
    for (Weights& result : threads_results)
        threads.emplace_back([&] { result = trained(1); });
    for (std::thread& thread : threads)
        thread.join();
    CHECK(equal(once, threads_results[0]));
    CHECK(equal(once, threads_results[1]));
}

TEST_CASE("the observer sees every step and can stop", "[training]") {
    const PrunedNetwork start = small_start();
    const ImageData images = small_images(100);
    const TrainingParameters parameters{.epochs = 1.5, .batch = 16};
    std::vector<TrainingProgress> seen;
    const auto run = [&](std::int64_t stop) {
        seen.clear();
        return train(start, images, parameters, [&](const TrainingProgress& progress) {
            seen.push_back(progress);
            return progress.step != stop;
        });
    };
    const Weights whole = run(-1);
    REQUIRE(seen.size() == 9); // 100 images fill 6 batches of 16
    CHECK(seen.back().step == 9);
    CHECK(seen.back().steps == 9);
    CHECK(seen.back().loss > 0.0);
    CHECK(seen.back().train_accuracy >= 0.0);
    CHECK(seen.back().train_accuracy <= 1.0);
    const Weights part = run(2);
    CHECK(seen.size() == 2);
    CHECK_FALSE(equal(whole, part));
    CHECK_FALSE(equal(part, start.weights));
}

TEST_CASE("a loss that is not a number stops with the step and the rate", "[training]") {
    // Every step multiplies the weights by about 1 - 100.
    CHECK_THROWS_WITH(train(small_start(), small_images(),
                               {.epochs = 10.0,
                                .batch = 16,
                                .learning_rate = 100.0,
                                .weight_decay = 1.0,
                                .warmup = 0.0},
                               {}),
                      Contains("diverged") && Contains("in step") && Contains("learning_rate"));
    CHECK_THROWS_WITH(train(small_start(), small_images(16),
                               {.epochs = 10.0,
                                .batch = 16,
                                .learning_rate = 100.0,
                                .weight_decay = 1.0,
                                .warmup = 0.0},
                               {}),
                      Contains("diverged"));
}
