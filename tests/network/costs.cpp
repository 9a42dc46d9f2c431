#include "hdap/network/costs.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "hdap/network/importance.hpp"
#include "hdap/network/prunable.hpp"
#include "hdap/network/search_space.hpp"
#include "hdap/network/zoo.hpp"
#include "network/random_network.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

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
    return CostModel(network, space.structure()).total(space.unpruned());
}

/// The most elements in memory at a time, by playing the execution through: tensors are counted
/// references, as an interpreter has them.
template <class Elements>
std::int64_t reference_peak(const Network& network, const Elements& elements) {
    const std::size_t end = network.nodes.size();
    std::vector<int> readers(end, 0); // of a node's value, still to come
    for (std::size_t i = 0; i < end; ++i)
        for (const std::size_t input : network.nodes[i].inputs)
            ++readers[input];
    for (const std::size_t output : output_nodes(network))
        ++readers[output];
    std::vector<std::size_t> memory(end, end); // the node that made it, once there
    memory[0] = 0;
    const auto is_held = [&](std::size_t made) {
        for (std::size_t i = 0; i < end; ++i)
            if (memory[i] == made && readers[i] > 0) return true;
        return false;
    };
    std::int64_t peak = 0;
    std::vector<std::size_t> held{0};
    for (std::size_t i = 1; i < end; ++i) {
        const Node& node = network.nodes[i];
        const std::size_t first = memory[node.inputs[0]];
        for (const std::size_t input : node.inputs)
            --readers[input];
        const bool in_place = node.op == Operator::batch_norm || is_activation(node.op);
        if (node.op == Operator::flatten || (in_place && !is_held(first))) {
            memory[i] = first;
        } else {
            memory[i] = i;
            held.push_back(i);
            std::int64_t live = 0;
            for (const std::size_t made : held)
                live += elements(made);
            peak = std::max(peak, live);
        }
        std::erase_if(held, [&](std::size_t made) { return !is_held(made); });
    }
    return peak;
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
        const std::int64_t inputs = shapes[node.inputs[0]].channels;
        if (node.op == Operator::conv2d)
            costs.macs +=
                elements(i) * (inputs / node.groups) * node.kernel.height * node.kernel.width;
        if (node.op == Operator::linear) costs.macs += inputs * node.output_channels;
    }
    costs.peak_activation_elements = reference_peak(network, elements);
    return costs;
}

/// Compares the model with a walk over physically pruned networks.
void check_exact(const Network& network, std::uint32_t seed, int genomes) {
    const Prunable prunable =
        with_weights(make_prunable(network, {.min_keep = 0.05}), initial_weights(network, 1));
    const SearchSpace& space = prunable.space;
    const CostModel& model = prunable.costs;
    core::RandomStream random(seed, core::StreamId::testing, 3);
    for (int i = 0; i < genomes; ++i) {
        Genome genome;
        for (std::size_t g = 0; g < space.groups().size(); ++g)
            genome.push_back(space.nearest_allowed(
                g, random.uniform() * static_cast<double>(space.groups()[g].channels)));
        const PrunedNetwork pruned = prunable.prune(genome);
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
    const Network other = zoo("resnet20");
    const SearchSpace space(network, {});
    CHECK_THROWS_AS(CostModel(other, space.structure()), core::DataError);
    const CostModel model(network, space.structure());
    CHECK_THROWS_AS(model.total({}), core::DataError);
    CHECK_THROWS_WITH(model.layers({32, 64}), Contains("has 2 counts") && Contains("has 14"));
}

TEST_CASE("CostModel refuses a network whose costs would overflow") {
    const auto monster = [](std::size_t layers) {
        Network network{"monster", {16384, 2048}, {}, {}};
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
    CHECK_NOTHROW(CostModel(large, find_pruning_structure(large)));
    const Network too_large = monster(600);
    CHECK_THROWS_AS(CostModel(too_large, find_pruning_structure(too_large)), core::DataError);
    CHECK_THROWS_WITH(CostModel(too_large, find_pruning_structure(too_large)),
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

TEST_CASE("the costs of the zoo's networks are the published ones") {
    struct Published {
        const char* name;
        std::int64_t classes;
        std::int64_t size;
        double macs;
        std::int64_t parameters;
    };
    // He et al. 2016, table 6, for ResNets on CIFAR; Idelbayev's reproduction counts them exactly.
    // Torchvision's own counts for the ImageNet networks, and 8.7 GFLOPs = 4.37 G MACs for YOLOv8n.
    for (const auto& [name, classes, size, macs, parameters] :
         {Published{"resnet18", 1000, 224, 1.814e9, 11'689'512},
          Published{"resnet34", 1000, 224, 3.664e9, 21'797'672},
          Published{"resnet50", 1000, 224, 4.089e9, 25'557'032},
          Published{"resnet101", 1000, 224, 7.801e9, 44'549'160},
          Published{"resnet50_v1", 1000, 224, 3.858e9, 25'583'592},
          Published{"mobilenet_v2", 1000, 224, 0.3008e9, 3'504'872},
          Published{"vgg16", 1000, 224, 15.470e9, 138'357'544},
          Published{"vgg16_cifar", 10, 32, 0.3132e9, 14'728'266},
          Published{"resnet20", 10, 32, 40.55e6, 269'722},
          Published{"resnet32", 10, 32, 68.86e6, 464'154},
          Published{"resnet44", 10, 32, 97.17e6, 658'586},
          Published{"resnet56", 10, 32, 125.49e6, 853'018},
          Published{"resnet110", 10, 32, 252.89e6, 1'727'962},
          Published{"yolov8n", 80, 640, 4.371e9, 3'157'184}}) {
        INFO(name);
        const NetworkCosts costs = unpruned_costs(zoo(name, 1.0, classes, {size, size}));
        CHECK(static_cast<double>(costs.macs) == Approx(macs).epsilon(2e-4));
        CHECK(costs.parameters == parameters);
        CHECK(weight_bytes(costs) == 4 * parameters);
    }
}

TEST_CASE("shortcuts of option B cost two convolutions with batch norm more") {
    constexpr std::int64_t parameters = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64;
    constexpr std::int64_t macs = 16 * 32 * 16 * 16 + 32 * 64 * 8 * 8;
    const NetworkCosts a = unpruned_costs(zoo("resnet20"));
    const NetworkCosts b = unpruned_costs(zoo("resnet20_b"));
    CHECK(b.parameters == a.parameters + parameters);
    CHECK(b.macs == a.macs + macs);
}

TEST_CASE("peak memory counts a shortcut that waits, and an output until the end") {
    // The block's input waits while the second convolution reads and writes.
    const NetworkCosts costs = unpruned_costs(zoo("resnet20"));
    CHECK(costs.peak_activation_elements == 3 * 16 * 32 * 32);
    Network network{"two", {4, 4}, {}, {}};
    for (int i = 0; i < 4; ++i) {
        Node node;
        node.name = "n" + std::to_string(i);
        node.op = i == 0 ? Operator::input : Operator::conv2d;
        if (i > 0) node.inputs = {static_cast<std::size_t>(i - 1)};
        node.output_channels = 2 + i;
        network.nodes.push_back(node);
    }
    CHECK(unpruned_costs(network).peak_activation_elements == 16 * (4 + 5));
    network.outputs = {1, 3};
    CHECK(unpruned_costs(network).peak_activation_elements == 16 * (3 + 4 + 5));
}

TEST_CASE("peak memory counts an activation beside its input where that is read again") {
    // A convolution of 4 channels, its ReLU, a convolution of 6, and the first one again.
    Network network{"pre-activation", {4, 4}, {}, {}};
    const auto add = [&](Operator op, std::int64_t channels, std::vector<std::size_t> inputs) {
        Node node;
        node.name = "n" + std::to_string(network.nodes.size());
        node.op = op;
        node.inputs = std::move(inputs);
        node.output_channels = channels;
        network.nodes.push_back(node);
    };
    const auto peak = [&] {
        const auto structure = find_pruning_structure(network);
        return CostModel(network, structure)
            .total(unpruned_genome(structure))
            .peak_activation_elements;
    };
    add(Operator::input, 1, {});
    add(Operator::conv2d, 4, {0});
    add(Operator::relu, 0, {1});
    add(Operator::conv2d, 6, {2});
    add(Operator::concat, 0, {3, 1});
    CHECK(peak() == 16 * (4 + 6 + 10));
    network.nodes[3].output_channels =
        2; // while it is computed there are 4 + 4 + 2, then 2 + 4 + 6
    CHECK(peak() == 16 * (2 + 4 + 6));
    network.nodes[3].output_channels = 1; // 4 + 4 + 1, then 1 + 4 + 5
    network.nodes[4].inputs = {3};
    network.nodes[4].op = Operator::relu;
    network.outputs = {1, 4}; // 4 + 4 + 1
    CHECK(peak() == 16 * (4 + 4 + 1));
}

TEST_CASE("layers tells what each layer computes and moves") {
    const Network network = zoo("resnet20_b");
    const SearchSpace space(network, {});
    Genome genome = space.unpruned();
    genome[0] = 10; // the first stage: conv1 and what its blocks add
    genome[1] = 5;  // inside layer1.0
    const std::vector<LayerCosts> layers = CostModel(network, space.structure()).layers(genome);
    REQUIRE(layers.size() == 19 + 2 + 9 + 1 + 1);
    constexpr std::int64_t image = 3 * 1024;
    constexpr std::int64_t stream = 10 * 1024;
    constexpr std::int64_t inner = 5 * 1024;
    CHECK(layers[0] == LayerCosts{"conv1", LayerKind::convolution, 3, 10, 27 * stream, 27 * 10 + 20,
                                  image, stream, image + stream});
    CHECK(layers[1] == LayerCosts{"layer1.0.conv1", LayerKind::convolution, 10, 5, 90 * inner,
                                  90 * 5 + 10, stream, inner, stream + inner});
    CHECK(layers[2] == LayerCosts{"layer1.0.conv2", LayerKind::convolution, 5, 10, 45 * stream,
                                  45 * 10 + 20, inner, stream, 2 * stream + inner});
    CHECK(layers[3] == LayerCosts{"layer1.0.add", LayerKind::elementwise, 10, 10, 0, 0, 2 * stream,
                                  stream, 3 * stream});
    CHECK(layers[30] ==
          LayerCosts{"avgpool", LayerKind::pooling, 64, 64, 0, 0, 64 * 64, 64, 65 * 64});
    CHECK(layers[31] == LayerCosts{"linear", LayerKind::linear, 64, 10, 640, 650, 64, 10, 74});

    const Network mobilenet = zoo("mobilenet_v1");
    const SearchSpace mobilenet_space(mobilenet, {});
    Genome thin = mobilenet_space.unpruned();
    thin[0] = 7;
    CHECK(CostModel(mobilenet, mobilenet_space.structure()).layers(thin)[1] ==
          LayerCosts{"blocks.0.depthwise.conv", LayerKind::depthwise, 7, 7, 7 * 9 * 1024,
                     7 * 9 + 14, 7 * 1024, 7 * 1024, 14 * 1024});
}

TEST_CASE("the genes of a layer are those that change what it computes and moves, and no others") {
    for (std::uint32_t seed = 0; seed < 40; ++seed) {
        INFO("seed " << seed);
        const Network network = seed == 0   ? zoo("resnet20_b")
                                : seed == 1 ? zoo("yolov8n", 0.5, 80, {96, 64})
                                            : testing::random_network(seed);
        const SearchSpace space(network, {});
        const CostModel costs(network, space.structure());
        const auto genes = costs.genes_of_layers();
        const std::vector<LayerCosts> unpruned = costs.layers(space.unpruned());
        REQUIRE(genes.size() == unpruned.size());
        for (std::size_t gene = 0; gene < space.groups().size(); ++gene) {
            if (space.groups()[gene].channels == 1) continue;
            Genome genome = space.unpruned();
            --genome[gene];
            for (std::size_t l = 0; l < genes.size(); ++l) {
                LayerCosts changed = costs.layer(l, genome);
                CHECK(changed == costs.layers(genome)[l]);
                changed.live_elements = unpruned[l].live_elements;
                const bool depends =
                    std::ranges::count(genes[l], static_cast<std::int32_t>(gene)) > 0;
                INFO(unpruned[l].name << " and gene " << gene);
                CHECK((changed == unpruned[l]) == !depends);
            }
        }
    }
}

TEST_CASE("CostModel counts exactly what the physically pruned network has") {
    check_exact(zoo("mobilenet_v1", 0.25), 1, 20);
    check_exact(zoo("mobilenet_v1", 0.5, 1000, {224, 224}), 2, 5);
    check_exact(zoo("resnet20"), 3, 20);
    check_exact(zoo("resnet56_b", 0.5), 4, 5);
    check_exact(zoo("resnet50", 0.25, 100, {64, 64}), 5, 5);
    check_exact(zoo("mobilenet_v2", 0.5), 6, 5);
    check_exact(zoo("vgg16", 0.03), 7, 5);
    check_exact(zoo("yolov8n", 0.5, 80, {96, 64}), 8, 5);
}

TEST_CASE("CostModel is exact for random networks, too") {
    for (std::uint32_t seed = 0; seed < 300; ++seed) {
        INFO("seed " << seed);
        check_exact(testing::random_network(seed), seed, 5);
    }
}

TEST_CASE("the unpruned genome of a pruned network costs what the genome cost before") {
    const Network network = zoo("mobilenet_v1", 0.25);
    const Prunable prunable = with_weights(make_prunable(network, {}), initial_weights(network, 1));
    const Genome genome = prunable.space.uniform(0.6);
    CHECK(unpruned_costs(prunable.prune(genome).network) == prunable.costs.total(genome));
}
