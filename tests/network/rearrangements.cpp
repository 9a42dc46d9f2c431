#include "network/rearrangements.hpp"

#include "network/random_network.hpp"
#include "network/reference_forward.hpp"
#include "network/small_networks.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace hdap::network;
using namespace hdap::network::testing;

namespace {

/// Numbers that are all different.
FeatureMap numbered(std::int64_t count) {
    FeatureMap map;
    for (std::int64_t i = 0; i < count; ++i)
        map.push_back(0.01 * static_cast<double>(i * i % 997) + static_cast<double>(i % 7));
    return map;
}

double worst_difference(const FeatureMap& a, const FeatureMap& b) {
    REQUIRE(a.size() == b.size());
    double worst = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i)
        worst = std::max(worst, std::abs(a[i] - b[i]));
    return worst;
}

/// An image of 3 x 12 x 18 that is taken apart into blocks of 2 x 3, whose pixels a concatenation
/// joins from the last to the first.
struct Blocks {
    Network network{"blocks", {12, 18}, {node(Operator::input, "input", {})}, {}};
    Weights weights;
    PixelSamples samples;
    Node join = node(Operator::concat, "join", {});

    Blocks() {
        network.nodes[0].output_channels = 3;
        for (std::int64_t i = 5; i >= 0; --i)
            add({0, {i / 3, i % 3}, {2, 3}});
    }

    void add(const PixelSample& wanted) {
        const PixelSample sample = samples.resolved(wanted);
        const std::size_t index = network.nodes.size();
        Node layer = sampling_layer(sample, 3);
        layer.name = "sample" + std::to_string(index);
        layer.inputs = {sample.node};
        if (layer.op == Operator::conv2d) weights[layer.name + ".weight"] = sampling_weight(layer);
        network.nodes.push_back(layer);
        samples.remember(index, sample);
        join.inputs.push_back(index);
    }
};

} // namespace

TEST_CASE("what does not join all pixels of one image's blocks is none of its blocks") {
    const Blocks blocks;
    REQUIRE(blocks.samples.joined_by(blocks.join));
    Node other = blocks.join;
    other.op = Operator::add;
    CHECK_FALSE(blocks.samples.joined_by(other));
    other = blocks.join;
    other.inputs.pop_back();
    CHECK_FALSE(blocks.samples.joined_by(other)); // one is missing
    other.inputs.push_back(other.inputs[2]);
    CHECK_FALSE(blocks.samples.joined_by(other)); // one is there twice
    other.inputs.back() = 0;
    CHECK_FALSE(blocks.samples.joined_by(other)); // the image itself
    Blocks of_others = blocks;
    of_others.samples.remember(3, {5, {1, 0}, {2, 3}});
    CHECK_FALSE(of_others.samples.joined_by(blocks.join)); // of another node
    of_others.samples.remember(3, {0, {1, 0}, {3, 2}});
    CHECK_FALSE(of_others.samples.joined_by(blocks.join)); // with other steps
    other.inputs.clear();
    CHECK_FALSE(blocks.samples.joined_by(other));
}

TEST_CASE("a sample holds the pixels of its places, and a sample of it is one of the image") {
    Blocks blocks;
    blocks.add({2, {1, 2}, {3, 4}}); // of the sample of rows 1, 3 … and columns 1, 4 …
    const std::size_t last = blocks.network.nodes.size() - 1;
    CHECK(blocks.network.nodes[last].inputs == std::vector<std::size_t>{0});
    const FeatureMap image = numbered(3 * 12 * 18);
    for (const std::size_t place : {std::size_t{1}, std::size_t{6}, last}) {
        const auto& [node, first, step] = blocks.samples.resolved({place, {0, 0}, {1, 1}});
        Network network = blocks.network;
        network.outputs = {place};
        FeatureMap expected;
        for (std::int64_t c = 0; c < 3; ++c)
            for (std::int64_t y = first.height; y < 12; y += step.height)
                for (std::int64_t x = first.width; x < 18; x += step.width)
                    expected.push_back(image[static_cast<std::size_t>((c * 12 + y) * 18 + x)]);
        CHECK(reference_forward(network, blocks.weights, image) == expected);
    }
}

TEST_CASE("a convolution over pixels computes what one over their blocks does") {
    Blocks blocks;
    const SpaceToDepth joined = *blocks.samples.joined_by(blocks.join);
    Node layer = node(Operator::conv2d, "layer", {0});
    layer.output_channels = 4;
    layer.kernel = {3, 2};
    layer.stride = {1, 2};
    layer.padding = {1, 1};
    Network small{"small", {6, 6}, {blocks.network.nodes[0], layer}, {}};
    small.nodes[0].output_channels = 18;
    Weights weights = random_weights(small, 3);
    blocks.weights["layer.weight"] = weights.at("layer.weight");
    blocks.network.nodes.push_back(blocks.join);
    layer.inputs = {blocks.network.nodes.size() - 1};
    blocks.network.nodes.push_back(layer);

    Network large{"pixels", {12, 18}, {blocks.network.nodes[0], layer}, {}};
    Node& over = large.nodes[1];
    over.inputs = {joined.node};
    for (Extent* part : {&over.kernel, &over.stride, &over.padding})
        *part = product(*part, joined.block);
    weights["layer.weight"] = over_pixels(weights.at("layer.weight"), joined);
    CHECK(weights.at("layer.weight").shape == std::vector<std::int64_t>{4, 3, 6, 6});
    const FeatureMap image = numbered(3 * 12 * 18);
    CHECK(worst_difference(reference_forward(large, weights, image),
                           reference_forward(blocks.network, blocks.weights, image)) < 1e-9);
}

TEST_CASE("a matrix with its columns before a shuffle computes what it does behind that") {
    Node shuffle = node(Operator::channel_shuffle, "shuffle", {0});
    shuffle.groups = 4;
    Node linear = node(Operator::linear, "linear", {1});
    linear.output_channels = 5;
    Node input = node(Operator::input, "input", {});
    input.output_channels = 12;
    Network network{"shuffled", {1, 1}, {input, shuffle, linear}, {}};
    Weights weights = random_weights(network, 5);
    const FeatureMap image = numbered(12);
    const FeatureMap expected = reference_forward(network, weights, image);
    Tensor& matrix = weights.at("linear.weight");
    matrix.values = columns_before_shuffle(matrix.values, 12, 4);
    network.nodes[2].inputs = {0};
    CHECK(worst_difference(reference_forward(network, weights, image), expected) < 1e-9);
}
