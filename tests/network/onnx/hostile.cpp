#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "hdap/network/onnx.hpp"
#include "hdap/network/zoo.hpp"
#include "network/onnx/graph.hpp"
#include "network/onnx/mutation.hpp"
#include "network/onnx/networks.hpp"
#include "network/onnx/operators.hpp"
#include "network/onnxruntime.hpp"
#include "network/reference_forward.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>

using namespace hdap;
using namespace hdap::network;
using namespace hdap::network::testing;
using Catch::Matchers::Contains;

namespace {

/// What is thrown at these bytes, or "" when they are a sound network.
std::string import_error(std::span<const std::byte> bytes) {
    try {
        const PrunedNetwork model = decode_onnx(bytes, "test.onnx");
        check_weights(model.network, model.weights);
    } catch (const core::DataError& error) {
        return error.what();
    }
    return "";
}

std::string import_error(const OnnxGraph& graph) {
    return import_error(graph.bytes());
}

/// The largest difference of one image's output to the first of those of a batch of that image,
/// relative to the largest value.
double difference(const FeatureMap& image, const std::vector<float>& batch) {
    if (image.empty() || batch.empty() || batch.size() % image.size() != 0) return INFINITY;
    double largest = 1e-3;
    double worst = 0.0;
    for (std::size_t i = 0; i < image.size(); ++i) {
        const auto theirs = static_cast<double>(batch[i]);
        largest = std::max(largest, std::abs(image[i]));
        if (std::isfinite(theirs)) worst = std::max(worst, std::abs(image[i] - theirs));
    }
    return worst / largest;
}

std::vector<std::byte> small_model() {
    OnnxGraph graph(13, {0, 3, 8, 8});
    std::string x = graph.conv("conv", "x", 3, 4, {.bias = true});
    x = graph.add("Mul", {graph.add("Sigmoid", {x}), x});
    x = graph.add("Reshape", {graph.add("GlobalAveragePool", {x}), graph.integers({0, -1})});
    graph.output(graph.gemm("fc", x, 4, 2));
    return graph.bytes();
}

} // namespace

TEST_CASE("a truncated ONNX file is refused wherever it ends") {
    const std::vector<std::byte> bytes = small_model();
    REQUIRE(import_error(bytes).empty());
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        CAPTURE(size);
        // The opset is at the end, and is missed as soon as anything is.
        CHECK_FALSE(import_error(std::span(bytes).first(size)).empty());
    }
}

TEST_CASE("an ONNX file with flipped bits is refused, or still a sound network") {
    const std::vector<std::byte> bytes = small_model();
    int refused = 0;
    for (std::uint32_t i = 0; i < 4000; ++i) {
        core::RandomStream random(i, core::StreamId::testing);
        std::vector<std::byte> damaged = bytes;
        for (std::uint64_t flips = 1 + random.below(4); flips > 0; --flips)
            damaged[random.below(damaged.size())] ^= std::byte(1U << random.below(8));
        refused += !import_error(damaged).empty();
    }
    CHECK(refused > 1000);
    CHECK(refused < 4000); // flips in weights go unnoticed
}

TEST_CASE("a changed graph is refused, or computes what ONNX Runtime computes of it") {
    std::vector<onnx::ModelProto> models;
    for (OnnxSample& sample : onnx_samples())
        if (sample.outputs.empty()) models.push_back(sample.graph.proto());
    for (OperatorSample& sample : operator_samples())
        models.insert(models.end(), 3, sample.graph.proto()); // they have fewer nodes to hit
    OnnxRuntime runtime;
    std::vector<std::pair<std::uint32_t, FeatureMap>> expected; // by seed
    constexpr std::uint32_t changes = 5000;
    for (std::uint32_t seed = 0; seed < changes; ++seed) {
        CAPTURE(seed);
        core::RandomStream random(seed, core::StreamId::testing, 9);
        onnx::ModelProto model = models[random.below(models.size())];
        for (std::uint64_t count = 1 + random.below(2); count > 0; --count)
            OnnxMutation(model, random).apply();
        const std::string bytes = model.SerializeAsString();
        PrunedNetwork imported;
        try {
            imported = decode_onnx(std::as_bytes(std::span(bytes)), "changed");
        } catch (const core::DataError&) {
            continue;
        }
        CHECK_NOTHROW(encode_onnx(imported.network, imported.weights));
        const auto [channels, extent] = infer_shapes(imported.network)[0];
        const std::int64_t batch = std::max<std::int64_t>(
            1, model.graph().input(0).type().tensor_type().shape().dim(0).dim_value());
        std::vector<float> image;
        for (std::int64_t i = 0; i < channels * extent.height * extent.width; ++i)
            image.push_back(static_cast<float>(random.normal()));
        std::vector<float> images;
        for (std::int64_t i = 0; i < batch; ++i)
            images.insert(images.end(), image.begin(), image.end());
        runtime.add(std::as_bytes(std::span(bytes)), {batch, channels, extent.height, extent.width},
                    images);
        expected.emplace_back(seed, reference_forward(imported.network, imported.weights,
                                                      {image.begin(), image.end()}));
    }
    const auto results = runtime.run();
    if (!results) {
        WARN("skipped: node or onnxruntime-node is not installed");
        return;
    }
    std::size_t compared = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const auto& [seed, ours] = expected[i];
        const auto& [theirs, error] = (*results)[i];
        CAPTURE(seed, error);
        // ONNX Runtime is stricter about some forms that mean the same.
        if (!error.empty()) continue;
        ++compared;
        CHECK(difference(ours, theirs) < 2e-3);
    }
    CHECK(compared > 500);
    CHECK(compared < changes / 2);
}

TEST_CASE("nodes that read each other in a circle are refused") {
    OnnxGraph graph;
    graph.add_named("a", "Add", {"x", "b_output_0"});
    graph.add_named("b", "Relu", {"a_output_0"});
    graph.output("b_output_0");
    CHECK_THAT(import_error(graph),
               Contains("node 'a' (Add): reads, through others, what it makes itself"));
    OnnxGraph self;
    self.output(self.add_named("a", "Relu", {"a_output_0"})[0]);
    CHECK_THAT(import_error(self), Contains("what it makes itself"));
}

TEST_CASE("tensors that nobody makes, or two, are named") {
    OnnxGraph missing;
    missing.output(missing.add_named("a", "Relu", {"nothing"})[0]);
    CHECK_THAT(import_error(missing),
               Contains("node 'a' (Relu) needs tensor 'nothing', which nothing makes"));
    OnnxGraph no_output;
    (void)no_output.add("Relu", {"x"});
    CHECK_THAT(import_error(no_output), Contains("has no output"));
    no_output.output("nothing");
    CHECK_THAT(import_error(no_output), Contains("an output needs tensor 'nothing'"));
    OnnxGraph twice;
    twice.add_named("a", "Relu", {"x"});
    twice.output(twice.add_named("a", "Sigmoid", {"x"})[0]);
    CHECK_THAT(import_error(twice),
               Contains("node 'a' (Sigmoid): makes tensor 'a_output_0', which is there already"));
    OnnxGraph shadow;
    shadow.random_weight("a_output_0", {1}, 1.0);
    shadow.output(shadow.add_named("a", "Relu", {"x"})[0]);
    CHECK_THAT(import_error(shadow), Contains("which is there already"));
    OnnxGraph weights;
    weights.random_weight("w", {1}, 1.0);
    weights.random_weight("w", {1}, 1.0);
    weights.output(weights.add("Add", {"x", "w"}));
    CHECK_THAT(import_error(weights), Contains("two initializers named 'w'"));
    OnnxGraph inputs;
    inputs.output(inputs.add("Conv", {"x"}));
    CHECK_THAT(import_error(inputs), Contains("input 1 is missing"));
    OnnxGraph nothing;
    nothing.output(nothing.add("Relu", {}));
    CHECK_THAT(import_error(nothing), Contains("input 0 is missing"));
}

TEST_CASE("shapes of weights that no file could hold are refused before memory is taken") {
    const auto error_of = [](const Integers& shape, const std::string& data) {
        OnnxGraph graph;
        graph.initializer("w", shape, onnx::TensorProto::FLOAT).set_raw_data(data);
        graph.output(graph.add("Conv", {"x", "w"}));
        return import_error(graph);
    };
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
    CHECK_THAT(error_of({1 << 14, 1 << 13, 1, 1}, "abcd"),
               Contains("must hold 536870912 bytes, holds 4"));
    CHECK_THAT(error_of({most, most, 3, 3}, "abcd"), Contains("more elements than the 2^29"));
    CHECK_THAT(error_of({0, most, most, 3}, ""), Contains("more elements than the 2^29"));
    CHECK_THAT(error_of({4, -3, 3, 3}, "abcd"), Contains("has a negative size"));
    CHECK_THAT(error_of({4, std::numeric_limits<std::int64_t>::min(), 3, 3}, "abcd"),
               Contains("has a negative size"));
    CHECK_THAT(error_of(Integers(100, 1), "abcd"), Contains("100 dimensions, at most 16"));
    CHECK_FALSE(error_of({0, 3, 3, 3}, "").empty());
    CHECK_FALSE(error_of({4, 3, 0, 3}, "").empty());
    OnnxGraph typed;
    typed.initializer("w", {1 << 14, 1 << 13}, onnx::TensorProto::FLOAT).add_float_data(1.0F);
    typed.output(typed.add("Conv", {"x", "w"}));
    CHECK_THAT(import_error(typed), Contains("must hold 134217728 elements, holds 1"));
}

TEST_CASE("images and attributes that are absurd are refused") {
    for (const Integers& shape : {Integers{0, INT64_MAX, 4, 4}, Integers{0, 3, INT64_MAX, 4},
                                  Integers{INT64_MAX, 3, 1 << 15, 4}}) {
        OnnxGraph graph(13, shape);
        graph.output(graph.add("Relu", {"x"}));
        CHECK_THAT(import_error(graph), Contains("must be in"));
    }
    const auto error_of = [](const std::string& op, const std::vector<OnnxAttribute>& attributes) {
        OnnxGraph graph;
        std::vector<std::string> inputs{"x"};
        if (op == "Conv") inputs.push_back(graph.random_weight("w", {4, 3, 3, 3}, 1.0));
        graph.output(graph.add(op, inputs, attributes));
        return import_error(graph);
    };
    const Integers huge{INT64_MAX, INT64_MIN};
    for (const char* attribute : {"strides", "dilations", "kernel_shape"})
        CHECK_THAT(error_of("Conv", {{attribute, huge}}), Contains("must be in [1, 1024]"));
    CHECK_THAT(error_of("Conv", {{"pads", Integers{0, 0, INT64_MAX, 0}}}), Contains("[0, 1024]"));
    CHECK_THAT(error_of("Conv", {{"pads", Integers{}}}), Contains("has 0 sizes"));
    CHECK_THAT(error_of("Conv", {{"group", "three"}}), Contains("is of type STRING, expected INT"));
    CHECK_THAT(error_of("Conv", {{"auto_pad", "MAYBE"}}), Contains("'MAYBE'"));
    CHECK_THAT(error_of("Concat", {{"axis", Integers{1}}}), Contains("of type INTS"));
    CHECK_THAT(error_of("Flatten", {{"axis", INT32_MIN}}), Contains("another axis"));
    CHECK_THAT(error_of("Transpose", {{"perm", Integers{0, 1, 1, 1}}}), Contains("permutation"));
    CHECK_THAT(error_of("Transpose", {{"perm", Integers{}}}), Contains("the batch"));
    CHECK_THAT(error_of("LeakyRelu", {{"alpha", std::numeric_limits<float>::quiet_NaN()}}),
               Contains("negative_slope"));
    for (const int group : {0, -1, 2, INT32_MAX})
        CHECK_FALSE(error_of("Conv", {{"group", group}}).empty());
}

TEST_CASE("computations of shapes cannot overflow, leave a tensor, or run away") {
    const auto reshaped_to = [](auto&& make_target) {
        OnnxGraph graph;
        graph.output(graph.add("Reshape", {"x", make_target(graph)}));
        return import_error(graph);
    };
    CHECK_THAT(reshaped_to([](OnnxGraph& g) {
                   const std::string most = g.integers({INT64_MAX});
                   return g.add("Add", {most, most});
               }),
               Contains("overflows"));
    CHECK_THAT(reshaped_to([](OnnxGraph& g) {
                   return g.add("Div", {g.integers({INT64_MIN}), g.integers({-1})});
               }),
               Contains("overflows"));
    CHECK_THAT(reshaped_to([](OnnxGraph& g) {
                   return g.add("Div", {g.integers({1}), g.integers({0})});
               }),
               Contains("divides by zero"));
    CHECK_THAT(reshaped_to([](OnnxGraph& g) {
                   return g.add("Gather", {g.integers({1, 2}), g.integers({2})});
               }),
               Contains("2 is not in [-2, 2)"));
    CHECK_THAT(reshaped_to([](OnnxGraph& g) {
                   return g.add("ConstantOfShape", {g.integers({1 << 14, 1 << 14})});
               }),
               Contains("far more memory than its file"));
    CHECK_THAT(reshaped_to([](OnnxGraph& g) {
                   return g.add("Expand", {g.integers({1}), g.integers({1 << 28})});
               }),
               Contains("far more memory than its file"));
    CHECK_THAT(reshaped_to([](OnnxGraph& g) {
                   std::string twice = g.integers({1, 2, 3, 4});
                   for (int i = 0; i < 60; ++i)
                       twice = g.add("Concat", {twice, twice}, {{"axis", 0}});
                   return twice;
               }),
               Contains("far more memory than its file"));
    CHECK_THAT(
        reshaped_to([](OnnxGraph& g) {
            const std::string batch = g.add("Gather", {g.add("Shape", {"x"}), g.integers({0})});
            return g.add("Add", {batch, g.integers({1})});
        }),
        Contains("with the size of the batch that cannot be followed"));
    CHECK_FALSE(reshaped_to([](OnnxGraph& g) {
                    return g.add("Slice", {g.integers({1, 2, 3}), g.integers({INT64_MIN}),
                                           g.integers({INT64_MAX}), g.integers({0}),
                                           g.integers({INT64_MIN})});
                }).empty());
    CHECK_FALSE(reshaped_to([](OnnxGraph& g) {
                    return g.add("Squeeze", {g.integers({1}), g.integers({INT64_MIN})});
                }).empty());
    CHECK_FALSE(reshaped_to([](OnnxGraph& g) { return g.integers({}); }).empty());
    CHECK_FALSE(reshaped_to([](OnnxGraph& g) { return g.integers(Integers(1000, 1)); }).empty());
}

TEST_CASE("a small file cannot ask for many copies of a tensor") {
    OnnxGraph graph(13, {0, 64, 1, 1});
    const std::string weight = graph.random_weight("w", {64, 64, 1, 1}, 1.0);
    std::string x = "x";
    for (int i = 0; i < 1000; ++i)
        x = graph.add("Conv", {x, weight});
    graph.output(x);
    CHECK_THAT(import_error(graph), Contains("shared or expanded too often"));
    // Channels cost a file nothing, but a batch norm has four numbers for each.
    OnnxGraph wide(13, {0, 1 << 20, 1, 1});
    x = "x";
    for (int i = 0; i < 1000; ++i)
        x = wide.add("Relu", {wide.add("Add", {x, wide.scalar(1.0F)})});
    wide.output(x);
    CHECK_THAT(import_error(wide), Contains("shared or expanded too often"));
}

TEST_CASE("a file of nothing but empty nodes is refused before they take all memory") {
    // A graph (field 7) of nodes (field 1) of no bytes: 2 bytes each, and some 200 in memory.
    std::string nodes;
    for (int i = 0; i < 4'000'000; ++i)
        nodes += std::string("\x0a\0", 2);
    onnx::ModelProto model;
    model.mutable_graph();
    model.add_opset_import()->set_version(13);
    std::string bytes = model.SerializeAsString();
    bytes += '\x3a';
    for (std::size_t size = nodes.size(); size > 0; size >>= 7)
        bytes += static_cast<char>((size & 0x7f) | (size > 0x7f ? 0x80 : 0));
    bytes += nodes;
    CHECK_THAT(import_error(std::as_bytes(std::span(bytes))),
               Contains("take far more memory than its bytes"));
}

TEST_CASE("messages within messages are followed to a bound only") {
    // Attributes (5) of graphs (6) of nodes (1) without end.
    std::string bytes;
    for (int i = 0; i < 5000; ++i) {
        std::string around(1, "\x0a\x2a\x32"[i % 3]);
        for (std::size_t size = bytes.size();; size >>= 7) {
            around += static_cast<char>((size & 0x7f) | (size > 0x7f ? 0x80 : 0));
            if (size <= 0x7f) break;
        }
        bytes = around + bytes;
    }
    CHECK_THAT(import_error(std::as_bytes(std::span(bytes))), Contains("is not an ONNX model"));
}

TEST_CASE("100,000 nodes are refused within seconds") {
    const auto start = std::chrono::steady_clock::now();
    OnnxGraph chain;
    std::string x = "x";
    for (int i = 0; i < 100'000; ++i)
        x = chain.add("Relu", {x});
    chain.output(x);
    CHECK_THAT(import_error(chain), Contains("nodes, must be in [1, 8192]"));
    OnnxGraph same_names;
    x = "x";
    for (int i = 0; i < 100'000; ++i) {
        onnx::NodeProto& node = *same_names.proto().mutable_graph()->add_node();
        node.set_name("same");
        node.set_op_type("Relu");
        node.add_input(x);
        node.add_output(x = "tensor" + std::to_string(i));
    }
    same_names.output(x);
    CHECK_THAT(import_error(same_names), Contains("nodes, must be in [1, 8192]"));
    OnnxGraph constants;
    std::string number = constants.integers({1});
    for (int i = 0; i < 100'000; ++i)
        number = constants.add("Identity", {number});
    constants.output(constants.add("Reshape", {"x", number}));
    CHECK_FALSE(import_error(constants).empty());
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    CHECK(taken.count() < 20.0);
}

TEST_CASE("models that are of no use to us say so") {
    CHECK_THAT(import_error(std::vector<std::byte>{}), Contains("is not an ONNX model"));
    const std::string text = "not a model at all";
    CHECK_THAT(import_error(std::as_bytes(std::span(text))), Contains("is not an ONNX model"));
    OnnxGraph old(6);
    old.output(old.add("Relu", {"x"}));
    CHECK_THAT(import_error(old), Contains("has opset 6, 7 and newer are supported"));
    OnnxGraph none;
    none.output(none.add("Relu", {"x"}));
    none.proto().clear_opset_import();
    CHECK_THAT(import_error(none), Contains("does not say which opset"));
    none.proto().add_opset_import()->set_domain("com.example");
    CHECK_THAT(import_error(none), Contains("does not say which opset"));
    OnnxGraph functions;
    functions.output(functions.add("Relu", {"x"}));
    functions.proto().add_functions()->set_name("block");
    CHECK_THAT(import_error(functions), Contains("functions of its own, as 'block'"));
}
