#pragma once

#include "network/onnx/graph.hpp"

#include <string>
#include <vector>

/// Networks as users' exporters write them: the operators, the names, and the detours.
namespace hdap::network::testing {

/// An ONNX model and what is known of it.
struct OnnxSample {
    std::string name;
    OnnxGraph graph;
    std::vector<std::string> layers;       ///< names that the import must give
    std::vector<std::string> outputs = {}; ///< where to stop; empty: at the model's outputs
};

/// Global pooling, flattening by the Flatten operator, and a linear layer.
inline void add_classifier(OnnxGraph& graph, const std::string& from, std::int64_t channels) {
    const std::string pooled = graph.add("GlobalAveragePool", {from});
    const std::string flat = graph.add("Flatten", {pooled}, {{"axis", 1}});
    graph.output(graph.gemm("fc", flat, channels, 5));
}

inline std::string add_silu(OnnxGraph& graph, const std::string& from) {
    return graph.add("Mul", {from, graph.add("Sigmoid", {from})});
}

/// EfficientNet's block: expansion, depthwise, squeeze-and-excitation by 1 × 1 convolutions,
/// projection, with SiLU as Sigmoid and Mul.
inline OnnxSample efficientnet(std::int64_t opset) {
    OnnxGraph graph(opset);
    std::string x = graph.conv("features.0.0", "x", 3, 8, {.stride = 2});
    x = add_silu(graph, graph.batch_norm("features.0.1", x, 8));
    const std::string shortcut = x;
    x = graph.conv("features.1.block.0.0", x, 8, 24, {.kernel = 1});
    x = add_silu(graph, graph.batch_norm("features.1.block.0.1", x, 24));
    x = graph.conv("features.1.block.1.0", x, 24, 24, {.kernel = 5, .groups = 24});
    x = add_silu(graph, graph.batch_norm("features.1.block.1.1", x, 24));
    std::string gate = graph.add("GlobalAveragePool", {x});
    gate = graph.conv("features.1.block.2.fc1", gate, 24, 4, {.kernel = 1, .bias = true});
    gate = add_silu(graph, gate);
    gate = graph.conv("features.1.block.2.fc2", gate, 4, 24, {.kernel = 1, .bias = true});
    x = graph.add("Mul", {graph.add("Sigmoid", {gate}), x});
    x = graph.conv("features.1.block.3.0", x, 24, 8, {.kernel = 1});
    x = graph.batch_norm("features.1.block.3.1", x, 8);
    x = graph.add("Add", {x, shortcut});
    add_classifier(graph, x, 8);
    return {"efficientnet",
            std::move(graph),
            {"features.0.0", "features.1.block.1.0", "features.1.block.2.fc2", "fc"}};
}

enum class HardSwish {
    one_operator,
    with_hard_sigmoid,
    clip_then_divide,
    divide_last,
    min_and_max ///< with numbers that CastLike makes, as PyTorch's newer exporter does
};

/// MobileNetV3: hard swish in the forms that exporters write, hard sigmoid, ReduceMean.
inline OnnxSample mobilenet_v3(std::int64_t opset, HardSwish form) {
    OnnxGraph graph(opset);
    const auto clipped = [&graph, form](const std::string& from) {
        const auto number = [&](int value, const std::string& like) {
            return graph.add("CastLike", {graph.add("Constant", {}, {{"value_int", value}}), like});
        };
        if (form == HardSwish::min_and_max) {
            const std::string x = graph.add("Add", {from, number(3, from)});
            return graph.add("Min", {graph.add("Max", {x, number(0, x)}), number(6, x)});
        }
        const std::string shifted = graph.add("Add", {from, graph.scalar(3.0F)});
        return graph.add("Clip", {shifted, graph.scalar(0.0F), graph.scalar(6.0F)});
    };
    const auto hard_sigmoid = [&](const std::string& from) {
        if (form != HardSwish::one_operator && form != HardSwish::with_hard_sigmoid)
            return graph.add("Div", {clipped(from), graph.scalar(6.0F)});
        return graph.add("HardSigmoid", {from}, {{"alpha", 1.0F / 6.0F}, {"beta", 0.5F}});
    };
    const auto hard_swish = [&](const std::string& from) {
        if (form == HardSwish::one_operator) return graph.add("HardSwish", {from});
        if (form != HardSwish::divide_last && form != HardSwish::min_and_max)
            return graph.add("Mul", {from, hard_sigmoid(from)});
        return graph.add("Div", {graph.add("Mul", {from, clipped(from)}), graph.scalar(6.0F)});
    };
    std::string x = graph.conv("features.0.0", "x", 3, 8, {.stride = 2});
    x = hard_swish(graph.batch_norm("features.0.1", x, 8));
    x = graph.conv("features.1.0", x, 8, 8, {.groups = 8});
    x = graph.add("Relu", {graph.batch_norm("features.1.1", x, 8)});
    std::string gate = graph.add("GlobalAveragePool", {x});
    gate = graph.add("Relu", {graph.conv("se.fc1", gate, 8, 8, {.kernel = 1, .bias = true})});
    gate = hard_sigmoid(graph.conv("se.fc2", gate, 8, 8, {.kernel = 1, .bias = true}));
    x = graph.add("Mul", {gate, x});
    x = graph.conv("features.2.0", x, 8, 16, {.kernel = 1});
    x = hard_swish(graph.batch_norm("features.2.1", x, 16));
    const std::string mean =
        graph.add("ReduceMean", {x}, {{"axes", Integers{-1, -2}}, {"keepdims", 0}});
    const std::string hidden = hard_swish(graph.gemm("classifier.0", mean, 16, 12));
    graph.output(graph.gemm("classifier.3", hidden, 12, 5));
    return {"mobilenet_v3, form " + std::to_string(static_cast<int>(form)),
            std::move(graph),
            {"features.0.0", "se.fc1", "classifier.0", "classifier.3"}};
}

/// ResNeXt and RegNet: grouped convolutions within residual blocks. Batch norms are folded, and
/// the folded weights have names without meaning, as PyTorch's exporter leaves them.
inline OnnxSample resnext(std::int64_t opset) {
    OnnxGraph graph(opset, {1, 3, 16, 12});
    std::string x = graph.conv("conv1", "x", 3, 16, {.kernel = 7, .stride = 2, .bias = true});
    x = graph.add("Relu", {x});
    x = graph.add("MaxPool", {x},
                  {{"kernel_shape", Integers{3, 3}},
                   {"pads", Integers{1, 1, 1, 1}},
                   {"strides", Integers{2, 2}},
                   {"ceil_mode", 0}});
    std::string y = x;
    const auto folded = [&graph](const std::string& name, const std::string& from, Integers shape,
                                 int groups) {
        const std::string weight = graph.random_weight("onnx::Conv_" + name, shape, 0.3);
        const std::string bias = graph.random_weight("onnx::Conv_" + name + "b", {shape[0]}, 0.3);
        const std::int64_t padding = shape[2] / 2;
        return graph.add_named("/layer1/" + name + "/Conv", "Conv", {from, weight, bias},
                               {{"group", groups},
                                {"kernel_shape", Integers{shape[2], shape[3]}},
                                {"pads", Integers{padding, padding, padding, padding}}})[0];
    };
    y = graph.add("Relu", {folded("conv1", y, {16, 16, 1, 1}, 1)});
    y = graph.add("Relu", {folded("conv2", y, {16, 4, 3, 3}, 4)});
    y = folded("conv3", y, {16, 16, 1, 1}, 1);
    x = graph.add("Relu", {graph.add("Add", {y, x})});
    add_classifier(graph, x, 16);
    return {"resnext", std::move(graph), {"conv1", "layer1.conv1.Conv", "layer1.conv2.Conv", "fc"}};
}

/// DenseNet: every layer reads all before it, batch norm comes first.
inline OnnxSample densenet(std::int64_t opset) {
    OnnxGraph graph(opset);
    std::string x = graph.conv("features.conv0", "x", 3, 8, {});
    std::vector<std::string> parts{x};
    std::int64_t channels = 8;
    for (int layer = 1; layer <= 3; ++layer) {
        const std::string name = "features.denseblock1.denselayer" + std::to_string(layer);
        x = graph.add("Concat", parts, {{"axis", 1}});
        x = graph.add("Relu", {graph.batch_norm(name + ".norm1", x, channels)});
        x = graph.conv(name + ".conv1", x, channels, 12, {.kernel = 1});
        x = graph.add("Relu", {graph.batch_norm(name + ".norm2", x, 12)});
        parts.push_back(graph.conv(name + ".conv2", x, 12, 4, {}));
        channels += 4;
    }
    x = graph.add("Concat", parts, {{"axis", -3}});
    x = graph.add("Relu", {graph.batch_norm("features.transition1.norm", x, channels)});
    x = graph.conv("features.transition1.conv", x, channels, 10, {.kernel = 1});
    x = graph.add("AveragePool", {x},
                  {{"kernel_shape", Integers{2, 2}}, {"strides", Integers{2, 2}}});
    x = graph.add("Relu", {graph.batch_norm("features.norm5", x, 10)});
    add_classifier(graph, x, 10);
    return {"densenet",
            std::move(graph),
            {"features.conv0", "features.denseblock1.denselayer2.norm1",
             "features.transition1.conv", "fc"}};
}

/// Inception v3: the image's channels are scaled one by one, and branches of all kinds are joined.
inline OnnxSample inception(std::int64_t opset) {
    OnnxGraph graph(opset);
    std::vector<std::string> planes;
    for (const std::int64_t channel : {0, 1, 2}) {
        std::string plane =
            graph.add("Gather", {"x", graph.integers({channel}, true)}, {{"axis", 1}});
        plane = graph.add("Unsqueeze", {plane, graph.integers({1})});
        plane = graph.add("Mul", {plane, graph.scalar(0.4F + 0.1F * static_cast<float>(channel))});
        planes.push_back(graph.add("Add", {plane, graph.scalar(-0.03F)}));
    }
    std::string x = graph.add("Concat", planes, {{"axis", 1}});
    x = graph.add("Relu", {graph.batch_norm("conv1.bn", graph.conv("conv1.conv", x, 3, 8, {}), 8)});
    const auto branch = [&](const std::string& name, const std::string& from, std::int64_t outputs,
                            std::int64_t kernel) {
        const std::string y = graph.conv(name + ".conv", from, 8, outputs, {.kernel = kernel});
        return graph.add("Relu", {graph.batch_norm(name + ".bn", y, outputs)});
    };
    const std::string direct = branch("mixed.branch1x1", x, 4, 1);
    const std::string deep =
        branch("mixed.branch5x5_2", branch("mixed.branch5x5_1", x, 8, 1), 6, 5);
    const std::string mean = graph.add("AveragePool", {x},
                                       {{"count_include_pad", 1},
                                        {"kernel_shape", Integers{3, 3}},
                                        {"pads", Integers{1, 1, 1, 1}},
                                        {"strides", Integers{1, 1}}});
    const std::string pooled = branch("mixed.branch_pool", mean, 4, 1);
    x = graph.add("Concat", {direct, deep, pooled}, {{"axis", 1}});
    x = graph.add("MaxPool", {x}, {{"kernel_shape", Integers{3, 3}}, {"strides", Integers{2, 2}}});
    x = graph.add("Dropout", {graph.add("GlobalAveragePool", {x})});
    graph.output(graph.gemm("fc", graph.add("Flatten", {x}), 14, 5));
    return {"inception", std::move(graph), {"conv1.conv", "mixed.branch5x5_2.conv", "fc"}};
}

/// ShuffleNetV2: halves by Split, and a channel shuffle whose sizes PyTorch computes from the
/// tensor's shape.
inline OnnxSample shufflenet(std::int64_t opset, bool computed_sizes) {
    OnnxGraph graph(opset);
    std::string x = graph.conv("conv1.0", "x", 3, 8, {.stride = 2});
    x = graph.add("Relu", {graph.batch_norm("conv1.1", x, 8)});
    for (int block = 0; block < 2; ++block) {
        const std::string name = "stage2." + std::to_string(block);
        std::vector<std::string> halves;
        if (opset < 13)
            halves = graph.add_many("Split", {x}, {{"axis", 1}, {"split", Integers{4, 4}}}, 2);
        else
            halves = graph.add_many("Split", {x, graph.integers({4, 4})}, {{"axis", 1}}, 2);
        std::string y = graph.conv(name + ".branch2.0", halves[1], 4, 4, {.kernel = 1});
        y = graph.add("Relu", {graph.batch_norm(name + ".branch2.1", y, 4)});
        y = graph.conv(name + ".branch2.3", y, 4, 4, {.groups = 4});
        y = graph.conv(name + ".branch2.5", graph.batch_norm(name + ".branch2.4", y, 4), 4, 4,
                       {.kernel = 1});
        y = graph.add("Relu", {graph.batch_norm(name + ".branch2.6", y, 4)});
        x = graph.add("Concat", {halves[0], y}, {{"axis", 1}});
        std::string split = graph.integers({-1, 2, 4, 8, 6});
        std::string joined = graph.integers({-1, 8, 8, 6});
        if (computed_sizes) {
            const std::string shape = graph.add("Shape", {x});
            const auto size = [&](std::int64_t axis) {
                return graph.add("Gather", {shape, graph.integers({axis}, true)}, {{"axis", 0}});
            };
            const auto unsqueezed = [&](const std::string& value) {
                return opset < 13 ? graph.add("Unsqueeze", {value}, {{"axes", Integers{0}}})
                                  : graph.add("Unsqueeze", {value, graph.integers({0})});
            };
            const std::string batch = unsqueezed(size(0));
            const std::string per_group =
                unsqueezed(graph.add("Div", {size(1), graph.integers({2}, true)}));
            const std::string height = unsqueezed(size(2));
            const std::string width = unsqueezed(size(3));
            split = graph.add("Concat", {batch, graph.integers({2}), per_group, height, width},
                              {{"axis", 0}});
            joined =
                graph.add("Concat", {batch, graph.integers({-1}), height, width}, {{"axis", 0}});
        }
        x = graph.add("Reshape", {x, split});
        x = graph.add("Transpose", {x}, {{"perm", Integers{0, 2, 1, 3, 4}}});
        x = graph.add("Reshape", {x, joined});
    }
    x = graph.add("Relu", {graph.conv("conv5.0", x, 8, 12, {.kernel = 1, .bias = true})});
    x = graph.add("ReduceMean", {x}, {{"axes", Integers{2, 3}}, {"keepdims", 0}});
    graph.output(graph.gemm("fc", x, 12, 5));
    return {computed_sizes ? "shufflenet, computed sizes" : "shufflenet",
            std::move(graph),
            {"stage2.1.branch2.3", "conv5.0", "fc"}};
}

/// SqueezeNet: pooling with ceil_mode, joined branches, a convolution as the classifier.
inline OnnxSample squeezenet(std::int64_t opset) {
    OnnxGraph graph(opset, {0, 3, 17, 14});
    std::string x =
        graph.add("Relu", {graph.conv("features.0", "x", 3, 8, {.stride = 2, .bias = true})});
    x = graph.add(
        "MaxPool", {x},
        {{"ceil_mode", 1}, {"kernel_shape", Integers{3, 3}}, {"strides", Integers{2, 2}}});
    x = graph.add("Relu", {graph.conv("features.3.squeeze", x, 8, 4, {.kernel = 1, .bias = true})});
    const std::string small = graph.add(
        "Relu", {graph.conv("features.3.expand1x1", x, 4, 6, {.kernel = 1, .bias = true})});
    const std::string large =
        graph.add("Relu", {graph.conv("features.3.expand3x3", x, 4, 6, {.bias = true})});
    x = graph.add("Concat", {small, large}, {{"axis", 1}});
    x = graph.add("Relu", {graph.conv("classifier.1", graph.add("Identity", {x}), 12, 5,
                                      {.kernel = 1, .bias = true})});
    x = graph.add("GlobalAveragePool", {x});
    graph.output(graph.add("Softmax", {graph.add("Flatten", {x})}, {{"axis", 1}}));
    return {"squeezenet", std::move(graph), {"features.3.expand3x3", "classifier.1"}};
}

enum class Upsampling { nearest_scales, bilinear_computed_sizes, align_corners };

/// U-Net: resized and joined with what was there before, in the forms of PyTorch's exporter.
inline OnnxSample unet(Upsampling form) {
    OnnxGraph graph(13, {0, 3, 16, 12});
    const std::string high = graph.add("Relu", {graph.conv("inc", "x", 3, 6, {.bias = true})});
    std::string low = graph.add("MaxPool", {high},
                                {{"kernel_shape", Integers{2, 2}}, {"strides", Integers{2, 2}}});
    low = graph.add("Relu", {graph.conv("down", low, 6, 10, {.bias = true})});
    if (form == Upsampling::nearest_scales) {
        low = graph.add("Resize", {low, "", graph.weight("scales", {4}, {1, 1, 2, 2})},
                        {{"mode", "nearest"},
                         {"nearest_mode", "floor"},
                         {"coordinate_transformation_mode", "asymmetric"},
                         {"cubic_coeff_a", -0.75F}});
    } else {
        const std::string shape = graph.add("Shape", {low});
        const std::string first = graph.add(
            "Slice", {shape, graph.integers({0}), graph.integers({2}), graph.integers({0})});
        const std::string of_high = graph.add("Shape", {high});
        const std::string last = graph.add(
            "Slice", {of_high, graph.integers({2}), graph.integers({4}), graph.integers({0})});
        const std::string sizes = graph.add("Concat", {first, last}, {{"axis", 0}});
        low = graph.add(
            "Resize", {low, "", "", sizes},
            {{"mode", "linear"},
             {"coordinate_transformation_mode",
              form == Upsampling::align_corners ? "align_corners" : "pytorch_half_pixel"}});
    }
    const std::string both = graph.add("Concat", {high, low}, {{"axis", 1}});
    graph.output(graph.conv(
        "outc", graph.add("LeakyRelu", {graph.conv("up", both, 16, 8, {})}, {{"alpha", 0.1F}}), 8,
        2, {.kernel = 1, .bias = true}));
    return {"unet, form " + std::to_string(static_cast<int>(form)),
            std::move(graph),
            {"inc", "down", "outc"}};
}

/// A ResNet for CIFAR with shortcuts of option A, and the flattening of PyTorch's older exporter.
inline OnnxSample resnet_option_a(std::int64_t opset) {
    OnnxGraph graph(opset, {0, 3, 16, 16});
    std::string x = graph.conv("conv1", "x", 3, 8, {});
    x = graph.add("Relu", {graph.batch_norm("bn1", x, 8)});
    std::string y = graph.conv("layer2.0.conv1", x, 8, 16, {.stride = 2});
    y = graph.add("Relu", {graph.batch_norm("layer2.0.bn1", y, 16)});
    y = graph.batch_norm("layer2.0.bn2", graph.conv("layer2.0.conv2", y, 16, 16, {}), 16);
    std::string shortcut = x;
    for (const std::int64_t axis : {2, 3})
        shortcut = graph.add("Slice", {shortcut, graph.integers({0}), graph.integers({INT64_MAX}),
                                       graph.integers({axis}), graph.integers({2})});
    // The pads are computed: [0, 0, 0, 0, 4, 4, 0, 0], from the last axis to the first, are turned.
    const std::string padding = graph.integers({0, 0, 0, 0, 4, 4});
    std::string zeros = graph.add("ConstantOfShape", {graph.integers({2})});
    zeros = graph.add("Cast", {zeros}, {{"to", 7}});
    std::string pads = graph.add("Concat", {padding, zeros}, {{"axis", 0}});
    pads = graph.add("Reshape", {pads, graph.integers({-1, 2})});
    pads = graph.add("Slice", {pads, graph.integers({-1}), graph.integers({INT64_MIN + 1}),
                               graph.integers({0}), graph.integers({-1})});
    pads = graph.add("Transpose", {pads}, {{"perm", Integers{1, 0}}});
    pads = graph.add("Cast", {graph.add("Reshape", {pads, graph.integers({-1})})}, {{"to", 7}});
    shortcut = graph.add("Pad", {shortcut, pads, graph.scalar(0.0F)}, {{"mode", "constant"}});
    x = graph.add("Relu", {graph.add("Add", {y, shortcut})});
    x = graph.add("AveragePool", {x},
                  {{"kernel_shape", Integers{8, 8}}, {"strides", Integers{8, 8}}});
    const std::string size =
        graph.add("Gather", {graph.add("Shape", {x}), graph.integers({0}, true)}, {{"axis", 0}});
    const std::string batch = opset < 13 ? graph.add("Unsqueeze", {size}, {{"axes", Integers{0}}})
                                         : graph.add("Unsqueeze", {size, graph.integers({0})});
    const std::string target = graph.add("Concat", {batch, graph.integers({-1})}, {{"axis", 0}});
    graph.output(graph.gemm("linear", graph.add("Reshape", {x, target}), 16, 5));
    return {"resnet, option A", std::move(graph), {"layer2.0.conv2", "layer2.0.bn2", "linear"}};
}

/// What tf2onnx makes of a Keras network: padding that is not symmetric, batch norms as Mul and
/// Add, MatMul and Add, Clip.
inline OnnxSample keras(std::int64_t opset) {
    OnnxGraph graph(opset, {0, 3, 17, 14});
    std::string x = graph.add("Sub", {"x", graph.weight("mean", {1, 3, 1, 1}, {0.4F, 0.5F, 0.6F})});
    x = graph.add("Div", {x, graph.scalar(0.25F)});
    x = graph.add_named("model/conv1/Conv2D", "Conv",
                        {x, graph.random_weight("model/conv1/kernel:0", {8, 3, 3, 3}, 0.3)},
                        {{"auto_pad", "SAME_UPPER"}, {"strides", Integers{2, 2}}})[0];
    x = graph.add_named("model/bn1/mul", "Mul",
                        {x, graph.random_weight("bn1/scale", {1, 8, 1, 1}, 0.3, 1.0)})[0];
    x = graph.add_named("model/bn1/add", "Add",
                        {x, graph.random_weight("bn1/shift", {1, 8, 1, 1}, 0.3)})[0];
    x = graph.add("Clip", {x, graph.scalar(0.0F), graph.scalar(6.0F)});
    x = graph.add_named("model/conv2/Conv2D", "Conv",
                        {x, graph.random_weight("model/conv2/kernel:0", {10, 8, 2, 4}, 0.3)},
                        {{"auto_pad", "SAME_LOWER"}, {"kernel_shape", Integers{2, 4}}})[0];
    x = graph.add_named("model/conv2/BiasAdd", "Add",
                        {x, graph.random_weight("conv2/bias", {1, 10, 1, 1}, 0.3)})[0];
    x = graph.add("Relu", {x});
    x = graph.add("MaxPool", {x},
                  {{"auto_pad", "SAME_UPPER"},
                   {"kernel_shape", Integers{2, 2}},
                   {"strides", Integers{2, 2}}});
    x = graph.add("GlobalAveragePool", {x});
    x = opset < 13 ? graph.add("Squeeze", {x}, {{"axes", Integers{2, 3}}})
                   : graph.add("Squeeze", {x, graph.integers({2, 3})});
    x = graph.add_named("model/dense/MatMul", "MatMul",
                        {x, graph.random_weight("model/dense/kernel:0", {10, 5}, 0.3)})[0];
    x = graph.add_named("model/dense/BiasAdd", "Add",
                        {x, graph.random_weight("model/dense/bias:0", {5}, 0.3)})[0];
    graph.output(graph.add("Softmax", {x}, {{"axis", -1}}));
    return {"keras", std::move(graph), {"model.conv1.Conv2D", "model.dense.MatMul"}};
}

/// The stem of YOLOX and of YOLOv5 before its version 6: every second pixel from four places on, as
/// channels. Another one stands within the network.
inline OnnxSample focus(std::int64_t opset, bool columns_first) {
    OnnxGraph graph(opset, {0, 3, 16, 24});
    const auto blocks_of = [&](const std::string& from) {
        const auto every_second = [&](const std::string& source, std::int64_t first,
                                      std::int64_t axis) {
            return graph.add("Slice", {source, graph.integers({first}), graph.integers({INT64_MAX}),
                                       graph.integers({axis}), graph.integers({2})});
        };
        std::vector<std::string> parts;
        for (const std::int64_t column : {0, 1})
            for (const std::int64_t row : {0, 1})
                parts.push_back(columns_first
                                    ? every_second(every_second(from, column, 3), row, 2)
                                    : every_second(every_second(from, row, 2), column, 3));
        return graph.add("Concat", parts, {{"axis", 1}});
    };
    std::string x = graph.conv("backbone.stem.conv.conv", blocks_of("x"), 12, 8, {.bias = true});
    x = add_silu(graph, x);
    x = graph.conv("backbone.dark2.conv", blocks_of(x), 32, 12, {.bias = true});
    x = add_silu(graph, x);
    // What reads these blocks is a batch norm.
    const std::string blocks = graph.batch_norm("backbone.norm", blocks_of(x), 48);
    x = add_silu(graph, graph.conv("backbone.dark3.conv", blocks, 48, 10, {.kernel = 1}));
    add_classifier(graph, x, 10);
    return {columns_first ? "focus, columns first" : "focus",
            std::move(graph),
            {"backbone.stem.conv.conv", "backbone.dark2.conv", "backbone.dark3.conv", "fc"}};
}

/// What tf2onnx makes of a Keras network that flattens its images: Keras has channels last, so the
/// first dense layer reads positions before channels. With --inputs-as-nchw, or with one channel,
/// where a Reshape does what a Transpose does else.
inline OnnxSample keras_flatten(std::int64_t opset, bool one_channel) {
    OnnxGraph graph(opset, one_channel ? Integers{0, 12, 16, 1} : Integers{0, 3, 12, 16});
    const std::int64_t channels = one_channel ? 1 : 3;
    std::string x = graph.add("Mul", {"x", graph.scalar(1.0F / 2.0F)}); // Rescaling
    if (one_channel) x = graph.add("Reshape", {x, graph.integers({-1, 1, 12, 16})});
    x = graph.add("Relu", {graph.conv("conv2d", x, channels, 6, {.bias = true})});
    x = graph.add("MaxPool", {x}, {{"kernel_shape", Integers{2, 2}}, {"strides", Integers{2, 2}}});
    x = graph.add("Relu", {graph.conv("conv2d_1", x, 6, 8, {.bias = true})});
    x = graph.add("MaxPool", {x}, {{"kernel_shape", Integers{2, 2}}, {"strides", Integers{2, 2}}});
    x = graph.add("Transpose", {x}, {{"perm", Integers{0, 2, 3, 1}}});
    x = graph.add("Reshape", {x, graph.integers({-1, 96})});
    const auto dense = [&](const std::string& name, const std::string& from, std::int64_t inputs,
                           std::int64_t outputs) {
        const std::string product = graph.add_named(
            name + "/MatMul", "MatMul",
            {from, graph.random_weight(name + "/kernel:0", {inputs, outputs}, 0.3)})[0];
        return graph.add("Add", {product, graph.random_weight(name + "/bias:0", {outputs}, 0.3)});
    };
    x = graph.add("Relu", {dense("dense", x, 96, 9)});
    graph.output(graph.add("Softmax", {dense("dense_1", x, 9, 5)}, {{"axis", -1}}));
    return {one_channel ? "keras, flattened, one channel" : "keras, flattened",
            std::move(graph),
            {"conv2d", "conv2d_1", "dense.MatMul", "dense_1.MatMul"}};
}

/// SENet as it is often written: the gate comes from linear layers and is expanded to the image.
inline OnnxSample senet(bool expanded) {
    OnnxGraph graph(13);
    std::string x = graph.add("Relu", {graph.conv("conv1", "x", 3, 8, {.bias = true})});
    std::string gate = graph.add("GlobalAveragePool", {x});
    gate = graph.add("Reshape", {gate, graph.integers({-1, 8})});
    // Linear layers without bias are MatMuls of the transposed weight.
    const auto linear = [&](const std::string& name, const std::string& from, std::int64_t inputs,
                            std::int64_t outputs) {
        const std::string weight = graph.random_weight(name + ".weight", {outputs, inputs}, 0.5);
        return graph.add("MatMul",
                         {from, graph.add("Transpose", {weight}, {{"perm", Integers{1, 0}}})});
    };
    gate = graph.add("Relu", {linear("fc.0", gate, 8, 2)});
    gate = graph.add("Sigmoid", {linear("fc.2", gate, 2, 8)});
    gate = graph.add("Reshape", {gate, graph.integers({-1, 8, 1, 1})});
    if (expanded) gate = graph.add("Expand", {gate, graph.add("Shape", {x})});
    x = graph.add("Mul", {x, gate});
    add_classifier(graph, x, 8);
    return {expanded ? "senet, expanded" : "senet", std::move(graph), {"conv1", "fc.0", "fc.2"}};
}

/// VGG as opset 9 has it: initializers are inputs, too; bounds and ratios are attributes.
inline OnnxSample vgg(std::int64_t opset) {
    OnnxGraph graph(opset, {2, 3, 8, 8});
    std::string x = graph.add("Clip", {graph.conv("features.0", "x", 3, 6, {.bias = true})},
                              {{"min", 0.0F}, {"max", 6.0F}});
    x = graph.add("MaxPool", {x}, {{"kernel_shape", Integers{2, 2}}, {"strides", Integers{2, 2}}});
    x = graph.add("Flatten", {x}, {{"axis", 1}});
    x = graph.add("Relu", {graph.gemm("classifier.0", x, 96, 9)});
    x = graph.add("Dropout", {x}, {{"ratio", 0.5F}});
    graph.output(graph.gemm("classifier.3", x, 9, 5));
    onnx::GraphProto& proto = *graph.proto().mutable_graph();
    for (const onnx::TensorProto& tensor : proto.initializer()) {
        onnx::ValueInfoProto& info = *proto.add_input();
        info.set_name(tensor.name());
        info.mutable_type()->mutable_tensor_type()->set_elem_type(tensor.data_type());
        for (const std::int64_t size : tensor.dims())
            info.mutable_type()->mutable_tensor_type()->mutable_shape()->add_dim()->set_dim_value(
                size);
    }
    return {"vgg", std::move(graph), {"features.0", "classifier.0", "classifier.3"}};
}

/// A detector: halves that go on together, pooling one after the other, two scales. What decodes
/// its output, which nothing of ours can express, comes last; the sample stops before it.
inline OnnxSample detector() {
    OnnxGraph graph(17, {1, 3, 32, 32});
    const auto conv = [&](const std::string& name, const std::string& from, std::int64_t inputs,
                          std::int64_t outputs, OnnxGraph::Convolution shape) {
        shape.bias = true; // the batch norms are folded
        return add_silu(graph, graph.conv(name + ".conv", from, inputs, outputs, shape));
    };
    std::string x = conv("model.0", "x", 3, 8, {.stride = 2});
    const std::string both = conv("model.2.cv1", x, 8, 8, {.kernel = 1});
    const std::vector<std::string> halves =
        graph.add_many("Split", {both, graph.integers({4, 4})}, {{"axis", 1}}, 2);
    std::string y = conv("model.2.m.0.cv2", conv("model.2.m.0.cv1", halves[1], 4, 4, {}), 4, 4, {});
    y = graph.add("Add", {halves[1], y});
    const std::string fine =
        conv("model.2.cv2", graph.add("Concat", {halves[0], halves[1], y}, {{"axis", 1}}), 12, 12,
             {.kernel = 1});
    std::string deep =
        conv("model.9.cv1", conv("model.3", fine, 12, 16, {.stride = 2}), 16, 8, {.kernel = 1});
    std::vector<std::string> pooled{deep};
    for (int i = 0; i < 3; ++i)
        pooled.push_back(graph.add("MaxPool", {pooled.back()},
                                   {{"ceil_mode", 0},
                                    {"dilations", Integers{1, 1}},
                                    {"kernel_shape", Integers{5, 5}},
                                    {"pads", Integers{2, 2, 2, 2}},
                                    {"strides", Integers{1, 1}}}));
    deep = conv("model.9.cv2", graph.add("Concat", pooled, {{"axis", 1}}), 32, 16, {.kernel = 1});
    const std::string up =
        graph.add("Resize", {deep, "", graph.weight("scales", {4}, {1, 1, 2, 2})},
                  {{"coordinate_transformation_mode", "asymmetric"},
                   {"cubic_coeff_a", -0.75F},
                   {"mode", "nearest"},
                   {"nearest_mode", "floor"}});
    const std::string merged =
        conv("model.12", graph.add("Concat", {up, fine}, {{"axis", 1}}), 28, 12, {});
    const std::string first =
        graph.conv("model.22.cv2.0", merged, 12, 9, {.kernel = 1, .bias = true});
    const std::string second =
        graph.conv("model.22.cv2.1", deep, 16, 9, {.kernel = 1, .bias = true});
    const std::string flat = graph.add("Concat",
                                       {graph.add("Reshape", {first, graph.integers({1, 9, -1})}),
                                        graph.add("Reshape", {second, graph.integers({1, 9, -1})})},
                                       {{"axis", 2}});
    graph.output(graph.add("Transpose", {flat}, {{"perm", Integers{0, 2, 1}}}));
    return {
        "detector", std::move(graph), {"model.2.m.0.cv1.conv", "model.22.cv2.0"}, {first, second}};
}

/// All of them, in the opsets that their exporters use.
inline std::vector<OnnxSample> onnx_samples() {
    std::vector<OnnxSample> samples;
    for (const std::int64_t opset : {11, 13, 17}) {
        samples.push_back(efficientnet(opset));
        samples.push_back(resnext(opset));
        samples.push_back(densenet(opset));
        samples.push_back(shufflenet(opset, false));
        samples.push_back(shufflenet(opset, true));
        samples.push_back(squeezenet(opset));
        samples.push_back(resnet_option_a(opset));
        samples.push_back(keras(opset));
    }
    for (const HardSwish form :
         {HardSwish::with_hard_sigmoid, HardSwish::clip_then_divide, HardSwish::divide_last})
        samples.push_back(mobilenet_v3(13, form));
    samples.push_back(mobilenet_v3(14, HardSwish::one_operator));
    samples.push_back(mobilenet_v3(17, HardSwish::min_and_max));
    for (const bool other : {false, true}) {
        samples.push_back(focus(other ? 11 : 17, other));
        samples.push_back(keras_flatten(other ? 13 : 15, other));
    }
    samples.push_back(inception(13));
    for (const Upsampling form : {Upsampling::nearest_scales, Upsampling::bilinear_computed_sizes,
                                  Upsampling::align_corners})
        samples.push_back(unet(form));
    for (const bool expanded : {false, true})
        samples.push_back(senet(expanded));
    for (const std::int64_t opset : {7, 8, 9})
        samples.push_back(vgg(opset));
    samples.push_back(detector());
    return samples;
}

} // namespace hdap::network::testing
