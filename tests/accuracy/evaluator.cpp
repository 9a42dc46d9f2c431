#include "hdap/accuracy/evaluator.hpp"

#include "accuracy/images/synthetic_images.hpp"
#include "accuracy/reference_batch.hpp"
#include "hdap/core/error.hpp"
#include "hdap/network/importance.hpp"
#include "hdap/network/zoo.hpp"
#include "network/random_network.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <thread>

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
    network::SearchSpace space{network, {}};
    ImageData recalibration =
        synthetic_images({.count = 60, .height = 16, .width = 16, .classes = 4, .seed = 5});
    ImageData held_out =
        synthetic_images({.count = 90, .height = 16, .width = 16, .classes = 4, .seed = 6});

    [[nodiscard]] Evaluator evaluator() const {
        return {
            network,       weights,  space,        network::rank_channels(network, weights, space),
            recalibration, held_out, {.batch = 25}};
    }
};

} // namespace

TEST_CASE("what does not fit together is refused", "[evaluator]") {
    const SmallProblem problem;
    const ImageData& images = problem.held_out;
    const auto accuracy = [&](const ImageData& other, std::int64_t batch) {
        return top1_accuracy(problem.network, problem.weights, other, {.batch = batch});
    };
    CHECK_THROWS_AS(accuracy(images, 0), core::ConfigError);
    CHECK_THROWS_AS(accuracy(images, 100'001), core::ConfigError);
    CHECK_THROWS_AS(accuracy({}, 10), core::DataError);
    CHECK_THROWS_WITH(accuracy(synthetic_images({.height = 16, .width = 17, .classes = 4}), 10),
                      Contains("1 channels of 16 x 17") && Contains("1 channels of 16 x 16"));
    CHECK_THROWS_WITH(accuracy(synthetic_images({.height = 16, .width = 16, .classes = 5}), 10),
                      Contains("5 classes"));
    Weights lacking = problem.weights;
    lacking.erase("classifier.bias");
    CHECK_THROWS_AS(top1_accuracy(problem.network, lacking, images, {}), core::DataError);
    const auto ranked = network::rank_channels(problem.network, problem.weights, problem.space);
    CHECK_THROWS_AS(Evaluator(problem.network, lacking, problem.space, ranked, images, images, {}),
                    core::DataError);
    CHECK_THROWS_WITH(Evaluator(problem.network, problem.weights, problem.space, ranked,
                                synthetic_images({}), images, {}),
                      Contains("images for recalibration"));
    CHECK_THROWS_AS(problem.evaluator().accuracy({1, 2, 3}), core::DataError);
    CHECK_THROWS_WITH(
        recalibrate_batch_norm(problem.network, problem.weights, slice(images, 0, 1), {}),
        Contains("at least 2 images"));
}

TEST_CASE("logits of random networks agree with plain loops in double", "[evaluator]") {
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

TEST_CASE("logits and top-1 of the zoo's networks agree with plain loops", "[evaluator]") {
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

TEST_CASE("the top-1 decision breaks ties towards the lower class and refuses NaN", "[evaluator]") {
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

TEST_CASE("recalibrated statistics are those of the batches, averaged", "[evaluator]") {
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

TEST_CASE("recalibration does not depend on the statistics before", "[evaluator]") {
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

TEST_CASE("a candidate's accuracy is that of the network it hands out", "[evaluator]") {
    const SmallProblem problem;
    const Evaluator evaluator = problem.evaluator();
    for (const double keep : {1.0, 0.7, 0.3}) {
        const network::Genome genome = problem.space.uniform(keep);
        const network::PrunedNetwork candidate = evaluator.candidate(genome);
        CHECK(evaluator.accuracy(genome) ==
              top1_accuracy(candidate.network, candidate.weights, problem.held_out, {.batch = 25}));
    }
}

TEST_CASE("a candidate that cannot reach the needed accuracy is given up after some batches",
          "[evaluator]") {
    const SmallProblem problem;
    const Evaluator evaluator = problem.evaluator();
    const network::Genome genome = problem.space.unpruned();
    const double exact = evaluator.accuracy(genome);
    const auto found = [&](double needed, double confidence) {
        return evaluator.accuracy(genome, {.needed = needed, .confidence = confidence}, {}).value();
    };
    // Nothing reaches more than 100 %: after the first batch that is certain.
    const CandidateAccuracy given_up = found(1.5, 0.9);
    CHECK(given_up.given_up_after == 25);
    const network::PrunedNetwork candidate = evaluator.candidate(genome);
    CHECK(given_up.value == top1_accuracy(candidate.network, candidate.weights,
                                          slice(problem.held_out, 0, 25), {.batch = 25}));
    for (const CandidateAccuracy& whole : {found(1.5, 0.0), found(exact, 0.9)}) {
        CHECK(whole.given_up_after == 0);
        CHECK(whole.value == exact);
    }
}

TEST_CASE("a cancelled evaluation gives nothing, another one its accuracy", "[evaluator]") {
    const SmallProblem problem;
    const Evaluator evaluator = problem.evaluator();
    const network::Genome genome = problem.space.unpruned();
    std::stop_source cancellation;
    CHECK(evaluator.accuracy(genome, {}, cancellation.get_token()).value().value ==
          evaluator.accuracy(genome));
    const network::PrunedNetwork candidate = evaluator.candidate(genome);
    cancellation.request_stop();
    CHECK_FALSE(evaluator.accuracy(genome, {}, cancellation.get_token()));
    CHECK_FALSE(top1_accuracy(candidate.network, candidate.weights, problem.held_out, {.batch = 25},
                              cancellation.get_token()));
}

TEST_CASE("a genome gets the same bits from any thread, alone or beside others", "[evaluator]") {
    const SmallProblem problem;
    const Evaluator evaluator = problem.evaluator();
    const std::vector<double> keeps{1.0, 0.8, 0.6, 0.4};
    struct Result {
        double accuracy = 0.0;
        std::vector<float> logits;
        Weights weights;
    };
    const auto evaluate = [&](double keep) {
        const network::Genome genome = problem.space.uniform(keep);
        const network::PrunedNetwork candidate = evaluator.candidate(genome);
        return Result{evaluator.accuracy(genome),
                      logits(candidate.network, candidate.weights, problem.held_out, {.batch = 25}),
                      candidate.weights};
    };
    std::vector<Result> alone;
    for (const double keep : keeps)
        alone.push_back(evaluate(keep));

    std::vector<std::vector<Result>> together(4);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < together.size(); ++t)
        threads.emplace_back([&, t] {
            for (std::size_t k = 0; k < keeps.size(); ++k)
                together[t].push_back(evaluate(keeps[(k + t) % keeps.size()]));
        });
    for (std::thread& thread : threads)
        thread.join();
    for (std::size_t t = 0; t < together.size(); ++t)
        for (std::size_t k = 0; k < keeps.size(); ++k) {
            const Result& expected = alone[(k + t) % keeps.size()];
            CHECK(together[t][k].accuracy == expected.accuracy);
            CHECK(together[t][k].logits == expected.logits);
            for (const auto& [name, tensor] : expected.weights)
                CHECK(together[t][k].weights.at(name).values == tensor.values);
        }
}

TEST_CASE("measure agrees with plain loops and does not depend on threads", "[evaluator]") {
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
