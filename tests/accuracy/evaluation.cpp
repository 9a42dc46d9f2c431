#include "hdap/accuracy/evaluation.hpp"

#include "accuracy/images/synthetic_images.hpp"
#include "accuracy/reference_batch.hpp"
#include "hdap/core/error.hpp"
#include "hdap/network/prunable.hpp"
#include "hdap/network/zoo.hpp"
#include "network/random_network.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stop_token>

using namespace hdap;
using namespace hdap::accuracy;
using namespace hdap::accuracy::testing;
using Catch::Matchers::Contains;
using network::Network;
using network::Weights;

namespace {

/// Images that fit to a network of network::testing::random_network.
ImageData images_for(const Network& network, std::int64_t count, std::uint32_t seed) {
    return synthetic_images({.count = count,
                             .channels = network.nodes[0].output_channels,
                             .height = network.input_extent.height,
                             .width = network.input_extent.width,
                             .classes = network::infer_shapes(network).back().channels,
                             .seed = seed});
}

Network small_mobilenet(double width = 0.25) {
    return network::make_network({.name = "mobilenet_v1",
                                  .width = width,
                                  .classes = 4,
                                  .input_channels = 1,
                                  .input_extent = {16, 16}});
}

/// The largest difference to the reference, relative to the image's largest logit.
double largest_error(const std::vector<float>& logits, const std::vector<FeatureMap>& expected) {
    double error = 0.0;
    const std::size_t classes = expected.front().size();
    REQUIRE(logits.size() == expected.size() * classes);
    for (std::size_t i = 0; i < expected.size(); ++i) {
        double scale = 1.0;
        for (const double value : expected[i])
            scale = std::max(scale, std::abs(value));
        for (std::size_t c = 0; c < classes; ++c)
            error = std::max(
                error,
                std::abs(static_cast<double>(logits[i * classes + c]) - expected[i][c]) / scale);
    }
    return error;
}

std::vector<FeatureMap> reference_logits(const Network& network, const Weights& weights,
                                         const ImageData& images) {
    std::vector<FeatureMap> result;
    for (std::int64_t i = 0; i < images.count; ++i)
        result.push_back(
            network::testing::reference_forward(network, weights, reference_image(images, i)));
    return result;
}

struct SmallProblem {
    Network network = small_mobilenet();
    Weights weights = network::testing::random_weights(network, 3);
    ImageData recalibration =
        synthetic_images({.count = 60, .height = 16, .width = 16, .classes = 4, .seed = 5});
    ImageData held_out =
        synthetic_images({.count = 90, .height = 16, .width = 16, .classes = 4, .seed = 6});
};

} // namespace

TEST_CASE("what does not fit together is refused", "[evaluation]") {
    const SmallProblem problem;
    const ImageData& images = problem.held_out;
    const auto accuracy = [&](const ImageData& other, std::int64_t batch) {
        return top1_accuracy(problem.network, problem.weights, other, {.batch = batch});
    };
    CHECK_THROWS_AS(accuracy(images, 0), core::ConfigError);
    CHECK_THROWS_AS(accuracy(images, 100'001), core::ConfigError);
    CHECK_THROWS_AS(accuracy({}, 10), core::DataError);
    CHECK_THROWS_WITH(accuracy(synthetic_images({.height = 16, .width = 17, .classes = 4}), 10),
                      Contains("1 channel of 16 x 17") && Contains("1 channel of 16 x 16"));
    CHECK_THROWS_WITH(accuracy(synthetic_images({.height = 16, .width = 16, .classes = 5}), 10),
                      Contains("5 classes"));
    Weights lacking = problem.weights;
    lacking.erase("classifier.bias");
    CHECK_THROWS_AS(top1_accuracy(problem.network, lacking, images, {}), core::DataError);
    CHECK_THROWS_AS(recalibrate_batch_norm(problem.network, lacking, images, {}), core::DataError);
    CHECK_THROWS_WITH(
        recalibrate_batch_norm(problem.network, problem.weights, slice(images, 0, 1), {}),
        Contains("at least 2 images"));
}

TEST_CASE("logits of random networks agree with plain loops in double", "[evaluation]") {
    for (std::uint32_t seed = 0; seed < 150; ++seed) {
        CAPTURE(seed);
        const Network network = network::testing::random_network(seed);
        if (!network.outputs.empty()) continue; // classification has one output
        const Weights weights = network::testing::random_weights(network, seed);
        const ImageData images = images_for(network, 5, seed);
        const std::vector<float> values = logits(network, weights, images, {.batch = 3});
        CHECK(largest_error(values, reference_logits(network, weights, images)) < 1e-4);
    }
}

TEST_CASE("logits and top-1 of the zoo's networks agree with plain loops", "[evaluation]") {
    const auto [name, width] = GENERATE(table<std::string, double>(
        {{"mobilenet_v1", 0.25}, {"mobilenet_v2", 0.25}, {"resnet20", 0.5}}));
    CAPTURE(name);
    const Network network = network::make_network({.name = name,
                                                   .width = width,
                                                   .classes = 10,
                                                   .input_channels = 3,
                                                   .input_extent = {16, 16}});
    const ImageData many = synthetic_images(
        {.count = 60, .channels = 3, .height = 16, .width = 16, .classes = 10, .seed = 2});
    const ImageData images = slice(many, 0, 6);
    // Statistics that fit, so that signals neither die out nor explode on the way.
    const Weights weights =
        recalibrate_batch_norm(network, network::testing::random_weights(network, 4), many, {});
    const std::vector<FeatureMap> expected = reference_logits(network, weights, images);
    CHECK(largest_error(logits(network, weights, images, {.batch = 4}), expected) < 1e-4);

    double right = 0.0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const auto best = std::max_element(expected[i].begin(), expected[i].end());
        right += best - expected[i].begin() == images.labels[i] ? 1.0 : 0.0;
    }
    CHECK(top1_accuracy(network, weights, images, {.batch = 4}) == right / 6.0);
}

TEST_CASE("the top-1 decision breaks ties towards the lower class and refuses NaN",
          "[evaluation]") {
    Network network;
    network.name = "linear";
    network.nodes.resize(3);
    network.nodes[0].name = "input";
    network.nodes[0].output_channels = 1;
    network.nodes[1].name = "pool";
    network.nodes[1].op = network::Operator::global_average_pool;
    network.nodes[1].inputs = {0};
    network.nodes[2].name = "fc";
    network.nodes[2].op = network::Operator::linear;
    network.nodes[2].inputs = {1};
    network.nodes[2].output_channels = 3;
    network.nodes[2].bias = true;
    network.input_extent = {2, 2};
    ImageData images = synthetic_images({.count = 3, .height = 2, .width = 2, .classes = 3});
    images.labels = {0, 1, 2};
    Weights weights = network::initial_weights(network, 1);
    weights.at("fc.weight").values = {0.0F, 0.0F, 0.0F};
    const auto accuracy = [&](std::vector<float> bias) {
        weights.at("fc.bias").values = std::move(bias);
        return top1_accuracy(network, weights, images, {}) * 3.0;
    };
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    CHECK(accuracy({1.0F, 1.0F, 1.0F}) == Approx(1.0));
    CHECK(accuracy({0.0F, 1.0F, 1.0F}) == Approx(1.0));
    CHECK(accuracy({nan, nan, nan}) == 0.0);
}

TEST_CASE("recalibrated statistics are those of the batches, averaged", "[evaluation]") {
    for (std::uint32_t seed = 0; seed < 40; ++seed) {
        CAPTURE(seed);
        const Network network = network::testing::random_network(seed);
        if (!network.outputs.empty()) continue;
        const Weights weights = network::testing::random_weights(network, seed);
        const ImageData images = images_for(network, 9, seed);
        // Batches of at most 5 are batches of 4 and 5.
        const Weights result = recalibrate_batch_norm(network, weights, images, {.batch = 5});
        const ReferenceBatch first = reference_batch(network, weights, images, 0, 4);
        const ReferenceBatch second = reference_batch(network, weights, images, 4, 5);
        const auto unbiased = [](const ChannelStatistics& s, std::size_t c) {
            return s.biased_variance[c] * s.count / (s.count - 1.0);
        };
        for (const auto& [name, a] : first.statistics) {
            CAPTURE(name);
            const ChannelStatistics& b = second.statistics.at(name);
            for (std::size_t c = 0; c < a.mean.size(); ++c) {
                const double variance = 0.5 * (unbiased(a, c) + unbiased(b, c));
                const double margin = 1e-4 * (1.0 + std::sqrt(variance));
                CHECK(static_cast<double>(result.at(name + ".running_mean").values[c]) ==
                      Approx(0.5 * (a.mean[c] + b.mean[c])).epsilon(1e-3).margin(margin));
                CHECK(static_cast<double>(result.at(name + ".running_var").values[c]) ==
                      Approx(variance).epsilon(2e-3).margin(1e-6));
            }
            CHECK(result.at(name + ".weight").values == weights.at(name + ".weight").values);
        }
    }
}

TEST_CASE("recalibration does not depend on the statistics before", "[evaluation]") {
    const SmallProblem problem;
    Weights broken = problem.weights;
    for (auto& [name, tensor] : broken)
        if (name.ends_with(".running_mean") || name.ends_with(".running_var"))
            tensor.values.assign(tensor.values.size(), std::numeric_limits<float>::quiet_NaN());
    const auto recalibrated = [&](const Weights& weights) {
        return recalibrate_batch_norm(problem.network, weights, problem.recalibration, {});
    };
    const Weights from_good = recalibrated(problem.weights);
    for (const auto& [name, tensor] : recalibrated(broken))
        CHECK(tensor.values == from_good.at(name).values);
}

TEST_CASE("a network that cannot reach the needed accuracy is given up after some batches",
          "[evaluation]") {
    const SmallProblem problem;
    const auto found = [&](double needed, double confidence) {
        return top1_accuracy(problem.network, problem.weights, problem.held_out, {.batch = 25},
                             {.needed = needed, .confidence = confidence}, {})
            .value();
    };
    const double exact =
        top1_accuracy(problem.network, problem.weights, problem.held_out, {.batch = 25});
    // Nothing reaches more than 100 %: after the first batch that is certain.
    const CandidateAccuracy given_up = found(1.5, 0.9);
    CHECK(given_up.given_up_after == 25);
    CHECK(given_up.value == top1_accuracy(problem.network, problem.weights,
                                          slice(problem.held_out, 0, 25), {.batch = 25}));
    for (const CandidateAccuracy& whole : {found(1.5, 0.0), found(exact, 0.9)}) {
        CHECK(whole.given_up_after == 0);
        CHECK(whole.value == exact);
    }
}

TEST_CASE("what is cancelled gives nothing, the same uncancelled all", "[evaluation]") {
    const SmallProblem problem;
    const auto accuracy = [&](const std::stop_token& cancelled) {
        return top1_accuracy(problem.network, problem.weights, problem.held_out, {}, cancelled);
    };
    const auto recalibrated = [&](const std::stop_token& cancelled) {
        return recalibrate_batch_norm(problem.network, problem.weights, problem.recalibration, {},
                                      cancelled);
    };
    std::stop_source cancellation;
    CHECK(accuracy(cancellation.get_token()) ==
          top1_accuracy(problem.network, problem.weights, problem.held_out, {}));
    CHECK(recalibrated(cancellation.get_token()));
    cancellation.request_stop();
    CHECK_FALSE(accuracy(cancellation.get_token()));
    CHECK_FALSE(recalibrated(cancellation.get_token()));
}

TEST_CASE("a recalibrated candidate is the pruned network with statistics of the images",
          "[evaluation]") {
    const SmallProblem problem;
    const network::Prunable prunable =
        network::with_weights(network::make_prunable(problem.network, {}), problem.weights);
    for (const double keep : {1.0, 0.4}) {
        const network::Genome genome = prunable.space.uniform(keep);
        const network::PrunedNetwork candidate =
            recalibrated_candidate(prunable, problem.recalibration, {.batch = 25}, genome);
        const network::PrunedNetwork pruned = prunable.prune(genome);
        CHECK(network::infer_shapes(candidate.network) == network::infer_shapes(pruned.network));
        const Weights expected = recalibrate_batch_norm(pruned.network, pruned.weights,
                                                        problem.recalibration, {.batch = 25});
        for (const auto& [name, tensor] : candidate.weights)
            CHECK(tensor.values == expected.at(name).values);
    }
    CHECK_THROWS_AS(recalibrated_candidate(prunable, problem.recalibration, {}, {1, 2, 3}),
                    core::DataError);
}

TEST_CASE("measure agrees with plain loops and does not depend on threads", "[evaluation]") {
    const SmallProblem problem;
    const ImageData& images = problem.held_out;
    double top1 = 0.0;
    double loss = 0.0;
    const std::vector<FeatureMap> expected =
        reference_logits(problem.network, problem.weights, images);
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const auto label = static_cast<std::size_t>(images.labels[i]);
        const auto best = std::max_element(expected[i].begin(), expected[i].end());
        top1 += best - expected[i].begin() == images.labels[i] ? 1.0 : 0.0;
        double sum = 0.0;
        for (const double value : expected[i])
            sum += std::exp(value - expected[i][label]);
        loss += std::log(sum);
    }
    const auto count = static_cast<double>(images.count);
    const Metrics metrics = measure(problem.network, problem.weights, images, {.batch = 16}, 1);
    CHECK(metrics.images == images.count);
    CHECK(metrics.top1 == top1 / count);
    CHECK(metrics.top5 == 1.0); // there are four classes
    CHECK(metrics.loss == Approx(loss / count).epsilon(1e-5));
    for (const int threads : {2, 3, 50})
        CHECK(measure(problem.network, problem.weights, images, {.batch = 16}, threads) == metrics);
    CHECK_THROWS_AS(measure(problem.network, problem.weights, images, {}, 0), core::ConfigError);
}
