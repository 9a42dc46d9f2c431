#include "hdap/core/error.hpp"
#include "hdap/network/fold_batch_norm.hpp"
#include "hdap/network/onnx.hpp"
#include "hdap/network/zoo.hpp"
#include "network/onnx/graph.hpp"
#include "network/random_network.hpp"
#include "network/reference_forward.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

using namespace hdap;
using namespace hdap::network;
using namespace hdap::network::testing;
using Catch::Matchers::Contains;

namespace {

/// A smaller one, in which no layer is left without anything to do.
Network zoo(const std::string& name) {
    const bool large = name == "yolov8n" || name == "vgg16";
    return make_network({.name = name,
                         .width = name.starts_with("vgg16") ? 0.25 : 0.5,
                         .classes = 7,
                         .input_channels = 3,
                         .input_extent = {large ? 64 : 33, 40}});
}

onnx::ModelProto exported(const Network& network, const OnnxExportParameters& parameters = {}) {
    const auto bytes = encode_onnx(network, random_weights(network, 1), parameters);
    onnx::ModelProto model;
    REQUIRE(model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
    return model;
}

std::vector<std::int64_t> dims_of(const onnx::ValueInfoProto& info) {
    std::vector<std::int64_t> dims;
    for (const auto& dim : info.type().tensor_type().shape().dim())
        dims.push_back(dim.has_dim_value() ? dim.dim_value() : -1);
    return dims;
}

std::string operators_of(const onnx::ModelProto& model) {
    std::string names;
    for (const onnx::NodeProto& node : model.graph().node())
        names += (names.empty() ? "" : " ") + node.op_type();
    return names;
}

auto fields(const Extent& extent) {
    return std::tuple(extent.height, extent.width);
}

/// All of a node that means something to its operator.
auto fields(const Node& node) {
    return std::tuple(node.name, node.op, node.inputs, node.output_channels, node.groups,
                      fields(node.kernel), fields(node.stride), fields(node.padding),
                      fields(node.padding_after), fields(node.dilation), fields(node.size),
                      node.first_channel, node.channels_before, node.channels_after, node.bias,
                      node.ceil_mode, node.count_include_pad, node.align_corners, node.epsilon,
                      node.negative_slope);
}

FeatureMap image_for(const Network& network) {
    const TensorShape shape = infer_shapes(network)[0];
    core::RandomStream random(3, core::StreamId::testing);
    FeatureMap image;
    for (std::int64_t i = 0; i < shape.channels * shape.extent.height * shape.extent.width; ++i)
        image.push_back(random.normal());
    return image;
}

double difference(const FeatureMap& a, const FeatureMap& b) {
    if (a.size() != b.size()) return INFINITY;
    double worst = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i)
        worst = std::max(worst, std::abs(a[i] - b[i]) / (1.0 + std::abs(a[i])));
    return worst;
}

/// A network of one operator on an image of 2 × 7 × 6.
Network single(Node node) {
    Node input;
    input.name = "input";
    input.output_channels = 2;
    node.name = "node";
    node.inputs.assign(node.op == Operator::add || node.op == Operator::multiply ? 2 : 1, 0);
    return {"single", {7, 6}, {input, node}, {}};
}

} // namespace

TEST_CASE("networks of the zoo survive ONNX node for node and bit for bit") {
    for (const std::string& name : zoo_names()) {
        CAPTURE(name);
        const Network network = zoo(name);
        const Weights weights = random_weights(network, 5);
        const PrunedNetwork again = decode_onnx(encode_onnx(network, weights), name);
        CHECK(again.network.name == network.name);
        CHECK(again.network.input_extent == network.input_extent);
        CHECK(output_nodes(again.network) == output_nodes(network));
        REQUIRE(again.network.nodes.size() == network.nodes.size());
        for (std::size_t i = 0; i < network.nodes.size(); ++i) {
            CAPTURE(network.nodes[i].name);
            CHECK(fields(again.network.nodes[i]) == fields(network.nodes[i]));
        }
        REQUIRE(again.weights.size() == weights.size());
        for (const auto& [key, tensor] : weights) {
            CHECK(again.weights.at(key).shape == tensor.shape);
            CHECK(again.weights.at(key).values == tensor.values);
        }
    }
}

TEST_CASE("random networks of every operator compute the same after ONNX") {
    std::set<Operator> seen;
    for (std::uint32_t seed = 0; seed < 100; ++seed) {
        CAPTURE(seed);
        const Network network = random_network(seed);
        for (const Node& node : network.nodes)
            seen.insert(node.op);
        const Weights weights = random_weights(network, seed);
        const std::int64_t opset = 13 + seed % 5;
        const PrunedNetwork again =
            decode_onnx(encode_onnx(network, weights, {.opset = opset}), "random");
        const FeatureMap image = image_for(network);
        CHECK(difference(reference_forward(network, weights, image),
                         reference_forward(again.network, again.weights, image)) < 1e-6);
    }
    CHECK(seen.size() == 26); // all there are
}

TEST_CASE("an ONNX model says who made it, and has names and shapes of ours") {
    const Network network = zoo("mobilenet_v1");
    const onnx::ModelProto model = exported(network, {.opset = 15});
    CHECK(model.producer_name() == "hdap");
    CHECK_FALSE(model.producer_version().empty());
    REQUIRE(model.opset_import_size() == 1);
    CHECK(model.opset_import(0).version() == 15);
    CHECK(model.ir_version() == 8);
    CHECK(model.graph().name() == "mobilenet_v1");
    REQUIRE(model.graph().input_size() == 1); // not the weights
    CHECK(dims_of(model.graph().input(0)) == Integers{-1, 3, 33, 40});
    CHECK(model.graph().input(0).name() == "input");
    REQUIRE(model.graph().output_size() == 1);
    CHECK(dims_of(model.graph().output(0)) == Integers{-1, 7});
    CHECK(model.graph().output(0).name() == "classifier");
    std::set<std::string> initializers;
    for (const onnx::TensorProto& tensor : model.graph().initializer())
        initializers.insert(tensor.name());
    for (const auto& [name, shape] : expected_shapes(network))
        CHECK(initializers.count(name) == 1);
}

TEST_CASE("operators that ONNX does not have are made of those that it has") {
    const auto operators = [](Operator op, std::int64_t opset = 13) {
        Node node;
        node.op = op;
        return operators_of(exported(single(node), {.opset = opset}));
    };
    CHECK(operators(Operator::silu) == "Sigmoid Mul");
    CHECK(operators(Operator::hard_swish) == "HardSigmoid Mul");
    CHECK(operators(Operator::hard_swish, 14) == "HardSwish");
    CHECK(operators(Operator::relu6) == "Clip");
    CHECK(operators(Operator::channel_shuffle) == "Reshape Transpose Reshape");
    CHECK(operators(Operator::flatten) == "Flatten");
    Node resize;
    resize.op = Operator::resize_nearest;
    resize.size = {14, 12};
    CHECK(operators_of(exported(single(resize))) == "Resize");
    resize.size = {5, 5}; // no scale is exactly that
    CHECK(operators_of(exported(single(resize))) == "Shape Slice Concat Resize");
}

TEST_CASE("vectors become images, and images vectors, only where an operator needs it") {
    Network network = single({});
    network.nodes[1].op = Operator::global_average_pool;
    const auto append = [&](Operator op, std::vector<std::size_t> inputs) {
        Node node;
        node.name = "node" + std::to_string(network.nodes.size());
        node.op = op;
        node.inputs = std::move(inputs);
        node.output_channels = op == Operator::linear ? 2 : 0;
        network.nodes.push_back(node);
        return network.nodes.size() - 1;
    };
    const std::size_t linear = append(Operator::linear, {1});
    const std::size_t gate = append(Operator::sigmoid, {linear});
    append(Operator::multiply, {0, gate});
    const onnx::ModelProto model = exported(network);
    CHECK(operators_of(model) == "GlobalAveragePool Flatten Gemm Sigmoid Unsqueeze Mul");
    CHECK(dims_of(model.graph().output(0)) == Integers{-1, 2, 7, 6});
}

TEST_CASE("outputs may be the image itself, and one tensor twice") {
    Network network = single({});
    network.nodes[1].op = Operator::relu;
    network.outputs = {1, 0, 1};
    const Weights none;
    const auto bytes = encode_onnx(network, none);
    const PrunedNetwork again = decode_onnx(bytes, "outputs");
    CHECK(again.network.outputs == std::vector<std::size_t>{1, 0, 1});
}

TEST_CASE("names of tensors of ours that collide in ONNX are told apart") {
    Network network = single({});
    network.nodes[1].op = Operator::linear;
    network.nodes[1].output_channels = 3;
    network.nodes[1].name = "a";
    network.input_extent = {1, 1};
    for (const char* name : {"a.weight", "ints_2_3", "a.weight.image"}) {
        Node node;
        node.name = name;
        node.op = Operator::batch_norm;
        node.inputs = {network.nodes.size() - 1};
        network.nodes.push_back(node);
    }
    const Weights weights = random_weights(network, 1);
    const PrunedNetwork again = decode_onnx(encode_onnx(network, weights), "names");
    const FeatureMap image = image_for(network);
    CHECK(difference(reference_forward(network, weights, image),
                     reference_forward(again.network, again.weights, image)) < 1e-6);
}

TEST_CASE("an export refuses what it cannot write") {
    const Network network = zoo("mobilenet_v1");
    const Weights weights = random_weights(network, 1);
    CHECK_THROWS_AS(encode_onnx(network, weights, {.opset = 12}), core::ConfigError);
    CHECK_THROWS_WITH(encode_onnx(network, weights, {.opset = 18}),
                      "opset is 18, must be in [13, 17]");
    CHECK_THROWS_AS(encode_onnx(network, {}), core::DataError);
    CHECK_THROWS_AS(encode_onnx(network, {}, {.opset = 13, .fold_batch_norm = true}),
                    core::DataError);
    Network large = single({});
    large.input_extent = {1, 1};
    large.nodes[0].output_channels = 1 << 14;
    large.nodes[1].op = Operator::linear;
    large.nodes[1].output_channels = 1 << 15;
    CHECK_THROWS_AS(encode_onnx(large, {}), core::DataError);
    CHECK_THROWS_WITH(encode_onnx(large, {}), Contains("2.147 GB of weights"));
}

TEST_CASE("write_onnx writes the same bytes again, and replaces a file as a whole") {
    const test::TemporaryFolder folder;
    const Network network = zoo("resnet20");
    const Weights weights = random_weights(network, 1);
    write_onnx(folder / "a.onnx", network, weights);
    write_onnx(folder / "a.onnx", network, weights);
    CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
    CHECK(std::filesystem::file_size(folder / "a.onnx") == encode_onnx(network, weights).size());
    CHECK(encode_onnx(network, weights) == encode_onnx(network, weights));
    CHECK(read_onnx(folder / "a.onnx").network.nodes.size() == network.nodes.size());
    CHECK_THROWS_AS(write_onnx(folder / "none/a.onnx", network, weights), core::InternalError);
}

TEST_CASE("folded batch norms compute the same with fewer layers") {
    for (std::uint32_t seed = 0; seed < 100; ++seed) {
        CAPTURE(seed);
        const Network network = random_network(seed);
        const Weights weights = random_weights(network, seed);
        const PrunedNetwork folded = fold_batch_norms(network, weights);
        CHECK(folded.network.nodes.size() <= network.nodes.size());
        CHECK(folded.weights.size() == expected_shapes(folded.network).size());
        const FeatureMap image = image_for(network);
        CHECK(difference(reference_forward(network, weights, image),
                         reference_forward(folded.network, folded.weights, image)) < 1e-4);
    }
    for (const std::string name : {"resnet18", "vgg16_cifar", "mobilenet_v2"}) {
        const Network network = zoo(name);
        const Network folded = fold_batch_norms(network, random_weights(network, 1)).network;
        CHECK(std::none_of(folded.nodes.begin(), folded.nodes.end(),
                           [](const Node& node) { return node.op == Operator::batch_norm; }));
        CHECK(folded.outputs.empty());
    }
}

TEST_CASE("a batch norm stays where something else reads the layer before it") {
    Network network = single({});
    network.nodes[1].op = Operator::conv2d;
    network.nodes[1].output_channels = 2;
    Node norm;
    norm.name = "bn";
    norm.op = Operator::batch_norm;
    norm.inputs = {1};
    network.nodes.push_back(norm);
    network.outputs = {1, 2};
    const Weights weights = random_weights(network, 1);
    CHECK(fold_batch_norms(network, weights).network.nodes.size() == 3);
    network.outputs = {2};
    const PrunedNetwork folded = fold_batch_norms(network, weights);
    CHECK(folded.network.nodes.size() == 2);
    CHECK(folded.network.nodes[1].bias);
    CHECK_THROWS_AS(fold_batch_norms(network, {}), core::DataError);
}
