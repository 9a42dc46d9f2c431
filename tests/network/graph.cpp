#include "hdap/network/graph.hpp"

#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

#include <set>

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
    refuses({input(3), plain(Operator::add, "a", {0})}, "has 1 input, expected 2 or more");
    refuses({input(3), plain(static_cast<Operator>(77), "odd", {0})}, "unknown operator 77");
}

TEST_CASE("infer_shapes refuses shapes that do not fit") {
    refuses({input(0)}, "output_channels is 0");
    refuses({input(3), conv(0, -1)}, "output_channels is -1");
    refuses({input(3), conv(0, 4, 2)}, "groups is 2, must divide both the 3 input channels");
    refuses({input(4), conv(0, 6, 4)}, "groups is 4");
    refuses({input(3), linear(0, 10)}, "needs an input of 1 x 1, got 9 x 8");
    refuses({input(3), conv(0, 3), plain(Operator::add, "sum", {0, 1})},
            "combines tensors of different shapes: 3 channels of 9 x 8 (node 0)");
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

TEST_CASE("infer_shapes refuses fields of the other operators that are out of range") {
    const auto with = [](Operator op, const auto& change) {
        Node result = plain(op, "odd", {0});
        change(result);
        return std::vector<Node>{input(4), result};
    };
    refuses(with(Operator::slice, [](Node& n) { n.first_channel = 4; }), "first_channel is 4");
    refuses(with(Operator::slice,
                 [](Node& n) {
                     n.first_channel = 2;
                     n.output_channels = 3;
                 }),
            "output_channels is 3, must be in [1, 2]");
    refuses(with(Operator::pad, [](Node& n) { n.channels_after = -1; }), "channels_after is -1");
    refuses(with(Operator::pad, [](Node& n) { n.padding_after.width = 2000; }),
            "padding_after width is 2000");
    refuses(with(Operator::channel_shuffle, [](Node& n) { n.groups = 3; }),
            "groups is 3, must divide the 4 channels");
    refuses(with(Operator::max_pool,
                 [](Node& n) {
                     n.padding = {1, 1};
                 }),
            "a padding of 1 x 1 is more than half a kernel of 1 x 1");
    refuses(with(Operator::average_pool, [](Node& n) { n.stride = {0, 1}; }), "stride height is 0");
    refuses(with(Operator::resize_nearest, [](Node& n) { n.size = {0, 9}; }), "size height is 0");
    refuses(with(Operator::leaky_relu, [](Node& n) { n.negative_slope = -1.0; }),
            "negative_slope is -1");
    refuses(with(Operator::conv2d,
                 [](Node& n) {
                     n.output_channels = 1;
                     n.dilation = {0, 1};
                 }),
            "dilation height is 0");
    refuses({input(3), conv(0, 5), plain(Operator::concat, "joined", {0, 1})},
            "joins tensors of different extents: 9 x 8 (node 0) and 5 x 8 (node 1)");
    Network network = network_of({input(3)});
    network.outputs = {1};
    CHECK_THROWS_WITH(infer_shapes(network), Contains("output 1 is not one of its 1 nodes"));
}

TEST_CASE("infer_shapes follows the other operators") {
    const auto shape = [](Operator op, const auto& change) {
        Node result = plain(op, "node", {0});
        change(result);
        return infer_shapes(network_of({input(4), result})).back();
    };
    const auto nothing = [](Node&) {};
    CHECK(shape(Operator::silu, nothing) == TensorShape{4, {9, 8}});
    CHECK(shape(Operator::softmax, nothing) == TensorShape{4, {9, 8}});
    CHECK(shape(Operator::flatten, nothing) == TensorShape{4 * 9 * 8, {1, 1}});
    CHECK(shape(Operator::pad, [](Node& n) {
              n.padding = {1, 0};
              n.padding_after = {2, 3};
              n.channels_before = 1;
              n.channels_after = 5;
          }) == TensorShape{10, {12, 11}});
    CHECK(shape(Operator::slice, [](Node& n) {
              n.first_channel = 1;
              n.output_channels = 2;
          }) == TensorShape{2, {9, 8}});
    CHECK(shape(Operator::resize_bilinear, [](Node& n) {
              n.size = {18, 5};
          }) == TensorShape{4, {18, 5}});
    for (const bool ceil_mode : {false, true})
        CHECK(shape(Operator::max_pool, [ceil_mode](Node& n) {
                  n.kernel = {2, 3};
                  n.stride = {2, 2};
                  n.ceil_mode = ceil_mode;
              }) == TensorShape{4, {ceil_mode ? 5 : 4, ceil_mode ? 4 : 3}});
    // A window that would begin in the padding behind the image does not count.
    CHECK(shape(Operator::average_pool, [](Node& n) {
              n.kernel = {2, 2};
              n.stride = {3, 3};
              n.padding = {1, 1};
              n.ceil_mode = true;
          }) == TensorShape{4, {4, 3}});
    CHECK(shape(Operator::conv2d, [](Node& n) {
              n.output_channels = 2;
              n.kernel = {3, 3};
              n.dilation = {4, 2};
          }) == TensorShape{2, {1, 4}});
    Node gate = plain(Operator::global_average_pool, "gate", {0});
    CHECK(infer_shapes(network_of({input(4), gate, plain(Operator::multiply, "scaled", {1, 0})}))
              .back() == TensorShape{4, {9, 8}});
}

TEST_CASE("every operator has a name of its own") {
    std::set<std::string_view> names;
    for (int op = 0; op <= static_cast<int>(Operator::flatten); ++op)
        names.insert(operator_name(static_cast<Operator>(op)));
    CHECK(names.size() == static_cast<std::size_t>(Operator::flatten) + 1);
    CHECK(names.count("unknown") == 0);
    CHECK(operator_name(static_cast<Operator>(77)) == "unknown");
}

TEST_CASE("infer_shapes refuses sizes that would overflow counts or exhaust memory") {
    refuses({input(std::int64_t{1} << 40)}, "output_channels is 1099511627776");
    refuses({input(1 << 20), conv(0, 1 << 20)}, "weights, at most 536870912 are supported");
    Network huge = network_of({input(1 << 20)});
    huge.input_extent = {1 << 14, 1 << 14};
    CHECK_THROWS_WITH(infer_shapes(huge), Contains("281474976710656 elements"));
    Network joined = network_of({input(1 << 20)});
    std::vector<std::size_t> many(1000, 0);
    joined.nodes.push_back(plain(Operator::concat, "joined", many));
    CHECK_THROWS_WITH(infer_shapes(joined), Contains("output channels is 1048576000"));
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

TEST_CASE("count_readers counts every use of a node, the network's own included") {
    Network network =
        network_of({input(3), plain(Operator::relu, "relu", {0}),
                    plain(Operator::add, "add", {0, 1}), plain(Operator::add, "twice", {1, 1})});
    CHECK(count_readers(network) == std::vector<std::size_t>{2, 3, 0, 1});
    network.outputs = {2, 1, 2};
    CHECK(count_readers(network) == std::vector<std::size_t>{2, 4, 2, 0});
}

TEST_CASE("a shape's text is its channels and their extent") {
    CHECK(text_of({1, {28, 30}}) == "1 channel of 28 x 30");
    CHECK(text_of({1280, {7, 7}}) == "1,280 channels of 7 x 7");
}

TEST_CASE("is_depthwise asks for one output channel per input channel") {
    CHECK(is_depthwise(conv(0, 8, 8), 8));
    CHECK_FALSE(is_depthwise(conv(0, 16, 8), 8));
    CHECK_FALSE(is_depthwise(conv(0, 8, 4), 8));
    CHECK_FALSE(is_depthwise(conv(0, 8, 1), 8));
    CHECK_FALSE(is_depthwise(linear(0, 1), 1));
}
