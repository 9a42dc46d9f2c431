#include "hdap/network/blocks.hpp"

#include "hdap/core/error.hpp"
#include "network/random_network.hpp"
#include "network/small_networks.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <set>

using namespace hdap;
using namespace hdap::network;
using Catch::Matchers::Contains;
using testing::conv;
using testing::network_of;
using testing::node;
using testing::zoo;

namespace {

using Names = std::vector<std::string>;
using Indices = std::vector<std::size_t>;
using Blocks = std::vector<Indices>;

Blocks blocks_of(const Network& network) {
    return find_blocks(network, find_pruning_structure(network));
}

/// [block][group]
std::vector<Names> names_of_blocks(const Network& network) {
    const PruningStructure structure = find_pruning_structure(network);
    std::vector<Names> names;
    for (const Indices& block : find_blocks(network, structure)) {
        names.emplace_back();
        for (const std::size_t group : block)
            names.back().push_back(structure.groups[group].name);
    }
    return names;
}

// ------------------------------------------------------------------------- the plain reference

/// Whether a path leads from one node to another, around `without`.
bool reaches(const Network& network, std::size_t from, std::size_t to, std::size_t without) {
    if (to == without || from == without) return false;
    const Indices& inputs = network.nodes[to].inputs;
    return from == to || std::ranges::any_of(inputs, [&](std::size_t input) {
               return reaches(network, from, input, without);
           });
}

/// The region of an addition, from the definitions: what a node dominates cannot be reached
/// without it, and of the dominators the last one is the immediate one.
std::set<std::size_t> region_of(const Network& network, std::size_t addition) {
    const std::size_t nowhere = network.nodes.size();
    std::size_t fork = 0;
    for (std::size_t node = 0; node < addition; ++node)
        if (!reaches(network, 0, addition, node)) fork = node;
    std::set<std::size_t> region;
    for (std::size_t node = fork + 1; node < addition; ++node)
        if (reaches(network, fork, node, nowhere) && reaches(network, node, addition, nowhere))
            region.insert(node);
    return region;
}

bool reads_only_the_input(const Network& network, std::size_t index) {
    return std::ranges::all_of(network.nodes[index].inputs, [&](std::size_t input) {
        return input == 0 ||
               (!has_weights(network.nodes[input].op) && reads_only_the_input(network, input));
    });
}

Blocks plain_blocks(const Network& network, const PruningStructure& structure) {
    std::map<std::size_t, std::set<std::size_t>> regions;
    for (std::size_t i = 0; i < network.nodes.size(); ++i)
        if (network.nodes[i].op == Operator::add) regions[i] = region_of(network, i);
    const auto home_of = [&](std::size_t node) {
        std::size_t home = 0; // the input is no addition
        for (const auto& [addition, region] : regions)
            if (region.contains(node) && (home == 0 || region.size() < regions.at(home).size()))
                home = addition;
        return home;
    };
    std::map<std::size_t, Indices> inner;
    Blocks blocks;
    for (std::size_t g = 0; g < structure.groups.size(); ++g) {
        std::set<std::size_t> homes;
        bool whole = false;
        for (const std::size_t member : structure.groups[g].members) {
            homes.insert(home_of(member));
            const Node& layer = network.nodes[member];
            whole |= layer.op == Operator::add ||
                     (has_weights(layer.op) && reads_only_the_input(network, member));
        }
        if (whole || homes.size() > 1) continue;
        if (*homes.begin() == 0)
            blocks.push_back({g});
        else
            inner[*homes.begin()].push_back(g);
    }
    for (const auto& [addition, groups] : inner)
        blocks.push_back(groups);
    std::ranges::sort(blocks);
    return blocks;
}

} // namespace

TEST_CASE("a network without blocks is refused with the remedy") {
    const auto refused = [](std::vector<Node> nodes) {
        const Network network = network_of(std::move(nodes));
        CHECK_THROWS_AS(blocks_of(network), core::ConfigError);
        CHECK_THROWS_WITH(blocks_of(network),
                          Contains("'sample'") && Contains("search.genes = \"group\""));
    };
    refused({conv("stem", 0, 8), conv("out", 1, 5)});
    // Every group runs through an addition.
    refused({conv("stem", 0, 8), conv("a", 1, 8), conv("b", 1, 8),
             node(Operator::add, "sum", {2, 3}), conv("out", 4, 5)});
    CHECK_THROWS_AS(find_blocks(zoo("vgg16"), {}), core::ConfigError);
}

TEST_CASE("ResNet50 has 16 blocks, ResNet56 27 and MobileNetV1 13, as in the paper") {
    const std::vector<Names> resnet50 = names_of_blocks(zoo("resnet50"));
    REQUIRE(resnet50.size() == 16);
    CHECK(resnet50.front() == Names{"layer1.0.conv1", "layer1.0.conv2"});
    CHECK(resnet50.back() == Names{"layer4.2.conv1", "layer4.2.conv2"});
    const std::vector<Names> resnet56 = names_of_blocks(zoo("resnet56"));
    REQUIRE(resnet56.size() == 27);
    CHECK(resnet56.front() == Names{"layer1.0.conv1"});
    CHECK(resnet56.back() == Names{"layer3.8.conv1"});
    const std::vector<Names> mobilenet = names_of_blocks(zoo("mobilenet_v1"));
    REQUIRE(mobilenet.size() == 13);
    for (std::size_t i = 0; i < 13; ++i)
        CHECK(mobilenet[i] == Names{"blocks." + std::to_string(i) + ".pointwise.conv"});
}

TEST_CASE("the blocks of the other networks of the zoo are those of their papers") {
    const auto count = [](const std::string& name) { return blocks_of(zoo(name)).size(); };
    CHECK(count("resnet18") == 8);
    CHECK(count("resnet34") == 16);
    CHECK(count("resnet50_v1") == 16);
    CHECK(count("resnet101") == 33);
    CHECK(count("resnet20") == 9);
    CHECK(count("resnet20_b") == 9);
    CHECK(count("resnet110") == 54);
    CHECK(count("vgg16") == 12 + 2);
    CHECK(count("vgg16_cifar") == 12);
    // The expansion of each block but the first, which has none, the outputs of the two blocks that
    // no shortcut passes, and the last layer.
    CHECK(count("mobilenet_v2") == 16 + 2 + 1);
}

TEST_CASE("of yolov8n only the stem and what its bottlenecks add up are in no block") {
    const Network network = zoo("yolov8n");
    const PruningStructure structure = find_pruning_structure(network);
    std::set<std::size_t> in_blocks;
    for (const Indices& block : find_blocks(network, structure)) {
        CHECK(block.size() == 1);
        in_blocks.insert(block.begin(), block.end());
    }
    Names whole;
    for (std::size_t g = 0; g < structure.groups.size(); ++g)
        if (!in_blocks.contains(g)) whole.push_back(structure.groups[g].name);
    CHECK(whole == Names{"model.0.conv", "model.2.cv1.conv#2", "model.4.cv1.conv#2",
                         "model.6.cv1.conv#2", "model.8.cv1.conv#2"});
}

TEST_CASE("the gate of squeeze and excitation belongs to the block around which a shortcut leads") {
    // 1 stem, 2 expand, 3 depthwise, 4 pool, 5 squeeze, 6 excite, 7 gate, 8 scale, 9 project
    const std::vector<Node> block{conv("stem", 0, 8),
                                  conv("expand", 1, 24),
                                  conv("depthwise", 2, 24, 24),
                                  node(Operator::global_average_pool, "pool", {3}),
                                  conv("squeeze", 4, 4),
                                  conv("excite", 5, 24),
                                  node(Operator::sigmoid, "gate", {6}),
                                  node(Operator::multiply, "scale", {3, 7}),
                                  conv("project", 8, 8)};
    std::vector<Node> with_shortcut = block;
    with_shortcut.push_back(node(Operator::add, "sum", {1, 9}));
    with_shortcut.push_back(conv("out", 10, 5));
    CHECK(names_of_blocks(network_of(with_shortcut)) == std::vector<Names>{{"expand", "squeeze"}});
    std::vector<Node> without = block;
    without.push_back(conv("out", 9, 5));
    CHECK(names_of_blocks(network_of(without)) ==
          std::vector<Names>{{"expand"}, {"squeeze"}, {"project"}});
}

TEST_CASE("layers whose outputs are concatenated are blocks of their own") {
    CHECK(names_of_blocks(network_of({conv("stem", 0, 8), conv("a", 1, 4),
                                      node(Operator::concat, "ab", {1, 2}), conv("b", 3, 4),
                                      node(Operator::concat, "abc", {3, 4}), conv("out", 5, 5)})) ==
          std::vector<Names>{{"a"}, {"b"}});
}

TEST_CASE("a block within another one is a block of its own, the rest of the outer one another") {
    // 2 outer1, 3 inner, 4 back, 5 inner sum, 6 outer2, 7 end, 8 outer sum
    const Network network = network_of(
        {conv("stem", 0, 8), conv("outer1", 1, 6), conv("inner", 2, 5), conv("back", 3, 6),
         node(Operator::add, "inner_sum", {2, 4}), conv("outer2", 5, 7), conv("end", 6, 8),
         node(Operator::add, "outer_sum", {1, 7}), conv("outer3", 6, 4),
         node(Operator::concat, "both", {8, 9}), conv("out", 10, 5)});
    // "outer1" runs through the inner addition, "outer3" is on no way to an addition.
    CHECK(names_of_blocks(network) == std::vector<Names>{{"inner"}, {"outer2"}, {"outer3"}});
    const Network deeper = network_of(
        {conv("stem", 0, 8), conv("outer1", 1, 9), conv("outer2", 2, 6), conv("inner", 3, 5),
         conv("back", 4, 6), node(Operator::add, "inner_sum", {3, 5}), conv("outer3", 6, 7),
         conv("end", 7, 8), node(Operator::add, "outer_sum", {1, 8}), conv("out", 9, 5)});
    CHECK(names_of_blocks(deeper) == std::vector<Names>{{"outer1", "outer3"}, {"inner"}});
}

TEST_CASE("the stem is in no block, whether it reads the input itself or what is left of it") {
    Node padding = node(Operator::pad, "padding", {0});
    padding.padding = {1, 1};
    CHECK(names_of_blocks(network_of({padding, conv("stem", 1, 8), conv("next", 2, 6),
                                      conv("out", 3, 5)})) == std::vector<Names>{{"next"}});
}

TEST_CASE("a group that leaves the block that it begins in is in none") {
    // The depthwise convolution in the block works on channels that come from outside.
    const Network network =
        network_of({conv("stem", 0, 8), conv("entry", 1, 6), conv("depthwise", 2, 6, 6),
                    conv("inner", 3, 4), conv("project", 4, 9), conv("shortcut", 2, 9),
                    node(Operator::add, "sum", {5, 6}), conv("out", 7, 5)});
    CHECK(names_of_blocks(network) == std::vector<Names>{{"inner"}});
}

TEST_CASE("pinned layers are in no block, and names of layers play no part") {
    Network network = zoo("resnet50");
    const Blocks blocks = blocks_of(network);
    const auto pinned =
        find_pruning_structure(network, {"layer1.0.conv1", "layer1.1.conv1", "layer1.1.conv2"});
    const Blocks fewer = find_blocks(network, pinned);
    CHECK(fewer.size() == 15);
    CHECK(fewer[0].size() == 1);
    for (std::size_t i = 0; i < network.nodes.size(); ++i)
        network.nodes[i].name = "node" + std::to_string(network.nodes.size() - i);
    CHECK(blocks_of(network) == blocks);
}

TEST_CASE("blocks of random networks are those of a plain search") {
    std::size_t found = 0;
    for (std::uint32_t seed = 0; seed < 300; ++seed) {
        INFO("seed " << seed);
        const Network network = testing::random_network(seed);
        const PruningStructure structure = find_pruning_structure(network);
        const Blocks expected = plain_blocks(network, structure);
        if (expected.empty()) {
            CHECK_THROWS_AS(find_blocks(network, structure), core::ConfigError);
            continue;
        }
        CHECK(find_blocks(network, structure) == expected);
        ++found;
    }
    CHECK(found > 100);
}
