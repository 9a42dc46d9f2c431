#include "hdap/network/graph.hpp"

#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

using namespace hdap;
using namespace hdap::network;
using Catch::Matchers::Contains;

namespace {

Node input(std::int64_t channels) {
    Node node;
    node.name = "image";
    node.output_channels = channels;
    return node;
}

Node conv(std::size_t from, std::int64_t channels, std::int64_t groups = 1) {
    Node node;
    node.name = "conv";
    node.op = Operator::conv2d;
    node.inputs = {from};
    node.output_channels = channels;
    node.groups = groups;
    node.kernel = {3, 5};
    node.stride = {2, 1};
    node.padding = {1, 2};
    return node;
}

Node plain(Operator op, const std::string& name, std::vector<std::size_t> from) {
    Node node;
    node.name = name;
    node.op = op;
    node.inputs = std::move(from);
    return node;
}

Node linear(std::size_t from, std::int64_t channels) {
    Node node = plain(Operator::linear, "fc", {from});
    node.output_channels = channels;
    return node;
}

Network network_of(std::vector<Node> nodes) {
    return {"sample", {9, 8}, std::move(nodes)};
}

void refuses(std::vector<Node> nodes, const std::string& message) {
    const Network network = network_of(std::move(nodes));
    CHECK_THROWS_AS(infer_shapes(network), core::DataError);
    CHECK_THROWS_WITH(infer_shapes(network), Contains(message) && Contains("sample"));
}

} // namespace

TEST_CASE("infer_shapes refuses a network that is not a graph from one input to one output") {
    refuses({}, "has 0 nodes");
    refuses({conv(0, 4)}, "the first node, and no other, must be the input");
    refuses({input(3), input(3)}, "the name is used by an earlier node");
    Node second = input(3);
    second.name = "second";
    refuses({input(3), second}, "node 1 ('second'): the first node, and no other");
    refuses({input(3), conv(1, 4)}, "node 1 ('conv'): input 1 is not an earlier node");
    refuses({input(3), conv(99, 4)}, "input 99 is not an earlier node");
    refuses({input(3), plain(Operator::relu, "", {0})}, "has no name");
    refuses({input(3), plain(Operator::relu, "a/b", {0})}, "must not contain '/'");
    refuses({input(3), plain(Operator::relu, "r", {})}, "has 0 inputs, expected 1");
    refuses({input(3), plain(Operator::relu, "r", {0, 0})}, "has 2 inputs, expected 1");
    refuses({input(3), plain(Operator::add, "a", {0})}, "has 1 inputs, expected 2 or more");
    refuses({input(3), plain(static_cast<Operator>(77), "odd", {0})}, "unknown operator 77");
}

TEST_CASE("infer_shapes refuses shapes that do not fit") {
    refuses({input(0)}, "output_channels is 0");
    refuses({input(3), conv(0, -1)}, "output_channels is -1");
    refuses({input(3), conv(0, 4, 2)}, "groups is 2, must divide both the 3 input channels");
    refuses({input(4), conv(0, 6, 4)}, "groups is 4");
    refuses({input(3), linear(0, 10)}, "needs an input of 1 x 1, got 9 x 8");
    refuses({input(3), conv(0, 3), plain(Operator::add, "sum", {0, 1})},
            "adds tensors of different shapes: 3 channels of 9 x 8 (node 0)");
    Node wide = conv(0, 4);
    wide.kernel = {12, 3};
    refuses({input(3), wide}, "a kernel of 12 x 3 does not fit into an input of 9 x 8");
    for (Extent Node::*field : {&Node::kernel, &Node::stride}) {
        Node zero = conv(0, 4);
        (zero.*field).width = 0;
        refuses({input(3), zero}, "width is 0, must be in [1, 1024]");
    }
    Node norm = plain(Operator::batch_norm, "bn", {0});
    norm.epsilon = 0.0;
    refuses({input(3), norm}, "epsilon is 0,");
}

TEST_CASE("infer_shapes refuses sizes that would overflow counts or exhaust memory") {
    refuses({input(std::int64_t{1} << 40)}, "output_channels is 1099511627776");
    refuses({input(1 << 20), conv(0, 1 << 20)}, "weights, at most 536870912 are supported");
    Network huge = network_of({input(1 << 20)});
    huge.input_extent = {1 << 14, 1 << 14};
    CHECK_THROWS_WITH(infer_shapes(huge), Contains("281474976710656 elements"));
    huge.input_extent = {-5, 1};
    CHECK_THROWS_WITH(infer_shapes(huge), Contains("input height is -5"));
}

TEST_CASE("infer_shapes follows strides, paddings and pooling") {
    const Network network =
        network_of({input(3), conv(0, 6), plain(Operator::batch_norm, "bn", {1}),
                    plain(Operator::relu, "relu", {2}), plain(Operator::add, "add", {1, 3, 2}),
                    plain(Operator::global_average_pool, "pool", {4}), linear(5, 10)});
    const std::vector<TensorShape> shapes = infer_shapes(network);
    REQUIRE(shapes.size() == 7);
    CHECK(shapes[0] == TensorShape{3, {9, 8}});
    for (const std::size_t node : {1U, 2U, 3U, 4U})
        CHECK(shapes[node] == TensorShape{6, {5, 8}});
    CHECK(shapes[5] == TensorShape{6, {1, 1}});
    CHECK(shapes[6] == TensorShape{10, {1, 1}});
}

TEST_CASE("is_depthwise asks for one output channel per input channel") {
    CHECK(is_depthwise(conv(0, 8, 8), 8));
    CHECK_FALSE(is_depthwise(conv(0, 16, 8), 8));
    CHECK_FALSE(is_depthwise(conv(0, 8, 4), 8));
    CHECK_FALSE(is_depthwise(conv(0, 8, 1), 8));
    CHECK_FALSE(is_depthwise(linear(0, 1), 1));
}
