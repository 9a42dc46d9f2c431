#include "hdap/network/insert_batch_norm.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "hdap/network/fold_batch_norm.hpp"
#include "hdap/network/prunable.hpp"
#include "hdap/network/zoo.hpp"
#include "network/random_network.hpp"
#include "network/reference_forward.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

using namespace hdap;
using namespace hdap::network;
using namespace hdap::network::testing;
using Catch::Matchers::Contains;

namespace {

Network chain(const std::vector<Operator>& operators) {
    Network network{"chain", {8, 8}, {}, {}};
    Node input;
    input.name = "input";
    input.output_channels = 2;
    network.nodes.push_back(input);
    for (const Operator op : operators) {
        Node node;
        node.name = "node" + std::to_string(network.nodes.size());
        node.op = op;
        node.inputs = {network.nodes.size() - 1};
        if (has_weights(op)) node.output_channels = 4;
        node.bias = has_weights(op);
        network.nodes.push_back(node);
    }
    return network;
}

/// Any statistics do: the function must not depend on them.
std::vector<LayerStatistics> some_statistics(const Network& network,
                                             const std::vector<std::size_t>& layers) {
    std::vector<LayerStatistics> statistics;
    for (const std::size_t layer : layers) {
        LayerStatistics& entry = statistics.emplace_back();
        for (std::int64_t c = 0; c < network.nodes[layer].output_channels; ++c) {
            const auto x = static_cast<double>(c);
            entry.mean.push_back(0.3 * x - 1.0);
            entry.variance.push_back(c == 1 ? 0.0 : 0.2 + 0.1 * x);
            entry.strength.push_back(c == 2 ? 0.0 : 0.5 + 0.25 * x);
        }
    }
    return statistics;
}

FeatureMap random_image(const Network& network, std::uint32_t seed) {
    core::RandomStream random(seed, core::StreamId::testing, 2);
    FeatureMap image(
        static_cast<std::size_t>(network.nodes[0].output_channels * network.input_extent.height *
                                 network.input_extent.width));
    for (double& value : image)
        value = random.normal();
    return image;
}

double norm_of_filter(const Tensor& weight, std::size_t channel) {
    const std::size_t size = weight.values.size() / static_cast<std::size_t>(weight.shape[0]);
    double squares = 0.0;
    for (std::size_t i = 0; i < size; ++i)
        squares += std::pow(static_cast<double>(weight.values[channel * size + i]), 2.0);
    return std::sqrt(squares);
}

} // namespace

TEST_CASE("statistics that do not fit the layers are refused", "[insert_batch_norm]") {
    const Network network = chain({Operator::conv2d, Operator::relu, Operator::conv2d});
    const Weights weights = random_weights(network, 1);
    auto statistics = some_statistics(network, {1});
    CHECK_THROWS_WITH(insert_batch_norms(network, weights, {1, 3}, statistics),
                      Contains("statistics of 1 layers, expected those of 2"));
    statistics[0].variance.pop_back();
    CHECK_THROWS_WITH(insert_batch_norms(network, weights, {1}, statistics),
                      Contains("3 channels for layer 'node1' of 4 channels"));
    CHECK_THROWS_AS(insert_batch_norms(network, {}, {}, {}), core::DataError);
}

TEST_CASE("norms are missing behind convolutions with a bias alone", "[insert_batch_norm]") {
    using Op = Operator;
    const auto layers = [](const Network& network) { return layers_without_norm(network); };
    using Indices = std::vector<std::size_t>;
    CHECK(layers(chain({Op::conv2d, Op::relu, Op::conv2d, Op::relu, Op::flatten, Op::linear})) ==
          Indices{1, 3});
    // What is returned is not normalised, whatever weightless layers are behind it.
    CHECK(layers(chain({Op::conv2d, Op::relu, Op::conv2d, Op::global_average_pool})) == Indices{1});
    // Nothing was folded where there are norms.
    CHECK(layers(chain({Op::conv2d, Op::batch_norm, Op::conv2d, Op::relu, Op::linear})).empty());
    CHECK(layers(make_network({.name = "mobilenet_v1"})).empty());
    CHECK(layers(make_network({.name = "vgg16_cifar"})).empty());
    // Folding leaves norms of other tensors.
    CHECK(layers(chain({Op::conv2d, Op::relu, Op::batch_norm, Op::conv2d, Op::relu, Op::linear})) ==
          Indices{1, 4});
    // A layer without bias had no norm.
    Network without_bias = chain({Op::conv2d, Op::relu, Op::conv2d, Op::relu, Op::linear});
    without_bias.nodes[1].bias = false;
    CHECK(layers(without_bias) == Indices{3});
    // Gates have none.
    CHECK(layers(chain({Op::conv2d, Op::relu, Op::global_average_pool, Op::conv2d, Op::relu,
                        Op::conv2d, Op::sigmoid, Op::linear})) == Indices{1});
}

TEST_CASE("every norm that was folded into a convolution of the zoo's networks is found",
          "[insert_batch_norm]") {
    const auto* const name = GENERATE("mobilenet_v2", "resnet20", "resnet20_b", "resnet50",
                                      "resnet50_v1", "vgg16_cifar", "yolov8n");
    CAPTURE(name);
    const Network network = make_network({.name = name, .width = 0.25});
    const Network folded = fold_batch_norms(network, random_weights(network, 1)).network;
    const auto norms = std::count_if(network.nodes.begin(), network.nodes.end(),
                                     [](const Node& n) { return n.op == Operator::batch_norm; });
    CHECK(layers_without_norm(folded).size() == static_cast<std::size_t>(norms));
}

TEST_CASE("random networks compute the same with norms inserted, and prune alike",
          "[insert_batch_norm]") {
    std::size_t inserted = 0;
    for (std::uint32_t seed = 0; seed < 150; ++seed) {
        CAPTURE(seed);
        const Network original = random_network(seed);
        const auto [network, weights] = fold_batch_norms(original, random_weights(original, seed));
        const auto layers = layers_without_norm(network);
        inserted += layers.size();
        const PrunedNetwork with_norms =
            insert_batch_norms(network, weights, layers, some_statistics(network, layers));
        CHECK_NOTHROW(check_weights(with_norms.network, with_norms.weights));
        CHECK(with_norms.network.nodes.size() == network.nodes.size() + layers.size());

        const FeatureMap image = random_image(network, seed);
        const FeatureMap expected = reference_forward(network, weights, image);
        const FeatureMap found = reference_forward(with_norms.network, with_norms.weights, image);
        REQUIRE(found.size() == expected.size());
        double largest = 1.0;
        for (const double value : expected)
            largest = std::max(largest, std::abs(value));
        for (std::size_t i = 0; i < found.size(); ++i)
            CHECK(std::abs(found[i] - expected[i]) < 1e-4 * largest);

        const auto groups = find_pruning_structure(network).groups;
        const auto with = find_pruning_structure(with_norms.network).groups;
        REQUIRE(with.size() == groups.size());
        for (std::size_t g = 0; g < groups.size(); ++g) {
            CHECK(with[g].name == groups[g].name);
            CHECK(with[g].channels == groups[g].channels);
        }
    }
    CHECK(inserted > 150);
}

TEST_CASE("filters get the strength of their channels, and the layer's bias goes to the norm",
          "[insert_batch_norm]") {
    const Network network =
        chain({Operator::conv2d, Operator::relu, Operator::flatten, Operator::linear});
    const Weights weights = random_weights(network, 7);
    const auto statistics = some_statistics(network, {1});
    const auto [with, tensors] = insert_batch_norms(network, weights, {1}, statistics);
    CHECK_FALSE(with.nodes[1].bias);
    REQUIRE(with.nodes[2].name == "node1.norm");
    CHECK(with.nodes[2].op == Operator::batch_norm);
    CHECK(with.nodes[3].inputs == std::vector<std::size_t>{2});
    CHECK(tensors.count("node1.bias") == 0);
    for (std::size_t c = 0; c < 4; ++c) {
        // A strength of zero is told from no filter at all.
        const double strength = std::max(statistics[0].strength[c], std::sqrt(1e-5));
        CHECK(norm_of_filter(tensors.at("node1.weight"), c) == Approx(strength).epsilon(1e-4));
        CHECK(tensors.at("node1.norm.bias").values[c] == Approx(statistics[0].mean[c]));
    }
}

TEST_CASE("a norm's name is one that no node has", "[insert_batch_norm]") {
    Network network = chain({Operator::conv2d, Operator::relu, Operator::linear});
    network.nodes[2].name = "node1.norm";
    CHECK(with_norms_behind(network, {1}).network.nodes[2].name == "node1.norm_");
}

TEST_CASE("costs and genomes stay when norms are inserted", "[insert_batch_norm]") {
    const Network network = chain({Operator::conv2d, Operator::relu, Operator::conv2d,
                                   Operator::relu, Operator::flatten, Operator::linear});
    const Weights weights = random_weights(network, 7);
    const SearchSpaceParameters parameters{.min_keep = 0.1};
    const Prunable plain = make_prunable(network, parameters);
    const auto layers = layers_without_norm(network);
    const Prunable with = with_inserted_norms(
        plain, insert_batch_norms(network, weights, layers, some_statistics(network, layers)),
        parameters);
    const Genome genome = plain.space.uniform(0.5);
    CHECK(with.costs.total(genome) == plain.costs.total(genome));
    CHECK(with.costs.layers(genome) == plain.costs.layers(genome));
    CHECK_NOTHROW(with.space.validate(genome));
    CHECK(with.network.nodes.size() == network.nodes.size() + 2);
    CHECK_THROWS_AS(
        with_inserted_norms(plain, {make_network({.name = "resnet20"}), {}}, parameters),
        core::InternalError);
}
