#include "hdap/network/costs.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "hdap/network/prune.hpp"
#include "hdap/network/zoo.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

#include "network/random_network.hpp"

using namespace hdap;
using namespace hdap::network;
using Catch::Matchers::Contains;

namespace {

Network zoo(const std::string& name, double width = 1.0, std::int64_t classes = 10,
            Extent extent = {32, 32}) {
    return make_network({.name = name,
                         .width = width,
                         .classes = classes,
                         .input_channels = 3,
                         .input_extent = extent});
}

NetworkCosts unpruned_costs(const Network& network) {
    const SearchSpace space(network, {});
    return CostModel(network, space).total(space.unpruned());
}

/// The costs counted from the tensors and shapes of a network as it is.
NetworkCosts reference_costs(const Network& network) {
    const std::vector<TensorShape> shapes = infer_shapes(network);
    const auto elements = [&](std::size_t node) {
        return shapes[node].channels * shapes[node].extent.height * shapes[node].extent.width;
    };
    NetworkCosts costs;
    for (const auto& [name, shape] : expected_shapes(network)) {
        std::int64_t count = 1;
        for (const std::int64_t size : shape)
            count *= size;
        // The running statistics are not trained.
        if (name.find(".running_") == std::string::npos) costs.parameters += count;
    }
    for (std::size_t i = 1; i < network.nodes.size(); ++i) {
        const Node& node = network.nodes[i];
        if (node.op == Operator::relu || node.op == Operator::relu6 ||
            node.op == Operator::batch_norm)
            continue;
        const std::int64_t inputs = shapes[node.inputs[0]].channels;
        if (node.op == Operator::conv2d)
            costs.macs +=
                elements(i) * (inputs / node.groups) * node.kernel.height * node.kernel.width;
        if (node.op == Operator::linear) costs.macs += inputs * node.output_channels;
        std::int64_t moved = elements(i);
        for (const std::size_t input : node.inputs)
            moved += elements(input);
        costs.peak_activation_elements = std::max(costs.peak_activation_elements, moved);
    }
    return costs;
}

/// Compares the model with a walk over physically pruned networks.
void check_exact(const Network& network, std::uint32_t seed, int genomes) {
    const SearchSpace space(network, {.min_keep = 0.05});
    const CostModel model(network, space);
    const Weights weights = initial_weights(network, 1);
    const auto ranked = rank_channels(network, weights, space);
    core::RandomStream random(seed, core::StreamId::testing, 3);
    for (int i = 0; i < genomes; ++i) {
        Genome genome;
        for (std::size_t g = 0; g < space.groups().size(); ++g)
            genome.push_back(space.nearest_allowed(
                g, random.uniform() * static_cast<double>(space.groups()[g].channels)));
        const PrunedNetwork pruned = prune(network, weights, space, ranked, genome);
        CHECK(model.total(genome) == reference_costs(pruned.network));

        std::int64_t macs = 0;
        for (const LayerCosts& layer : model.layers(genome))
            macs += layer.macs;
        CHECK(macs == model.total(genome).macs);
    }
}

} // namespace

TEST_CASE("CostModel refuses another network's search space and genomes of a wrong length") {
    const Network network = zoo("mobilenet_v1");
    const Network other = zoo("resnet20_b");
    const SearchSpace space(network, {});
    CHECK_THROWS_AS(CostModel(other, space), core::DataError);
    const CostModel model(network, space);
    CHECK_THROWS_AS(model.total({}), core::DataError);
    CHECK_THROWS_WITH(model.layers({32, 64}), Contains("has 2 counts") && Contains("has 14"));
}

TEST_CASE("CostModel refuses a network whose costs would overflow") {
    const auto monster = [](std::size_t layers) {
        Network network{"monster", {16384, 2048}, {}};
        Node node;
        node.name = "input";
        node.output_channels = 16;
        network.nodes.push_back(node);
        node.op = Operator::conv2d; // 9e15 multiply-accumulates each
        node.kernel = {1023, 1023};
        node.padding = {511, 511};
        for (std::size_t i = 0; i < layers; ++i) {
            node.name = "conv" + std::to_string(i);
            node.inputs = {i};
            network.nodes.push_back(node);
        }
        return network;
    };
    const Network large = monster(500);
    CHECK_NOTHROW(CostModel(large, SearchSpace(large, {})));
    const Network too_large = monster(600);
    CHECK_THROWS_AS(CostModel(too_large, SearchSpace(too_large, {})), core::DataError);
    CHECK_THROWS_WITH(CostModel(too_large, SearchSpace(too_large, {})),
                      Contains("'monster' is too large"));
}

TEST_CASE("the costs of MobileNetV1 are the published ones") {
    // Howard et al. 2017, tables 4 and 6 to 8: 569 M multiply-adds and 4.2 M parameters, …
    const NetworkCosts full = unpruned_costs(zoo("mobilenet_v1", 1.0, 1000, {224, 224}));
    CHECK(full.macs == 568'740'352);
    CHECK(full.parameters == 4'231'976);
    const NetworkCosts half = unpruned_costs(zoo("mobilenet_v1", 0.5, 1000, {224, 224}));
    CHECK(static_cast<double>(half.macs) == Approx(149e6).epsilon(0.005));
    CHECK(static_cast<double>(half.parameters) == Approx(1.3e6).epsilon(0.03));
    const NetworkCosts small = unpruned_costs(zoo("mobilenet_v1", 1.0, 1000, {128, 128}));
    CHECK(static_cast<double>(small.macs) == Approx(186e6).epsilon(0.005));
    // The first pointwise layer reads 32 and writes 64 maps of 112 × 112.
    CHECK(full.peak_activation_elements == (32 + 64) * 112 * 112);
}

TEST_CASE("the costs of the CIFAR residual networks are the published ones plus the shortcuts") {
    // He et al. 2016, table 6: 0.27 M and 0.85 M parameters, with parameter-free shortcuts. Option
    // B adds two 1 × 1 convolutions and their batch norms.
    constexpr std::int64_t shortcut_parameters = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64;
    constexpr std::int64_t shortcut_macs = 16 * 32 * 16 * 16 + 32 * 64 * 8 * 8;
    const NetworkCosts resnet20 = unpruned_costs(zoo("resnet20_b"));
    CHECK(resnet20.parameters == 269'722 + shortcut_parameters);
    CHECK(resnet20.macs == 40'551'040 + shortcut_macs);
    const NetworkCosts resnet56 = unpruned_costs(zoo("resnet56_b"));
    CHECK(resnet56.parameters == 853'018 + shortcut_parameters);
    CHECK(static_cast<double>(resnet56.macs - shortcut_macs) == Approx(125.49e6).epsilon(1e-4));
}

TEST_CASE("layers tells what each layer computes and moves") {
    const Network network = zoo("resnet20_b");
    const SearchSpace space(network, {});
    Genome genome = space.unpruned();
    genome[0] = 10; // the first stage: conv1 and what its blocks add
    genome[1] = 5;  // inside layer1.0
    const std::vector<LayerCosts> layers = CostModel(network, space).layers(genome);
    REQUIRE(layers.size() == 19 + 2 + 9 + 1 + 1);
    CHECK(layers[0] == LayerCosts{"conv1", LayerKind::convolution, 3, 10, 3 * 9 * 10 * 1024,
                                  3 * 9 * 10 + 20, 3 * 1024, 10 * 1024});
    CHECK(layers[1] == LayerCosts{"layer1.0.conv1", LayerKind::convolution, 10, 5,
                                  10 * 9 * 5 * 1024, 10 * 9 * 5 + 10, 10 * 1024, 5 * 1024});
    CHECK(layers[3] ==
          LayerCosts{"layer1.0.add", LayerKind::addition, 10, 10, 0, 0, 2 * 10 * 1024, 10 * 1024});
    CHECK(layers[30] == LayerCosts{"pool", LayerKind::pooling, 64, 64, 0, 0, 64 * 64, 64});
    CHECK(layers[31] == LayerCosts{"fc", LayerKind::linear, 64, 10, 640, 650, 64, 10});

    const Network mobilenet = zoo("mobilenet_v1");
    const SearchSpace mobilenet_space(mobilenet, {});
    Genome thin = mobilenet_space.unpruned();
    thin[0] = 7;
    CHECK(CostModel(mobilenet, mobilenet_space).layers(thin)[1] ==
          LayerCosts{"blocks.0.depthwise.conv", LayerKind::depthwise, 7, 7, 7 * 9 * 1024,
                     7 * 9 + 14, 7 * 1024, 7 * 1024});
}

TEST_CASE("CostModel counts exactly what the physically pruned network has") {
    check_exact(zoo("mobilenet_v1", 0.25), 1, 20);
    check_exact(zoo("mobilenet_v1", 0.5, 1000, {224, 224}), 2, 5);
    check_exact(zoo("resnet20_b"), 3, 20);
    check_exact(zoo("resnet56_b", 0.5), 4, 5);
}

TEST_CASE("CostModel is exact for random networks, too") {
    for (std::uint32_t seed = 0; seed < 300; ++seed) {
        INFO("seed " << seed);
        check_exact(testing::random_network(seed), seed, 5);
    }
}

TEST_CASE("the unpruned genome of a pruned network costs what the genome cost before") {
    const Network network = zoo("mobilenet_v1", 0.25);
    const SearchSpace space(network, {});
    const Weights weights = initial_weights(network, 1);
    const Genome genome = space.uniform(0.6);
    const PrunedNetwork pruned =
        prune(network, weights, space, rank_channels(network, weights, space), genome);
    CHECK(unpruned_costs(pruned.network) == CostModel(network, space).total(genome));
}
