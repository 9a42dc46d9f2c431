#include "hdap/core/error.hpp"
#include "hdap/network/onnx.hpp"
#include "hdap/network/pruning_structure.hpp"
#include "network/onnx/networks.hpp"
#include "network/onnx/operators.hpp"
#include "network/reference_forward.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>

using namespace hdap;
using namespace hdap::network;
using namespace hdap::network::testing;
using Catch::Matchers::Contains;

namespace {

PrunedNetwork import(const OnnxGraph& graph, const OnnxImportParameters& parameters = {}) {
    return decode_onnx(graph.bytes(), "test.onnx", parameters);
}

std::int64_t count(const Network& network, Operator op) {
    return std::count_if(network.nodes.begin(), network.nodes.end(),
                         [op](const Node& node) { return node.op == op; });
}

std::string operators_of(const Network& network) {
    std::string names;
    for (const Node& node : network.nodes)
        names += (names.empty() ? "" : " ") + std::string(operator_name(node.op));
    return names;
}

/// What is thrown at an import, or "" when nothing is.
std::string import_error(const OnnxGraph& graph, const OnnxImportParameters& parameters = {}) {
    try {
        (void)import(graph, parameters);
    } catch (const core::DataError& error) {
        return error.what();
    }
    return "";
}

/// What is thrown at a graph of one operator that reads the image and then constants.
std::string operator_error(std::int64_t opset, const std::string& op,
                           const std::vector<OnnxAttribute>& attributes,
                           const std::vector<std::vector<float>>& constants = {}) {
    OnnxGraph graph(opset);
    std::vector<std::string> inputs{"x"};
    for (std::size_t i = 0; i < constants.size(); ++i)
        inputs.push_back(graph.weight("c" + std::to_string(i),
                                      {static_cast<std::int64_t>(constants[i].size())},
                                      constants[i]));
    graph.output(graph.add_named("here", op, inputs, attributes)[0]);
    return import_error(graph);
}

} // namespace

TEST_CASE("x times its sigmoid becomes silu, and only that") {
    const Network network = import(efficientnet(13).graph).network;
    CHECK(count(network, Operator::silu) == 4);
    CHECK(count(network, Operator::sigmoid) == 1); // the gate of squeeze-and-excitation
    CHECK(count(network, Operator::multiply) == 1);
}

TEST_CASE("all forms of the hard swish and the hard sigmoid are recognised") {
    for (const HardSwish form :
         {HardSwish::with_hard_sigmoid, HardSwish::clip_then_divide, HardSwish::divide_last,
          HardSwish::one_operator, HardSwish::min_and_max}) {
        const OnnxSample sample = mobilenet_v3(17, form);
        CAPTURE(sample.name);
        const Network network = import(sample.graph).network;
        CHECK(count(network, Operator::hard_swish) == 3);
        CHECK(count(network, Operator::hard_sigmoid) == 1);
        CHECK(count(network, Operator::batch_norm) == 3);
        CHECK(count(network, Operator::relu6) == 0);
    }
}

TEST_CASE("bounds that follow each other become one activation") {
    const auto operators_after = [](auto&& bounded) {
        OnnxGraph graph(18);
        graph.output(bounded(graph, graph.conv("c", "x", 3, 4, {})));
        return operators_of(import(graph).network);
    };
    using Graph = OnnxGraph&;
    const std::string relu6 = "input conv2d relu6";
    CHECK(operators_after([](Graph g, const std::string& x) {
              return g.add("Max", {x, g.scalar(0.0F)});
          }) == "input conv2d relu");
    CHECK(operators_after([](Graph g, const std::string& x) {
              return g.add("Min", {g.scalar(6.0F), g.add("Max", {g.scalar(0.0F), x})});
          }) == relu6);
    CHECK(
        operators_after([](Graph g, const std::string& x) {
            return g.add("Max", {g.add("Min", {x, g.weight("six", {1}, {6.0F})}), g.scalar(0.0F)});
        }) == relu6);
    CHECK(operators_after([](Graph g, const std::string& x) {
              const std::string six = g.add("Constant", {}, {{"value_int", 6}});
              const std::string relu = g.add("Relu", {x});
              return g.add("Min", {relu, g.add("CastLike", {six, relu})});
          }) == relu6);
    CHECK(operators_after([](Graph g, const std::string& x) {
              return g.add("Clip", {g.add("Min", {x, g.scalar(6.0F)}), g.scalar(0.0F)});
          }) == relu6);
    // The ReLU remains for who reads it, too.
    CHECK(operators_after([](Graph g, const std::string& x) {
              const std::string relu = g.add("Relu", {x});
              return g.add("Add", {g.add("Min", {relu, g.scalar(6.0F)}), relu});
          }) == "input conv2d relu relu6 add");
    CHECK(operators_after([](Graph g, const std::string& x) {
              const std::string high = g.scalar(std::numeric_limits<float>::infinity());
              return g.add("Min", {x, high});
          }) == "input conv2d");
}

TEST_CASE("bounds that are no activation of ours are refused by name") {
    const auto refused = [](const std::string& op, const std::vector<float>& bound) {
        return operator_error(13, op, {}, {bound});
    };
    CHECK_THAT(refused("Min", {6.0F}),
               Contains("node 'here' (Min), which reads 'x': clips to [-inf, 6], only [0, 6] "
                        "(ReLU6) and [0, inf] (ReLU), and [0, 1] (hard sigmoid), are supported; "
                        "train with one of these"));
    CHECK_THAT(refused("Max", {1.0F}), Contains("clips to [1, inf]"));
    CHECK_THAT(refused("Max", {std::nanf("")}), Contains("a bound is no number (NaN)"));
    CHECK_THAT(operator_error(10, "Clip", {{"min", std::nanf("")}, {"max", 6.0F}}),
               Contains("a bound is no number (NaN)"));
    CHECK_THAT(refused("Min", std::vector<float>(12, 6.0F)), Contains("clips to [-inf, 6]"));
    CHECK_THAT(refused("Max", {0.0F, 0.0F}), Contains("'c0' of shape [2] must be one number"));
    std::vector<float> some(12, 0.0F);
    some[7] = 1.0F;
    CHECK_THAT(refused("Max", some), Contains("'c0' of shape [12] must be one number"));
    CHECK_THAT(refused("Max", {}), Contains("must be one number"));
    OnnxGraph nothing;
    nothing.output(nothing.add("Min", {}));
    CHECK_THAT(import_error(nothing), Contains("input 0 is missing"));
    OnnxGraph crossed; // what is at least 0 and at most -1 is -1
    crossed.output(crossed.add(
        "Min", {crossed.add("Max", {"x", crossed.scalar(0.0F)}), crossed.scalar(-1.0F)}));
    CHECK_THAT(import_error(crossed), Contains("(Min)") && Contains("clips to [-1, -1]"));
    for (const char* op : {"Max", "Min"}) {
        OnnxGraph two;
        two.output(two.add(op, {two.add("Tanh", {"x"}), two.scalar(0.0F), "x"}));
        CHECK_THAT(import_error(two), Contains("of two tensors, which is not supported; train"));
    }
    OnnxGraph computed;
    computed.output(computed.add("Clip", {"x", computed.add("GlobalMaxPool", {"x"})}));
    CHECK_THAT(import_error(computed), Contains("is computed from the image, must be constant"));
    OnnxGraph integers;
    integers.output(integers.add("Max", {"x", integers.integers({0})}));
    CHECK_THAT(import_error(integers), Contains("(Max)"));
    OnnxGraph cast;
    cast.output(cast.add("CastLike", {"x", cast.integers({0})}));
    CHECK_THAT(import_error(cast), Contains("makes integers of a tensor"));
}

namespace {

/// The first convolution behind the input.
const Node& first_layer(const Network& network) {
    return *std::find_if(network.nodes.begin(), network.nodes.end(),
                         [](const Node& node) { return node.op == Operator::conv2d; });
}

} // namespace

TEST_CASE("blocks of pixels as channels become part of the convolution that reads them") {
    for (const bool columns_first : {false, true}) {
        const PrunedNetwork model = import(focus(13, columns_first).graph);
        CHECK(count(model.network, Operator::max_pool) == 1); // of the blocks that are normalised
        CHECK(count(model.network, Operator::concat) == 1);
        const Node& stem = first_layer(model.network);
        CHECK(stem.name == "backbone.stem.conv.conv");
        CHECK(stem.inputs == std::vector<std::size_t>{0});
        CHECK((stem.kernel == Extent{6, 6} && stem.stride == Extent{2, 2}));
        CHECK(stem.padding == Extent{2, 2});
        CHECK(model.weights.at("backbone.stem.conv.conv.weight").shape == Integers{8, 3, 6, 6});
        const PruningStructure structure = find_pruning_structure(model.network);
        // The stem's channels are read by a larger kernel; those of dark2 as blocks, four times.
        REQUIRE(structure.groups.size() == 3);
        CHECK(structure.groups[0].name == "backbone.stem.conv.conv");
        CHECK(structure.groups[0].channels == 8);
        CHECK(structure.groups[1].name == "backbone.dark2.conv");
        CHECK(structure.groups[1].channels == 12);
        CHECK(structure.groups[2].name == "backbone.dark3.conv");
    }
}

TEST_CASE("parts of an image that are no blocks of pixels are refused") {
    const auto error_of = [](const Integers& starts, const Integers& ends, const Integers& axes,
                             const Integers& steps) {
        OnnxGraph graph;
        graph.output(graph.add("Slice", {"x", graph.integers(starts), graph.integers(ends),
                                         graph.integers(axes), graph.integers(steps)}));
        return import_error(graph);
    };
    constexpr std::int64_t most = INT64_MAX;
    CHECK_THAT(error_of({0}, {most}, {2}, {0}), Contains("has a step of 0"));
    CHECK_THAT(error_of({15}, {INT64_MIN}, {2}, {-1}), Contains("cuts an image"));
    CHECK_THAT(error_of({2}, {most}, {2}, {2}), Contains("cuts an image"));
    CHECK_THAT(error_of({1}, {12}, {2}, {2}), Contains("cuts an image"));
    CHECK_THAT(error_of({20}, {most}, {2}, {32}), Contains("cuts an image"));
    CHECK_THAT(error_of({1}, {most}, {3}, {most}), Contains("cuts an image"));
    CHECK_THAT(error_of({1}, {most}, {0}, {2}), Contains("cuts the batch"));
    CHECK_THAT(error_of({1}, {most}, {1}, {2}), Contains("takes every nth of another axis"));
    CHECK_THAT(error_of({1}, {most}, {4}, {2}), Contains("4 is not in"));
    CHECK_THAT(error_of({1}, {most}, {-5}, {2}), Contains("-5 is not in"));
    CHECK_THAT(error_of({1, 1}, {most, most}, {2, -2}, {2, 2}), Contains("cuts one axis twice"));
    CHECK_THAT(error_of({1}, {most}, {2}, {2, 2}), Contains("another number of ends, axes or"));
    OnnxGraph computed;
    const std::string size =
        computed.add("Gather", {computed.add("Shape", {"x"}), computed.integers({0})});
    computed.output(computed.add("Slice", {"x", computed.integers({1}), size,
                                           computed.integers({2}), computed.integers({2})}));
    CHECK_THAT(import_error(computed), Contains("(Slice)") && Contains("size of the batch"));
    // Samples of images that do not divide have different sizes.
    OnnxGraph uneven(13, {0, 3, 15, 12});
    uneven.output(add_focus(uneven, "x", {{0, 0}, {1, 0}, {0, 1}, {1, 1}}, Slicing::together));
    CHECK_THAT(import_error(uneven), Contains("joins tensors of different extents"));
    for (const int block : {-1, 0, 33, INT32_MAX})
        CHECK_THAT(operator_error(13, "SpaceToDepth", {{"blocksize", block}}),
                   Contains("'blocksize' is") && Contains("must be in [1, 32]"));
    CHECK_THAT(operator_error(13, "SpaceToDepth", {}), Contains("'blocksize' is 0"));
    CHECK_THAT(operator_error(13, "SpaceToDepth", {{"blocksize", 8}}),
               Contains("makes blocks of 8 x 8 of an image of 16 x 12"));
}

TEST_CASE("a dense layer takes over that it reads positions before channels") {
    const PrunedNetwork model = import(keras_flatten(13, false).graph);
    CHECK(operators_of(model.network) == "input conv2d conv2d relu max_pool conv2d relu "
                                         "max_pool flatten linear relu linear softmax");
    const PruningStructure structure = find_pruning_structure(model.network);
    REQUIRE(structure.groups.size() == 3);
    CHECK(structure.groups[1].name == "conv2d_1");
    // Without a layer, or before another operator, it is a shuffle.
    OnnxGraph bare;
    bare.output(
        bare.add("Flatten", {bare.add("Transpose", {"x"}, {{"perm", Integers{0, 2, 3, 1}}})}));
    CHECK(operators_of(import(bare).network) == "input flatten channel_shuffle");
    // Rows and columns that changed places are no shuffle of channels.
    for (const Integers& permutation : {Integers{0, 1, 3, 2}, Integers{0, 2, 1, 3}}) {
        OnnxGraph other;
        const std::string turned = other.add("Transpose", {"x"}, {{"perm", permutation}});
        other.output(other.gemm("fc", other.add("Flatten", {turned}), 576, 5));
        CHECK_THAT(import_error(other),
                   Contains("(Flatten)") && Contains("positions before channels"));
    }
}

TEST_CASE("an image whose one channel is last is read as one whose channel is first") {
    for (const char* op : {"Reshape", "Transpose"})
        for (const bool scaled : {false, true})
            for (const bool asked : {false, true}) {
                CAPTURE(op, scaled, asked);
                OnnxGraph graph(13, {0, 20, 28, 1});
                std::string x = scaled ? graph.add("Div", {"x", graph.scalar(255.0F)}) : "x";
                x = std::string(op) == "Reshape"
                        ? graph.add(op, {x, graph.integers({-1, 1, 20, 28})})
                        : graph.add(op, {x}, {{"perm", Integers{0, 3, 1, 2}}});
                graph.output(graph.conv("c", x, 1, 4, {}));
                OnnxImportParameters parameters;
                if (asked) parameters.input_extent = Extent{20, 28};
                const Network network = import(graph, parameters).network;
                CHECK(infer_shapes(network)[0] == TensorShape{1, {20, 28}});
                CHECK(operators_of(network) == (scaled ? "input conv2d conv2d" : "input conv2d"));
                CHECK_THAT(import_error(graph, {.input_extent = Extent{28, 20}, .outputs = {}}),
                           Contains("is 20 x 28, 28 x 20 was asked for") ||
                               Contains("is 28 x 1, 28 x 20 was asked for"));
            }
    // Images of 20 channels and one column, after all.
    OnnxGraph columns(13, {0, 20, 28, 1});
    columns.output(columns.conv("c", "x", 20, 4, {}));
    CHECK(infer_shapes(import(columns).network)[0] == TensorShape{20, {28, 1}});
    CHECK_THAT(import_error(columns, {.input_extent = Extent{20, 28}, .outputs = {}}),
               Contains("is 28 x 1, 20 x 28 was asked for"));
    // What was read as 20 channels cannot become one.
    OnnxGraph both(13, {0, 20, 28, 1});
    both.output(both.add("Reshape", {both.add("Relu", {"x"}), both.integers({-1, 1, 20, 28})}));
    CHECK_THAT(import_error(both), Contains("arranged in another way"));
}

TEST_CASE("detours of exporters leave nothing behind") {
    CHECK(operators_of(import(vgg(9).graph).network) ==
          "input conv2d relu6 max_pool flatten linear relu linear");
    CHECK(operators_of(import(shufflenet(13, true).graph).network) ==
          operators_of(import(shufflenet(11, false).graph).network));
    CHECK(count(import(shufflenet(13, true).graph).network, Operator::channel_shuffle) == 2);
    CHECK(operators_of(import(senet(false).graph).network) ==
          "input conv2d relu global_average_pool linear relu linear sigmoid multiply "
          "global_average_pool linear");
    CHECK(operators_of(import(keras(13).graph).network) ==
          "input conv2d pad conv2d relu6 pad conv2d relu max_pool "
          "global_average_pool linear softmax");
    const Network resnet = import(resnet_option_a(13).graph).network;
    CHECK(count(resnet, Operator::pad) == 1);
    CHECK(count(resnet, Operator::flatten) == 0);
}

TEST_CASE("a normalisation of the images is a layer, not a norm that recalibration would change") {
    OnnxGraph graph;
    const std::string scaled = graph.add("Div", {"x", graph.scalar(127.5F)});
    const std::string shifted =
        graph.add("Sub", {scaled, graph.weight("mean", {3, 1, 1}, {1.0F, 0.5F, 0.25F})});
    graph.output(graph.conv("conv", shifted, 3, 4, {}));
    const PrunedNetwork model = import(graph);
    CHECK(operators_of(model.network) == "input conv2d conv2d");
    const Node& layer = model.network.nodes[1];
    CHECK(layer.groups == 3);
    for (const float value : model.weights.at(layer.name + ".weight").values)
        CHECK(value == Approx(1.0 / 127.5));
    CHECK(model.weights.at(layer.name + ".bias").values ==
          std::vector<float>{-1.0F, -0.5F, -0.25F});
}

TEST_CASE("what scales and shifts a layer alone becomes its weights and bias") {
    const PrunedNetwork model = import(keras(13).graph);
    const auto named = [&](const std::string& name) {
        return model.network.nodes[node_named(model.network, name)];
    };
    CHECK(named("model.conv2.Conv2D").bias);
    CHECK(named("model.dense.MatMul").bias);
    CHECK(named("model.conv1.Conv2D").bias);
    CHECK(model.weights.at("model.dense.MatMul.weight").shape ==
          std::vector<std::int64_t>{5, 10}); // MatMul has it the other way round
}

TEST_CASE("a layer that others read, too, keeps its weights beside what scales it") {
    for (const bool shared : {false, true}) {
        OnnxGraph graph;
        const std::string conv = graph.conv("conv", "x", 3, 2, {});
        const std::string scaled =
            graph.add("Mul", {conv, graph.weight("scale", {2, 1, 1}, {2.0F, -0.5F})});
        graph.output(graph.add("Add", {scaled, shared ? conv : scaled}));
        const PrunedNetwork model = import(graph);
        CAPTURE(operators_of(model.network));
        CHECK(count(model.network, Operator::conv2d) == (shared ? 2 : 1));
        CHECK(count(model.network, Operator::batch_norm) == 0);
    }
}

TEST_CASE("names come from the weights, are made unique, and hold nothing that files cannot") {
    OnnxGraph graph;
    const std::string weight = graph.random_weight("head.conv.weight", {3, 3, 1, 1}, 0.5);
    std::string x = "x";
    for (int i = 0; i < 3; ++i)
        x = graph.add("Conv", {x, weight});
    x = graph.add_named("//a/b c\n\xff", "Relu", {x})[0];
    x = graph.add_named("head.conv", "Relu", {x})[0];
    x = graph.add_named("///", "Relu", {x})[0];
    x = graph.add_named(std::string(100'000, 'n'), "Relu", {x})[0];
    graph.output(x);
    const PrunedNetwork model = import(graph);
    std::vector<std::string> names;
    for (const Node& node : model.network.nodes)
        names.push_back(node.name);
    CHECK(names == std::vector<std::string>{"x", "head.conv", "head.conv_2", "head.conv_3",
                                            "a.b_c__", "head.conv_4", "node",
                                            std::string(200, 'n')});
    CHECK(model.weights.count("head.conv_3.weight") == 1);
    CHECK(model.network.name == "main_graph");

    graph.proto().mutable_graph()->set_name("\x1b[31m/red");
    CHECK(import(graph).network.name == "_[31m.red");
    graph.output("\x1b]0;title\x07" + std::string(100'000, 'n'));
    CHECK_THAT(import_error(graph), Contains("'?]0;title?nnn"));
    CHECK(import_error(graph).size() < 1100);
}

TEST_CASE("layers that share their parameters become layers of their own") {
    OnnxGraph graph;
    const std::string first = graph.batch_norm("bn", "x", 3);
    graph.output(graph.add("BatchNormalization", {graph.add("Relu", {first}), "bn.weight",
                                                  "bn.bias", "bn.running_mean", "bn.running_var"}));
    const Weights weights = import(graph).weights;
    CHECK(weights.size() == 8);
    CHECK(weights.at("bn.running_var").values == weights.at("bn_2.running_var").values);
}

TEST_CASE("a layer keeps the name of its weight when exporters rearrange that") {
    OnnxGraph graph;
    const std::string pooled =
        graph.add("Flatten", {graph.add("GlobalAveragePool", {"x"})}, {{"axis", 1}});
    const std::string first = graph.random_weight("fc1.weight", {4, 3}, 0.5);
    const std::string turned = graph.add("Transpose", {first}, {{"perm", Integers{1, 0}}});
    const std::string hidden = graph.add("MatMul", {pooled, turned});
    // PyTorch stores equal tensors once, and names the others by Identity nodes.
    onnx::NodeProto& copy = *graph.proto().mutable_graph()->add_node();
    copy.set_op_type("Identity");
    copy.add_input("fc1.weight");
    copy.add_output("fc2.weight");
    graph.output(graph.add("Concat",
                           {hidden, graph.add("Gemm", {pooled, "fc2.weight"}, {{"transB", 1}})},
                           {{"axis", 1}}));
    const Network network = import(graph).network;
    CHECK_NOTHROW(node_named(network, "fc1"));
    CHECK_NOTHROW(node_named(network, "fc2"));
}

TEST_CASE("weights of any floating-point type become float") {
    const std::vector<double> values{1.0, -2.5, 65504.0, 6.103515625e-05, 5.9604644775390625e-08,
                                     0.0};
    const std::vector<std::uint16_t> halves{0x3c00, 0xc100, 0x7bff, 0x0400, 0x0001, 0x8000};
    const std::vector<std::uint16_t> brains{0x3f80, 0xc020, 0x477f, 0x3880, 0x3380, 0x0000};
    const auto imported = [&](onnx::TensorProto::DataType type, const void* data, std::size_t bytes,
                              bool raw) {
        OnnxGraph graph(13, {1, 6, 1, 1});
        onnx::TensorProto& tensor = graph.initializer("c.weight", {1, 6, 1, 1}, type);
        if (raw)
            tensor.set_raw_data(data, bytes);
        else if (type == onnx::TensorProto::DOUBLE)
            for (const double value : values)
                tensor.add_double_data(value);
        else if (type == onnx::TensorProto::FLOAT)
            for (const double value : values)
                tensor.add_float_data(static_cast<float>(value));
        else
            for (std::size_t i = 0; i < 6; ++i)
                tensor.add_int32_data(static_cast<const std::uint16_t*>(data)[i]);
        graph.output(graph.add("Conv", {"x", "c.weight"}));
        return import(graph).weights.at("c.weight").values;
    };
    const std::vector<float> expected(values.begin(), values.end());
    for (const bool raw : {true, false}) {
        CAPTURE(raw);
        CHECK(imported(onnx::TensorProto::DOUBLE, values.data(), 48, raw) == expected);
        CHECK(imported(onnx::TensorProto::FLOAT, expected.data(), 24, raw) == expected);
        CHECK(imported(onnx::TensorProto::FLOAT16, halves.data(), 12, raw) == expected);
        const std::vector<float> rounded =
            imported(onnx::TensorProto::BFLOAT16, brains.data(), 12, raw);
        for (std::size_t i = 0; i < values.size(); ++i)
            CHECK(rounded[i] == Approx(values[i]).epsilon(0.01));
    }
}

TEST_CASE("an import may stop before a detector's decoding") {
    OnnxSample sample = detector();
    CHECK_THAT(import_error(sample.graph),
               Contains("(Concat)") && Contains("[9, 256]") && Contains("(--stop-at)"));
    const Network network =
        import(sample.graph, {.input_extent = {}, .outputs = sample.outputs}).network;
    REQUIRE(network.outputs.size() == 2);
    const auto shapes = infer_shapes(network);
    CHECK(shapes[network.outputs[0]] == TensorShape{9, {16, 16}});
    CHECK(shapes[network.outputs[1]] == TensorShape{9, {8, 8}});
    CHECK_THAT(import_error(sample.graph,
                            {.input_extent = {}, .outputs = {"/model.22.cv2.0/Conv_output_1"}}),
               Contains("did you mean '/model.22.cv2.0/Conv_output_0'?"));
}

TEST_CASE("an open image size must be given, and a given one must fit") {
    OnnxGraph open(13, {0, 3, 0, 0});
    open.output(open.conv("c", "x", 3, 4, {}));
    CHECK_THAT(import_error(open), Contains("input 'x': does not fix the height and width"));
    const OnnxImportParameters wanted{.input_extent = Extent{20, 30}, .outputs = {}};
    CHECK(import(open, wanted).network.input_extent == Extent{20, 30});
    OnnxGraph fixed;
    fixed.output(fixed.conv("c", "x", 3, 4, {}));
    CHECK_THAT(import_error(fixed, wanted),
               Contains("is 16 x 12, 20 x 30 was asked for") && Contains("pack images of 16 x 12"));
}

TEST_CASE("what the outputs do not need is left out, whatever it is") {
    OnnxGraph graph;
    const std::string kept = graph.conv("c", "x", 3, 4, {});
    (void)graph.add("NonMaxSuppression", {kept});
    (void)graph.conv("unused", kept, 4, 4, {});
    graph.output(kept);
    const PrunedNetwork model = import(graph);
    CHECK(operators_of(model.network) == "input conv2d");
    CHECK(model.weights.size() == 1);
}

TEST_CASE("nodes may come in any order") {
    OnnxGraph graph;
    const std::string conv = graph.conv("c", "x", 3, 4, {});
    graph.output(graph.add("Relu", {graph.batch_norm("bn", conv, 4)}));
    onnx::GraphProto& proto = *graph.proto().mutable_graph();
    std::reverse(proto.mutable_node()->begin(), proto.mutable_node()->end());
    CHECK(operators_of(import(graph).network) == "input conv2d batch_norm relu");
}

TEST_CASE("an operator that is not known is named, with its node and a way out") {
    const auto message = operator_error(13, "ConvTranspose", {});
    CHECK_THAT(
        message,
        Contains("test.onnx: node 'here' (ConvTranspose), which reads 'x': the operator is not "
                 "supported; replace it by Resize and Conv"));
    CHECK_THAT(operator_error(13, "PRelu", {}), Contains("train with ReLU, LeakyReLU or SiLU"));
    CHECK_THAT(operator_error(13, "QuantizeLinear", {}), Contains("before it is quantised"));
    CHECK_THAT(operator_error(13, "Loop", {}), Contains("onnxsim"));
    CHECK_THAT(operator_error(13, "LogSoftmax", {}), Contains("stop before it"));
    CHECK_THAT(operator_error(13, "MyOwn", {}), Contains("(--stop-at)"));
    OnnxGraph branch;
    branch.output(branch.add("If", {branch.integers({1}, true)}));
    CHECK_THAT(import_error(branch), Contains("(If)") && Contains("export it for inference"));
    OnnxGraph constants;
    const std::string weight = constants.random_weight("w", {1, 1, 1, 1}, 1.0);
    constants.output(constants.add("Conv", {weight, weight}));
    CHECK_THAT(import_error(constants), Contains("works on constants only"));
}

TEST_CASE("a product of tensors that are transposed or reshaped against each other is refused") {
    OnnxGraph transposed(13, {0, 3, 8, 8});
    const std::string c = transposed.conv("c", "x", 3, 4, {});
    transposed.output(transposed.add(
        "Mul", {c, transposed.add("Transpose", {c}, {{"perm", Integers{0, 1, 3, 2}}})}));
    CHECK_THAT(import_error(transposed), Contains("(Mul)") && Contains("transposed"));
    OnnxGraph gate(13, {0, 3, 8, 8});
    const std::string x = gate.conv("c", "x", 3, 4, {});
    gate.output(gate.add("Mul", {x, gate.add("Transpose", {gate.add("Sigmoid", {x})},
                                             {{"perm", Integers{0, 1, 3, 2}}})}));
    CHECK_THAT(import_error(gate), Contains("(Mul)") && Contains("transposed"));
    // [1, 8, 1] is repeated over the channels and the width, not over height and width.
    OnnxGraph reshaped(13, {0, 3, 8, 8});
    const std::string y = reshaped.conv("c", "x", 3, 8, {});
    const std::string mean = reshaped.add("GlobalAveragePool", {y});
    reshaped.output(
        reshaped.add("Mul", {y, reshaped.add("Reshape", {mean, reshaped.integers({0, 1, 8, 1})})}));
    CHECK_THAT(import_error(reshaped), Contains("(Mul)") && Contains("arranged in another way"));
}

TEST_CASE("a constant behind a slice, split or gather of all channels stays out of other readers") {
    for (const char* op : {"Slice", "Split", "Gather"}) {
        CAPTURE(op);
        OnnxGraph graph;
        const std::string c = graph.conv("c", "x", 3, 4, {});
        const std::string all =
            std::string(op) == "Slice"
                ? graph.add("Slice",
                            {c, graph.integers({0}), graph.integers({4}), graph.integers({1})})
            : std::string(op) == "Split"
                ? graph.add("Split", {c, graph.integers({4})}, {{"axis", 1}})
                : graph.add("Gather", {c, graph.integers({0, 1, 2, 3})}, {{"axis", 1}});
        const std::string shifted =
            graph.add("Add", {all, graph.weight("b", {4, 1, 1}, {1.0F, 2.0F, 3.0F, 4.0F})});
        graph.output(graph.add("Add", {shifted, graph.add("Relu", {c})}));
        const PrunedNetwork model = import(graph);
        CHECK(operators_of(model.network) == "input conv2d relu conv2d add");
        CHECK_FALSE(model.network.nodes[1].bias);
    }
}

TEST_CASE("operators of other domains are refused by their domain") {
    OnnxGraph graph;
    const std::string c = graph.conv("c", "x", 3, 4, {});
    graph.output(graph.add("Relu", {c}));
    onnx::GraphProto& proto = *graph.proto().mutable_graph();
    proto.mutable_node(proto.node_size() - 1)->set_domain("com.ms.internal.nhwc");
    CHECK_THAT(import_error(graph), Contains("(Relu)") && Contains("'com.ms.internal.nhwc'"));
    proto.mutable_node(proto.node_size() - 1)->set_domain("ai.onnx");
    CHECK(operators_of(import(graph).network) == "input conv2d relu");
}

TEST_CASE("nearest pixels that ONNX counts otherwise than PyTorch are refused on both ways") {
    // 41 · (2 / 82) is just below 1 in single precision.
    CHECK(nearest_pixel(41, 2, 82) == 0);
    CHECK(nearest_pixel(42, 2, 82) == 1);
    OnnxGraph graph(13, {0, 3, 2, 2});
    graph.output(graph.add("Resize",
                           {graph.conv("c", "x", 3, 4, {}), "", "", graph.integers({1, 4, 82, 82})},
                           {{"mode", "nearest"},
                            {"nearest_mode", "floor"},
                            {"coordinate_transformation_mode", "asymmetric"}}));
    CHECK_THAT(import_error(graph), Contains("(Resize)"));
    Network network{"resize", {2, 2}, {}, {}};
    network.nodes.resize(2);
    network.nodes[0].name = "input";
    network.nodes[0].output_channels = 1;
    network.nodes[1].name = "resize";
    network.nodes[1].op = Operator::resize_nearest;
    network.nodes[1].inputs = {0};
    network.nodes[1].size = {82, 4};
    CHECK_THROWS_WITH(encode_onnx(network, {}), Contains("'resize' resizes 2 to 82 pixels"));
}

TEST_CASE("forms of operators that are not supported are refused, with a way out") {
    CHECK_THAT(operator_error(13, "Clip", {}, {{-1.0F}, {1.0F}}),
               Contains("clips to [-1, 1], only [0, 6] (ReLU6) and [0, inf] (ReLU)"));
    CHECK_THAT(operator_error(10, "Clip", {{"max", 20.0F}}), Contains("clips to [-inf, 20]"));
    CHECK_THAT(operator_error(13, "Softmax", {{"axis", 2}}), Contains("other axes"));
    CHECK_THAT(operator_error(11, "Softmax", {{"axis", 1}}), Contains("other axes"));
    CHECK_THAT(operator_error(13, "ReduceMean", {{"axes", Integers{2}}}), Contains("other axes"));
    CHECK_THAT(operator_error(13, "ReduceMean", {}), Contains("other axes"));
    CHECK_THAT(operator_error(13, "Flatten", {{"axis", 2}}),
               Contains("flattens from another axis"));
    CHECK_THAT(operator_error(13, "Concat", {{"axis", 2}}), Contains("joins along another axis"));
    CHECK_THAT(operator_error(11, "Split", {{"axis", 3}}), Contains("splits another axis"));
    CHECK_THAT(
        operator_error(9, "Slice",
                       {{"axes", Integers{2}}, {"starts", Integers{1}}, {"ends", Integers{9}}}),
        Contains("cuts an image"));
    CHECK_THAT(
        operator_error(9, "Slice",
                       {{"axes", Integers{0}}, {"starts", Integers{0}}, {"ends", Integers{1}}}),
        Contains("cuts the batch"));
    CHECK_THAT(
        operator_error(9, "Pad", {{"pads", Integers{0, 0, 1, 1, 0, 0, 1, 1}}, {"mode", "reflect"}}),
        Contains("mode 'reflect'"));
    CHECK_THAT(
        operator_error(9, "Pad", {{"pads", Integers{0, 0, 1, 1, 0, 0, 1, 1}}, {"value", 1.0F}}),
        Contains("other numbers than zero"));
    CHECK_THAT(operator_error(9, "Pad", {{"pads", Integers{0, 0, -1, 0, 0, 0, 0, 0}}}),
               Contains("cuts -1 off an axis"));
    CHECK_THAT(operator_error(9, "Pad", {{"pads", Integers{1, 0, 0, 0, 0, 0, 0, 0}}}),
               Contains("pads the batch"));
    CHECK_THAT(operator_error(13, "Transpose", {{"perm", Integers{1, 0, 2, 3}}}),
               Contains("moves the axis of the batch"));
    CHECK_THAT(operator_error(13, "Transpose", {{"perm", Integers{0, 2, 3, 1}}}),
               Contains("only channel shuffles"));
    CHECK_THAT(operator_error(9, "Upsample", {{"mode", "linear"}}, {{1, 1, 2, 2}}),
               Contains("mode 'linear' with coordinates 'asymmetric' is not supported"));
    CHECK_THAT(operator_error(9, "Upsample", {}, {{1, 2, 2, 2}}), Contains("resizes other axes"));
    CHECK_THAT(operator_error(13, "MaxPool",
                              {{"kernel_shape", Integers{2, 2}}, {"dilations", Integers{2, 2}}}),
               Contains("a pool with dilations"));
    CHECK_THAT(operator_error(13, "MaxPool", {{"kernel_shape", Integers{3}}}),
               Contains("has 1 sizes; only operators on images"));
    CHECK_THAT(operator_error(13, "MaxPool",
                              {{"kernel_shape", Integers{3, 3}}, {"pads", Integers{0, 2, 2, 0}}}),
               Contains("pads the sides of the image differently"));
    CHECK_THAT(operator_error(13, "Relu", {{"alpha", 1.0F}}),
               Contains("attribute 'alpha' is not supported"));
    CHECK_THAT(operator_error(13, "Relu", {}, {{1.0F}}), Contains("has an input 1 ('c0')"));
    CHECK_THAT(operator_error(13, "Conv", {}, {{1.0F}}),
               Contains("has shape [1]; only convolutions of images"));
    CHECK_THAT(operator_error(13, "MatMul", {}, {{1.0F}}),
               Contains("a linear layer needs [batch, channels]"));
    CHECK_THAT(operator_error(13, "Add", {}, {std::vector<float>(12, 1.0F)}),
               Contains("'c0' of shape [12] with a tensor of shape [3, 16, 12] without the batch"));
    CHECK_THAT(operator_error(13, "Div", {}, {{0.0F}}), Contains("divides by zero"));
    CHECK_THAT(operator_error(13, "Cast", {{"to", 7}}), Contains("makes integers"));
}

TEST_CASE("graphs that mix images, or have no single image, are refused") {
    OnnxGraph two;
    onnx::ValueInfoProto second = two.proto().graph().input(0);
    second.set_name("y");
    *two.proto().mutable_graph()->add_input() = second;
    two.output(two.add("Add", {"x", "y"}));
    CHECK_THAT(import_error(two), Contains("several inputs, as 'x' and 'y'"));

    OnnxGraph last(13, {1, 224, 224, 3});
    last.output(last.add("Transpose", {"x"}, {{"perm", Integers{0, 3, 1, 2}}}));
    CHECK_THAT(import_error(last), Contains("the input has its channels last"));
    OnnxGraph scaled(13, {1, 224, 224, 3});
    const std::string tenth = scaled.add("Mul", {"x", scaled.scalar(0.1F)});
    scaled.output(scaled.add("Transpose", {tenth}, {{"perm", Integers{0, 3, 1, 2}}}));
    CHECK_THAT(import_error(scaled), Contains("the input has its channels last"));
    OnnxGraph mean(13, {1, 224, 224, 3});
    mean.output(mean.add("Sub", {"x", mean.random_weight("mean", {1, 1, 1, 3}, 1.0)}));
    CHECK_THAT(import_error(mean), Contains("(tf2onnx: --inputs-as-nchw)"));

    OnnxGraph vectors(13, {1, 10});
    vectors.output(vectors.add("Relu", {"x"}));
    CHECK_THAT(import_error(vectors), Contains("has 2 dimensions, must have 4"));

    OnnxGraph folded;
    folded.output(folded.add("Reshape", {"x", folded.integers({6, -1})}));
    CHECK_THAT(import_error(folded), Contains("moves values between images of a batch (to 6"));

    OnnxGraph mixed;
    mixed.output(mixed.add("Reshape", {"x", mixed.integers({-1, 64})}));
    CHECK_THAT(import_error(mixed), Contains("cannot reshape [3, 16, 12] to [64]"));

    OnnxGraph ranks;
    const std::string flat = ranks.add("Flatten", {ranks.add("GlobalAveragePool", {"x"})});
    ranks.output(ranks.add("Mul", {"x", flat}));
    CHECK_THAT(import_error(ranks), Contains("have different ranks"));

    OnnxGraph attention;
    std::string tokens = attention.add("Reshape", {"x", attention.integers({0, 3, 192})});
    tokens = attention.add("Transpose", {tokens}, {{"perm", Integers{0, 2, 1}}});
    attention.output(attention.add("MatMul", {tokens, attention.random_weight("w", {3, 8}, 1.0)}));
    CHECK_THAT(import_error(attention), Contains("channels and positions are transposed"));
}

TEST_CASE("weights that are not what the layer needs are refused by name") {
    OnnxGraph fewer;
    fewer.random_weight("c.weight", {4, 5, 3, 3}, 1.0);
    fewer.output(fewer.add("Conv", {"x", "c.weight"}));
    CHECK_THAT(import_error(fewer), Contains("'c.weight' has shape [4, 5, 3, 3], its filters "
                                             "should read 3 channels"));
    OnnxGraph quantised;
    quantised.initializer("c.weight", {4, 3, 1, 1}, onnx::TensorProto::INT8)
        .set_raw_data(std::string(12, '\1'));
    quantised.output(quantised.add("Conv", {"x", "c.weight"}));
    CHECK_THAT(import_error(quantised), Contains("'c.weight' holds integers where weights are "
                                                 "needed; import the network before"));
    OnnxGraph computed;
    computed.output(computed.add("Conv", {"x", computed.add("Relu", {"x"})}));
    CHECK_THAT(import_error(computed), Contains("is computed from the image, must be constant"));

    OnnxGraph text;
    text.initializer("c", {1}, onnx::TensorProto::STRING).add_string_data("a");
    text.output(text.add("Add", {"x", "c"}));
    CHECK_THAT(import_error(text), Contains("'c' is of type STRING"));

    OnnxGraph bias;
    bias.random_weight("c.weight", {4, 3, 1, 1}, 1.0);
    bias.random_weight("c.bias", {2, 2}, 1.0);
    bias.output(bias.add("Conv", {"x", "c.weight", "c.bias"}));
    CHECK_THAT(import_error(bias), Contains("'c.bias' of shape [2, 2] does not fit 4 channels"));
}

TEST_CASE("external data are read from the model's folder, and from nowhere else") {
    const test::TemporaryFolder folder;
    std::filesystem::create_directory(folder / "models");
    const std::vector<float> values{1, 2, 3, 4, 5, 6};
    for (const char* file : {"models/weights.bin", "secret.bin"})
        std::ofstream(folder / file, std::ios::binary)
            .write("....", 4)
            .write(reinterpret_cast<const char*>(values.data()), 24);
    std::filesystem::create_symlink(folder / "secret.bin", folder / "models/link.bin");
    const auto import_from = [&](const std::vector<std::pair<std::string, std::string>>& entries) {
        OnnxGraph graph(13, {1, 3, 4, 4});
        onnx::TensorProto& tensor =
            graph.initializer("c.weight", {2, 3, 1, 1}, onnx::TensorProto::FLOAT);
        tensor.set_data_location(onnx::TensorProto::EXTERNAL);
        for (const auto& [key, value] : entries) {
            onnx::StringStringEntryProto& entry = *tensor.add_external_data();
            entry.set_key(key);
            entry.set_value(value);
        }
        graph.output(graph.add("Conv", {"x", "c.weight"}));
        const std::vector<std::byte> bytes = graph.bytes();
        std::ofstream(folder / "models/m.onnx", std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes.data()),
                   static_cast<std::streamsize>(bytes.size()));
        CHECK_THROWS_AS(decode_onnx(bytes, "m"), core::DataError);
        return read_onnx(folder / "models/m.onnx").weights.at("c.weight").values;
    };
    CHECK(import_from({{"location", "weights.bin"}, {"offset", "4"}, {"length", "24"}}) == values);
    CHECK(import_from({{"location", "./weights.bin"}, {"offset", "4"}}) == values);
    CHECK_THROWS_WITH(import_from({{"location", "weights.bin"}, {"offset", "5"}}),
                      Contains("end at byte 5 + 24") && Contains("only 28"));
    CHECK_THROWS_WITH(
        import_from({{"location", "weights.bin"}, {"offset", "18446744073709551610"}}),
        Contains("which has only 28"));
    CHECK_THROWS_WITH(import_from({{"location", "weights.bin"}, {"length", "23"}}),
                      Contains("must hold 24 bytes, holds 23"));
    CHECK_THROWS_WITH(import_from({{"location", "weights.bin"}, {"offset", "-4"}}),
                      Contains("offset of its external data is '-4'"));
    CHECK_THROWS_WITH(import_from({{"location", "none.bin"}}), Contains("not a file beside"));
    CHECK_THROWS_WITH(import_from({{"location", ""}}), Contains("not a file beside"));
    CHECK_THROWS_WITH(import_from({}), Contains("not a file beside"));
    for (const std::string& outside :
         {std::string("../secret.bin"), std::string("link.bin"), (folder / "secret.bin").string(),
          (folder / "models/weights.bin").string()})
        CHECK_THROWS_WITH(import_from({{"location", outside}, {"offset", "4"}}),
                          Contains("outside the folder of the model"));
}

TEST_CASE("read_onnx says which file it cannot read") {
    const test::TemporaryFolder folder;
    CHECK_THROWS_AS(read_onnx(folder / "none.onnx"), core::DataError);
    CHECK_THROWS_WITH(read_onnx(folder / "none.onnx"), Contains("none.onnx"));
    CHECK_THROWS_WITH(read_onnx(folder.path()), Contains("is not a file"));
    std::ofstream(folder / "empty.onnx").flush();
    CHECK_THROWS_WITH(read_onnx(folder / "empty.onnx"),
                      Contains("empty.onnx: is not an ONNX model"));
    // A hole of 3 GB takes no disk.
    std::ofstream(folder / "huge.onnx").flush();
    std::filesystem::resize_file(folder / "huge.onnx", 3'000'000'000);
    CHECK_THROWS_WITH(read_onnx(folder / "huge.onnx"), Contains("larger than 2 GB"));
}

TEST_CASE("constants that are not finite are refused by their names in the file") {
    OnnxGraph graph;
    std::vector<float> filters(4 * 3 * 3 * 3, 0.5F);
    filters[2 * 27] = NAN;
    graph.output(graph.add_named("/conv/Conv", "Conv",
                                 {"x", graph.weight("onnx::Conv_7", {4, 3, 3, 3}, filters)})[0]);
    CHECK_THAT(import_error(graph), Contains("test.onnx: node '/conv/Conv' (Conv)") &&
                                        Contains("tensor 'onnx::Conv_7' holds nan in channel 2"));
    CHECK_THAT(operator_error(13, "Mul", {}, {{INFINITY}}),
               Contains("'here' (Mul)") && Contains("tensor 'c0' holds inf"));
    CHECK_THAT(operator_error(13, "Add", {}, {{NAN}}), Contains("tensor 'c0' holds nan"));
    CHECK_THAT(operator_error(13, "Clip", {}, {{0.0F}, {NAN}}),
               Contains("a bound is no number (NaN)"));
    CHECK_THAT(operator_error(13, "LeakyRelu", {{"alpha", NAN}}),
               Contains("negative_slope is nan"));
}
