#include "hdap/accuracy/image_fit.hpp"

#include "accuracy/images/synthetic_images.hpp"
#include "hdap/core/error.hpp"
#include "hdap/network/zoo.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace hdap;
using namespace hdap::accuracy;
using Catch::Contains;

namespace {

network::Network network_with(std::int64_t outputs) {
    network::Network network =
        network::make_network({.name = "resnet20", .width = 0.25, .input_extent = {8, 8}});
    network.nodes.back().output_channels = outputs;
    return network;
}

std::string refusal(const network::Network& network, std::int64_t classes,
                    std::int64_t channels = 3) {
    const auto images = testing::synthetic_images({.channels = channels, .classes = classes});
    try {
        check_fit(network, images, "images.h5", "m.onnx");
    } catch (const core::DataError& error) {
        return error.what();
    }
    return "no error";
}

} // namespace

TEST_CASE("images that are not what the network takes are refused with how to pack them",
          "[image_fit]") {
    CHECK_THAT(refusal(network_with(5), 5, 1),
               Contains("images.h5") && Contains("'m.onnx'") && Contains("1 channel of 8 x 8") &&
                   Contains("3 channels of 8 x 8") && Contains("--size 8 --channels 3"));
    CHECK(refusal(network_with(5), 5) == "no error");
}

TEST_CASE("classes without an output each are refused with both numbers and what to do",
          "[image_fit]") {
    CHECK_THAT(refusal(network_with(6), 5), Contains("5 classes") && Contains("6 outputs") &&
                                                Contains("background") && Contains("images.h5") &&
                                                Contains("'m.onnx'"));
    CHECK_THAT(refusal(network_with(1), 2),
               Contains("2 classes") && Contains("1 output;") && Contains("sigmoid"));
    CHECK_THAT(refusal(network_with(10), 100),
               Contains("100 classes") && Contains("10 outputs") && Contains("hdap train"));
}

TEST_CASE("a network of several outputs, or without its head, is no classifier", "[image_fit]") {
    network::Network network = network_with(5);
    const std::size_t last = network.nodes.size() - 1;
    network.outputs = {last - 1, last};
    CHECK_THAT(refusal(network, 5), Contains("2 outputs") && Contains("--stop-at"));
    network.outputs = {1};
    CHECK_THAT(refusal(network, 5), Contains("8 x 8") && Contains("no classifier"));
}
