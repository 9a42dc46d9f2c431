#include "hdap/accuracy/inference.hpp"

#include "hdap/core/error.hpp"
#include "hdap/network/zoo.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>

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

accuracy::Inference inference(const network::Network& network, std::int64_t batch = 4,
                              int threads = 1) {
    return {network, network::initial_weights(network, 1), batch, threads};
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
    auto small = inference(mobilenet(0.25, 16));
    auto large = inference(mobilenet(1.0, 16));
    CHECK(fastest_seconds(small) < fastest_seconds(large));
}

TEST_CASE("Networks on different numbers of threads take turns", "[inference]") {
    const auto network = mobilenet(0.25, 16);
    auto one = inference(network);
    auto two = inference(network, 4, 2);
    for (int turn = 0; turn < 3; ++turn) {
        CHECK_NOTHROW(one.run());
        CHECK_NOTHROW(two.run());
    }
}

TEST_CASE("An inference refuses what it cannot run", "[inference]") {
    const auto network = mobilenet(0.25, 16);
    CHECK_THROWS_WITH(inference(network, 0), "batch is 0, must be in [1, 100000]");
    CHECK_THROWS_AS(inference(network, 100'001), core::ConfigError);
    CHECK_THROWS_WITH(inference(network, 1, 0), Contains("threads is 0"));
    CHECK_THROWS_AS(accuracy::Inference(network, {}, 1, 1), core::DataError);
}

TEST_CASE("The engine has a name and a version", "[inference]") {
    CHECK_THAT(accuracy::inference_engine(), Contains("LibTorch ") && Contains("."));
}
