#include "hdap/network/pruning_structure.hpp"

#include "hdap/core/error.hpp"
#include "network/random_network.hpp"
#include "network/small_networks.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

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

Names names(const PruningStructure& structure) {
    Names result;
    for (const PruningGroup& group : structure.groups)
        result.push_back(group.name);
    return result;
}

Names groups_of(std::vector<Node> nodes) {
    return names(find_pruning_structure(network_of(std::move(nodes))));
}

/// The reasons why channels of the node are never pruned.
Names reasons(const Network& network, const std::string& name) {
    Names result;
    for (const UnprunableChannels& entry : find_pruning_structure(network).unprunable)
        if (network.nodes[entry.node].name == name) result.push_back(entry.reason);
    return result;
}

} // namespace

TEST_CASE("the input's and the outputs' channels are left alone") {
    CHECK(groups_of({}).empty());
    CHECK(groups_of({conv("only", 0, 8)}).empty());
    // The skip from the input pins the whole chain.
    CHECK(groups_of({conv("a", 0, 3), node(Operator::add, "sum", {0, 1}), conv("b", 2, 8),
                     conv("c", 3, 5)}) == Names{"b"});
    CHECK(groups_of({conv("dw", 0, 3, 3), conv("b", 1, 8)}).empty());
    Network two_outputs = network_of({conv("a", 0, 8), conv("b", 1, 8), conv("c", 2, 8)});
    two_outputs.outputs = {3, 1};
    CHECK(names(find_pruning_structure(two_outputs)) == Names{"b"});
    CHECK(reasons(two_outputs, "a") == Names{"output of the network"});
}

TEST_CASE("a depthwise convolution ties its input to its output, with a depth multiplier, too") {
    const Network network =
        network_of({conv("a", 0, 8), node(Operator::batch_norm, "bn", {1}), conv("dw", 2, 8, 8),
                    node(Operator::relu6, "relu", {3}), conv("wide", 4, 24, 8), conv("out", 5, 5)});
    const PruningStructure structure = find_pruning_structure(network);
    REQUIRE(structure.groups.size() == 1);
    CHECK(structure.groups[0].name == "a");
    CHECK(structure.groups[0].channels == 8);
    CHECK(structure.groups[0].members == Indices{1, 2, 3, 4, 5});
    CHECK(structure.channel_of[5][7] == GroupChannel{0, 2});
    const std::vector<ChannelCount> counts = channel_counts(structure);
    CHECK(counts[5].fixed == 0);
    CHECK(counts[5].terms == std::vector<std::pair<std::int32_t, std::int64_t>>{{0, 3}});
    CHECK(counts[6].fixed == 5);
    CHECK(counts[6].terms.empty());
}

TEST_CASE("additions and multiplications tie all that they combine, also tensors made before") {
    for (const Operator op : {Operator::add, Operator::multiply}) {
        const Network network =
            network_of({conv("a", 0, 8), conv("b", 1, 6), conv("c", 2, 8), conv("d", 1, 8),
                        node(op, "both", {3, 1, 4}), conv("out", 5, 2)});
        const PruningStructure structure = find_pruning_structure(network);
        CHECK(names(structure) == Names{"a", "b"});
        CHECK(structure.groups[0].members == Indices{1, 3, 4, 5});
        CHECK(structure.groups[1].members == Indices{2});
    }
}

TEST_CASE("what is repeated over all channels is left whole, with the reason") {
    // Spatial attention: one channel that weighs all others.
    const Network network =
        network_of({conv("a", 0, 8), conv("attention", 1, 1), node(Operator::sigmoid, "gate", {2}),
                    node(Operator::multiply, "product", {1, 3}), conv("out", 4, 2)});
    CHECK(names(find_pruning_structure(network)) == Names{"a"});
    CHECK(reasons(network, "attention") == Names{"repeated over the channels of 'product'"});
}

TEST_CASE("squeeze and excitation ties the last layer of its branch to what it weighs") {
    const Network network =
        network_of({conv("a", 0, 8), node(Operator::global_average_pool, "pool", {1}),
                    conv("squeeze", 2, 2), node(Operator::relu, "relu", {3}), conv("excite", 4, 8),
                    node(Operator::sigmoid, "gate", {5}), node(Operator::multiply, "scale", {1, 6}),
                    conv("out", 7, 2)});
    const PruningStructure structure = find_pruning_structure(network);
    CHECK(names(structure) == Names{"a", "squeeze"});
    CHECK(structure.groups[0].members == Indices{1, 2, 5, 6, 7});
}

TEST_CASE("grouped convolutions, shuffles and softmax keep both sides whole, with the reason") {
    const auto check = [](Node mixing, const std::string& reason) {
        const Network network =
            network_of({conv("a", 0, 8), std::move(mixing), conv("b", 2, 8), conv("out", 3, 2)});
        CHECK(names(find_pruning_structure(network)) == Names{"b"});
        CHECK(reasons(network, "a") == Names{reason});
    };
    check(conv("mixing", 1, 8, 2), "grouped convolution 'mixing'");
    check(conv("mixing", 1, 16, 4), "grouped convolution 'mixing'");
    check(node(Operator::softmax, "mixing", {1}), "softmax 'mixing'");
    Node shuffle = node(Operator::channel_shuffle, "mixing", {1});
    shuffle.groups = 2;
    check(shuffle, "channel shuffle 'mixing'");
}

TEST_CASE("a concatenation keeps its parts' groups apart, at their offsets") {
    const Network network =
        network_of({conv("a", 0, 4), conv("b", 0, 3), node(Operator::concat, "joined", {1, 2, 1}),
                    node(Operator::batch_norm, "bn", {3}), conv("out", 4, 2)});
    const PruningStructure structure = find_pruning_structure(network);
    CHECK(names(structure) == Names{"a", "b"});
    CHECK(structure.channel_of[4][3] == GroupChannel{0, 3});
    CHECK(structure.channel_of[4][4] == GroupChannel{1, 0});
    CHECK(structure.channel_of[4][7] == GroupChannel{0, 0});
    const std::vector<ChannelCount> counts = channel_counts(structure);
    CHECK(counts[3].terms == std::vector<std::pair<std::int32_t, std::int64_t>>{{0, 2}, {1, 1}});
}

TEST_CASE("the halves of a split are groups of their own") {
    const auto part = [](const char* name, std::int64_t first, std::int64_t count) {
        Node result = node(Operator::slice, name, {1});
        result.first_channel = first;
        result.output_channels = count;
        return result;
    };
    const Network network =
        network_of({conv("a", 0, 8), part("low", 0, 3), part("high", 3, 5), conv("b", 2, 3),
                    node(Operator::add, "sum", {2, 4}), node(Operator::concat, "joined", {5, 3}),
                    conv("out", 6, 2)});
    const PruningStructure structure = find_pruning_structure(network);
    CHECK(names(structure) == Names{"a", "a#2"});
    CHECK(structure.groups[0].channels == 3);
    CHECK(structure.groups[0].members == Indices{1, 2, 4, 5, 6});
    CHECK(structure.groups[1].channels == 5);
}

TEST_CASE("a flattened image's features go with the channel that they come from") {
    const Network network = network_of(
        {conv("a", 0, 5), node(Operator::flatten, "flat", {1}), node(Operator::relu, "relu", {2})});
    Network classified = network;
    Node linear = node(Operator::linear, "fc", {3});
    linear.output_channels = 2;
    classified.nodes.push_back(linear);
    const PruningStructure structure = find_pruning_structure(classified);
    CHECK(names(structure) == Names{"a"});
    CHECK(structure.groups[0].channels == 5);
    CHECK(structure.channel_of[2][16] == GroupChannel{0, 1}); // 16 pixels a channel
    CHECK(channel_counts(structure)[3].terms.front().second == 16);
}

TEST_CASE("a zero-padded shortcut ties the channels that it carries and frees the new ones") {
    Node pad = node(Operator::pad, "pad", {1});
    pad.channels_before = 2;
    pad.channels_after = 3;
    const Network network = network_of({conv("a", 0, 4), conv("b", 1, 9), pad,
                                        node(Operator::add, "sum", {2, 3}), conv("out", 4, 2)});
    const PruningStructure structure = find_pruning_structure(network);
    CHECK(names(structure) == Names{"a", "b"});
    CHECK(structure.groups[0].members == Indices{1, 2, 3, 4});
    CHECK(structure.groups[1].channels == 5);
    CHECK(structure.channel_of[2][2] == GroupChannel{0, 0});
    CHECK(structure.channel_of[2][6] == GroupChannel{1, 2});
}

TEST_CASE("the zoo's networks have the groups that their papers' structure gives") {
    const auto count = [](const std::string& name) {
        return find_pruning_structure(zoo(name)).groups.size();
    };
    const PruningStructure mobilenet = find_pruning_structure(zoo("mobilenet_v1"));
    REQUIRE(mobilenet.groups.size() == 14);
    CHECK(mobilenet.groups.front().name == "stem.conv");
    CHECK(mobilenet.groups.front().members.size() == 6);
    CHECK(mobilenet.groups.back().name == "blocks.12.pointwise.conv");
    // One inside each block, and the residual stream of every stage.
    CHECK(count("resnet20_b") == 9 + 3);
    CHECK(count("resnet20") == 9 + 3);
    CHECK(count("resnet56") == 27 + 3);
    CHECK(count("resnet18") == 8 + 4);
    CHECK(count("resnet50") == 2 * 16 + 4 + 1);
    CHECK(count("resnet101") == 2 * 33 + 4 + 1);
    CHECK(count("vgg16") == 13 + 2);
    CHECK(count("mobilenet_v2") == 25);
}

TEST_CASE("only the detection head's last layers are left whole in yolov8n") {
    const Network network = zoo("yolov8n");
    for (const UnprunableChannels& entry : find_pruning_structure(network).unprunable) {
        CHECK(network.nodes[entry.node].name.ends_with(".2"));
        CHECK(network.nodes[entry.node].name.starts_with("model.22.cv"));
        CHECK(entry.reason == "output of the network");
    }
}

TEST_CASE("groups of random networks cover each channel once, and nodes in their order") {
    for (std::uint32_t seed = 0; seed < 300; ++seed) {
        INFO("seed " << seed);
        const Network network = testing::random_network(seed);
        const std::vector<TensorShape> shapes = infer_shapes(network);
        const PruningStructure structure = find_pruning_structure(network);
        CHECK_NOTHROW(check_structure(network, shapes, structure));
        const std::vector<ChannelCount> counts = channel_counts(structure);
        for (std::size_t i = 0; i < shapes.size(); ++i) {
            std::int64_t channels = counts[i].fixed;
            for (const auto& [group, multiplicity] : counts[i].terms) {
                const PruningGroup& of = structure.groups[static_cast<std::size_t>(group)];
                channels += multiplicity * of.channels;
                CHECK(std::binary_search(of.members.begin(), of.members.end(), i));
            }
            CHECK(channels == shapes[i].channels);
        }
        for (std::size_t g = 1; g < structure.groups.size(); ++g)
            CHECK(structure.groups[g - 1].members[0] <= structure.groups[g].members[0]);
        for (const GroupChannel& channel : structure.channel_of.front())
            CHECK(channel.group == -1);
        for (const std::size_t output : output_nodes(network))
            for (const GroupChannel& channel : structure.channel_of[output])
                CHECK(channel.group == -1);
    }
}

TEST_CASE("the structure of another network is refused") {
    const PruningStructure structure = find_pruning_structure(zoo("mobilenet_v1"));
    for (const Network& other : {zoo("resnet20"), network_of({})})
        CHECK_THROWS_WITH(check_structure(other, infer_shapes(other), structure),
                          Contains("does not belong to network '" + other.name + "'"));
}
