#include "hdap/accuracy/inference.hpp"

#include "hdap/core/error.hpp"
#include "hdap/network/zoo.hpp"
#include "network/random_network.hpp"
#include "network/reference_forward.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>

using namespace hdap;
using Catch::Matchers::Contains;

namespace {

network::Network mobilenet(double width, std::int64_t extent) {
    return network::make_network({.name = "mobilenet_v1",
                                  .width = width,
                                  .classes = 4,
                                  .input_channels = 1,
                                  .input_extent = {extent, extent}});
}

std::unique_ptr<accuracy::Inference> inference(const network::Network& network,
                                               std::int64_t batch = 4, int threads = 1) {
    return accuracy::make_inference(network, network::initial_weights(network, 1), batch, threads);
}

double fastest_seconds(accuracy::Inference& network) {
    double fastest = 1e9;
    for (int run = 0; run < 20; ++run) {
        const auto start = std::chrono::steady_clock::now();
        network.run();
        const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
        fastest = std::min(fastest, taken.count());
    }
    return fastest;
}

} // namespace

TEST_CASE("A network with over ten times the work takes longer", "[inference]") {
    const auto small = inference(mobilenet(0.25, 16));
    const auto large = inference(mobilenet(1.0, 16));
    CHECK(fastest_seconds(*small) < fastest_seconds(*large));
}

TEST_CASE("Networks on different numbers of threads take turns", "[inference]") {
    const auto network = mobilenet(0.25, 16);
    const auto one = inference(network);
    const auto two = inference(network, 4, 2);
    for (int turn = 0; turn < 3; ++turn) {
        CHECK_NOTHROW(one->run());
        CHECK_NOTHROW(two->run());
    }
}

TEST_CASE("An inference refuses what it cannot run", "[inference]") {
    const auto network = mobilenet(0.25, 16);
    CHECK_THROWS_WITH(inference(network, 0), "batch is 0, must be in [1, 100000]");
    CHECK_THROWS_AS(inference(network, 100'001), core::ConfigError);
    CHECK_THROWS_WITH(inference(network, 1, 0), Contains("threads is 0"));
    CHECK_THROWS_AS(accuracy::make_inference(network, {}, 1, 1), core::DataError);
}

TEST_CASE("The engine has a name and a version", "[inference]") {
    CHECK_THAT(accuracy::inference_engine(), Contains("LibTorch ") && Contains("."));
}

TEST_CASE("run_network refuses values that are not whole images") {
    const network::Network network = mobilenet(0.25, 28);
    const network::Weights weights = network::initial_weights(network, 1);
    CHECK_THROWS_WITH(accuracy::run_network(network, weights, {}),
                      Contains("0 values are not whole images of 784 values"));
    CHECK_THROWS_AS(accuracy::run_network(network, weights, std::vector<float>(785)),
                    core::DataError);
}

TEST_CASE("run_network gives all outputs of random networks as plain loops do") {
    int outputs = 0;
    for (std::uint32_t seed = 0; seed < 200; ++seed) {
        CAPTURE(seed);
        const network::Network network = network::testing::random_network(seed);
        const network::Weights weights = network::testing::random_weights(network, seed);
        const network::TensorShape input = network::infer_shapes(network).front();
        core::RandomStream random(seed, core::StreamId::testing, 4);
        std::vector<float> images;
        for (std::int64_t i = 0; i < 2 * input.channels * input.extent.height * input.extent.width;
             ++i)
            images.push_back(static_cast<float>(random.normal()));
        const auto results = accuracy::run_network(network, weights, images);
        const auto half = static_cast<std::ptrdiff_t>(images.size() / 2);
        for (std::size_t image = 0; image < 2; ++image) {
            const auto first = images.begin() + static_cast<std::ptrdiff_t>(image) * half;
            const auto expected = network::testing::reference_forward(
                network, weights, network::testing::FeatureMap(first, first + half));
            std::vector<float> values;
            for (const std::vector<float>& result : results) {
                const auto size = static_cast<std::ptrdiff_t>(result.size() / 2);
                const auto begin = result.begin() + static_cast<std::ptrdiff_t>(image) * size;
                values.insert(values.end(), begin, begin + size);
            }
            REQUIRE(values.size() == expected.size());
            double worst = 0.0;
            for (std::size_t i = 0; i < values.size(); ++i)
                worst = std::max(worst, std::abs(static_cast<double>(values[i]) - expected[i]) /
                                            (1.0 + std::abs(expected[i])));
            CHECK(worst < 2e-4);
        }
        outputs += static_cast<int>(results.size());
    }
    CHECK(outputs > 220);
}
