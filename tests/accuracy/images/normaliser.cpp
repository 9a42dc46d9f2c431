#include "accuracy/images/normaliser.hpp"

#include "accuracy/images/synthetic_images.hpp"
#include "hdap/accuracy/evaluation.hpp"
#include "hdap/core/error.hpp"
#include "hdap/network/normalisation_choice.hpp"
#include "hdap/network/weights.hpp"
#include "hdap/network/zoo.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

using namespace hdap;
using namespace hdap::accuracy;
using network::ChannelOrder;
using network::Node;
using network::Operator;

namespace {

/// The network with a layer in front that makes of pixels of 0 to 1 what it was trained on:
/// (pixel · scale − mean) / deviation, blue first.
network::PrunedNetwork normalising_itself(const network::PrunedNetwork& plain,
                                          const network::NormalisationChoice& choice) {
    network::PrunedNetwork result = plain;
    auto& nodes = result.network.nodes;
    for (Node& node : nodes)
        for (std::size_t& input : node.inputs)
            ++input;
    Node first;
    first.name = "normalise";
    first.op = Operator::conv2d;
    first.inputs = {0};
    first.output_channels = 3;
    first.bias = true;
    nodes.insert(nodes.begin() + 1, first);
    network::Tensor weight{{3, 3, 1, 1}, std::vector<float>(9, 0.0F)};
    network::Tensor bias{{3}, std::vector<float>(3, 0.0F)};
    for (std::size_t c = 0; c < 3; ++c) {
        weight.values[3 * c + 2 - c] = static_cast<float>(choice.scale / choice.deviation[c]);
        bias.values[c] = static_cast<float>(-choice.mean[c] / choice.deviation[c]);
    }
    result.weights["normalise.weight"] = weight;
    result.weights["normalise.bias"] = bias;
    return result;
}

} // namespace

TEST_CASE("a normalisation for other channels is refused", "[normaliser]") {
    ImageData images = testing::synthetic_images({.channels = 3});
    CHECK_THROWS_WITH(use_normalisation(images, {{0.5}, {0.5}}, "m.onnx"),
                      Catch::Contains("m.onnx") && Catch::Contains("1 channel, the images have 3"));
}

TEST_CASE("images are handed over by the formula, channel by channel in the network's order",
          "[normaliser]") {
    ImageData images = testing::synthetic_images({.count = 2, .channels = 3});
    use_normalisation(images, {{0.1, 0.2, 0.3}, {0.5, 0.25, 2.0}, ChannelOrder::bgr}, "m");
    images = slice(images, 1, 1);
    std::vector<float> found(3 * 64);
    Normaliser(images).write(0, {.flip = true, .shift_y = 1}, found.data());
    for (std::size_t y = 0; y < 8; ++y)
        for (std::size_t x = 0; x < 8; ++x)
            for (std::size_t c = 0; c < 3; ++c) {
                const std::size_t from = (2 - c) * 64 + (y + 1) * 8 + 7 - x;
                const double pixel = y + 1 < 8 ? images.pixels[from] : 0.0;
                CHECK(found[(y * 8 + x) * 3 + c] ==
                      static_cast<float>((pixel / 255.0 - images.mean[c]) / images.deviation[c]));
            }
}

TEST_CASE("settings give a network what a normalisation inside of it gives", "[normaliser]") {
    const network::NormalisationChoice choice{.mean = {104.0, 117.0, 123.0},
                                              .deviation = {57.0, 58.0, 59.0},
                                              .scale = 255.0,
                                              .order = ChannelOrder::bgr};
    network::PrunedNetwork plain{
        network::make_network(
            {.name = "resnet20", .width = 0.25, .classes = 4, .input_extent = {8, 8}}),
        {}};
    plain.weights = network::initial_weights(plain.network, 3);
    const auto inside = normalising_itself(plain, choice);
    ImageData images = testing::synthetic_images({.count = 20, .channels = 3, .classes = 4});
    ImageData raw = images;
    use_normalisation(images, choose_normalisation(choice, normalisation_of(images), 3), "plain");
    use_normalisation(raw, network::no_normalisation(3), "inside");
    const auto expected = logits(inside.network, inside.weights, raw, {});
    const auto found = logits(plain.network, plain.weights, images, {});
    REQUIRE(found.size() == expected.size());
    const float largest = *std::max_element(expected.begin(), expected.end());
    for (std::size_t i = 0; i < found.size(); ++i)
        CHECK(found[i] == Approx(expected[i]).margin(1e-4 * std::abs(largest)));
    // And the order counts.
    images.order = ChannelOrder::rgb;
    CHECK(logits(plain.network, plain.weights, images, {}) != found);
}
