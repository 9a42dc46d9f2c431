#pragma once

#include "network/onnx/graph.hpp"

#include <string>
#include <vector>

namespace hdap::network::testing {

/// A small graph around one way to use an operator.
struct OperatorSample {
    std::string name;
    OnnxGraph graph;
};

/// Collects graphs that end in one operator of an image "x" of 3 × 16 × 12.
class OperatorSamples {
  public:
    using Attributes = std::vector<OnnxAttribute>;

    OnnxGraph& begin(const std::string& name, std::int64_t opset) {
        samples_.push_back({name + ", opset " + std::to_string(opset), OnnxGraph(opset)});
        return samples_.back().graph;
    }

    /// One operator that reads the image alone.
    void add(std::int64_t opset, const std::string& op, const Attributes& attributes) {
        OnnxGraph& graph = begin(op, opset);
        graph.output(graph.add(op, {"x"}, attributes));
    }

    /// One operator with constants behind the image.
    template <class MakeInputs>
    void add_with(std::int64_t opset, const std::string& op, MakeInputs make_inputs,
                  const Attributes& attributes = {}) {
        OnnxGraph& graph = begin(op, opset);
        std::vector<std::string> inputs = make_inputs(graph);
        inputs.insert(inputs.begin(), "x");
        graph.output(graph.add(op, inputs, attributes));
    }

    std::vector<OperatorSample> take() && { return std::move(samples_); }

  private:
    std::vector<OperatorSample> samples_;
};

inline void add_convolutions(OperatorSamples& samples) {
    const auto conv = [&](Integers weight, const OperatorSamples::Attributes& attributes) {
        samples.add_with(
            13, "Conv",
            [&](OnnxGraph& graph) { return std::vector{graph.random_weight("w", weight, 0.3)}; },
            attributes);
    };
    conv({4, 3, 3, 3}, {{"auto_pad", "SAME_UPPER"}, {"strides", Integers{2, 2}}});
    conv({4, 3, 2, 4}, {{"auto_pad", "SAME_LOWER"}, {"strides", Integers{3, 1}}});
    conv({4, 3, 3, 3}, {{"dilations", Integers{2, 1}}, {"pads", Integers{2, 0, 1, 1}}});
    conv({4, 3, 3, 3}, {{"auto_pad", "VALID"}, {"strides", Integers{2, 3}}});
    conv({4, 3, 3, 3}, {{"pads", Integers{0, 1, 2, 3}}});
    conv({6, 1, 3, 5}, {{"group", 3}, {"pads", Integers{1, 2, 1, 2}}});
}

inline void add_linear_layers(OperatorSamples& samples) {
    struct Gemm {
        Integers weight;
        Integers bias;
        OperatorSamples::Attributes attributes;
    };
    const std::vector<Gemm> gemms{
        {{3, 5}, {5}, {{"alpha", 0.5F}, {"beta", 2.0F}}},
        {{5, 3}, {1, 5}, {{"transB", 1}}},
        {{5, 3}, {1}, {{"transB", 1}, {"beta", -1.0F}}},
        {{5, 3}, {}, {{"transB", 1}, {"alpha", -1.5F}}},
    };
    for (const Gemm& gemm : gemms) {
        OnnxGraph& graph = samples.begin("Gemm", 13);
        const std::string flat =
            graph.add("Flatten", {graph.add("GlobalMaxPool", {"x"})}, {{"axis", -3}});
        graph.output(graph.add("Gemm",
                               {flat, graph.random_weight("w", gemm.weight, 0.5),
                                graph.random_weight("b", gemm.bias, 0.5)},
                               gemm.attributes));
    }
    OnnxGraph& graph = samples.begin("BatchNormalization of vectors", 13);
    const std::string mean =
        graph.add("ReduceMean", {"x"}, {{"axes", Integers{2, 3}}, {"keepdims", 0}});
    graph.output(graph.batch_norm("bn", graph.gemm("fc", mean, 3, 4), 4));
}

inline void add_pools(OperatorSamples& samples) {
    const Integers three{3, 3};
    const Integers two{2, 2};
    for (const char* op : {"MaxPool", "AveragePool"}) {
        samples.add(11, op,
                    {{"auto_pad", "SAME_UPPER"}, {"kernel_shape", three}, {"strides", two}});
        samples.add(11, op, {{"auto_pad", "SAME_LOWER"}, {"kernel_shape", two}, {"strides", two}});
        samples.add(11, op,
                    {{"auto_pad", "VALID"}, {"kernel_shape", Integers{5, 4}}, {"strides", three}});
        samples.add(13, op,
                    {{"ceil_mode", 1}, {"kernel_shape", three}, {"strides", Integers{2, 3}}});
        samples.add(13, op,
                    {{"kernel_shape", three}, {"pads", Integers{1, 0, 1, 0}}, {"strides", two}});
        samples.add(13, op,
                    {{"kernel_shape", three}, {"pads", Integers{0, 0, 1, 1}}, {"strides", two}});
        samples.add(17, op, {{"kernel_shape", three}});
    }
    samples.add(
        13, "AveragePool",
        {{"count_include_pad", 1}, {"kernel_shape", three}, {"pads", Integers{1, 1, 1, 1}}});
    samples.add(
        13, "AveragePool",
        {{"count_include_pad", 1}, {"kernel_shape", three}, {"pads", Integers{2, 0, 0, 1}}});
    // Padding that pools of ours do not have; where nothing is negative, zeros lose every maximum.
    OnnxGraph& graph = samples.begin("MaxPool of what is never negative", 13);
    graph.output(graph.add("MaxPool", {graph.add("Relu", {"x"})},
                           {{"kernel_shape", three}, {"pads", Integers{0, 2, 2, 0}}}));
}

inline void add_resizings(OperatorSamples& samples) {
    const auto resize = [&](std::int64_t opset, const std::vector<float>& scales,
                            const Integers& sizes, const OperatorSamples::Attributes& attributes) {
        samples.add_with(
            opset, "Resize",
            [&](OnnxGraph& graph) {
                const std::string roi = opset < 13 ? graph.weight("roi", {0}, {}) : "";
                if (!sizes.empty())
                    return std::vector{roi,
                                       opset < 13 ? graph.weight("none", {0}, {}) : std::string(),
                                       graph.integers(sizes)};
                return std::vector{roi, graph.weight("scales", {4}, scales)};
            },
            attributes);
    };
    const OnnxAttribute nearest{"mode", "nearest"};
    const OnnxAttribute linear{"mode", "linear"};
    const auto coordinates = [](const char* name) {
        return OnnxAttribute("coordinate_transformation_mode", name);
    };
    resize(11, {1, 1, 2, 3}, {}, {nearest, coordinates("asymmetric"), {"nearest_mode", "floor"}});
    resize(13, {1, 1, 2, 3}, {}, {nearest}); // half_pixel, round_prefer_floor
    resize(13, {1, 1, 0.5F, 0.5F}, {}, {nearest});
    resize(11, {1, 1, 3, 2}, {},
           {nearest, coordinates("tf_half_pixel_for_nn"), {"nearest_mode", "floor"}});
    resize(13, {}, {1, 3, 7, 9}, {nearest, coordinates("asymmetric"), {"nearest_mode", "floor"}});
    resize(11, {1, 1, 2, 2}, {}, {linear, coordinates("half_pixel")});
    resize(13, {1, 1, 0.5F, 0.75F}, {}, {linear});
    resize(13, {}, {1, 3, 31, 5}, {linear, coordinates("pytorch_half_pixel")});
    resize(13, {}, {1, 3, 20, 20}, {linear, coordinates("align_corners")});
    resize(13, {}, {1, 3, 16, 12}, {{"mode", "cubic"}}); // as it was
    samples.add_with(10, "Resize", [](OnnxGraph& graph) {
        return std::vector{graph.weight("scales", {4}, {1, 1, 2, 2})};
    });
    samples.add_with(9, "Upsample", [](OnnxGraph& graph) {
        return std::vector{graph.weight("scales", {4}, {1, 1, 3, 2})};
    });
    samples.add(7, "Upsample", {{"scales", std::vector<float>{1, 1, 2, 2}}});
    samples.add_with(18, "Resize",
                     [](OnnxGraph& graph) {
                         return std::vector<std::string>{"", "", graph.integers({32, 24})};
                     },
                     {{"axes", Integers{2, 3}},
                      {"keep_aspect_ratio_policy", "stretch"},
                      {"antialias", 0},
                      coordinates("asymmetric"),
                      {"nearest_mode", "floor"}});
}

inline void add_cuts_and_joins(OperatorSamples& samples) {
    samples.add(9, "Slice",
                {{"axes", Integers{1}}, {"starts", Integers{1}}, {"ends", Integers{3}}});
    samples.add(9, "Slice", {{"starts", Integers{0, -2}}, {"ends", Integers{1000000, 1000000}}});
    const auto slice = [&](const Integers& starts, const Integers& ends, const Integers& axes,
                           const Integers& steps) {
        samples.add_with(13, "Slice", [&](OnnxGraph& graph) {
            std::vector<std::string> inputs{graph.integers(starts), graph.integers(ends),
                                            graph.integers(axes)};
            if (!steps.empty()) inputs.push_back(graph.integers(steps));
            return inputs;
        });
    };
    slice({0}, {2}, {1}, {});
    slice({0}, {INT64_MAX}, {0}, {1});
    slice({0, 0}, {INT64_MAX, INT64_MAX}, {2, 3}, {2, 3});
    slice({1, 0}, {-1, 16}, {1, -2}, {1, 5});
    samples.add(9, "Pad", {{"pads", Integers{0, 1, 2, 3, 0, 4, 5, 6}}});
    samples.add_with(13, "Pad", [](OnnxGraph& graph) {
        return std::vector{graph.integers({0, 0, 0, 1, 0, 0, 2, 0})};
    });
    samples.add_with(18, "Pad", [](OnnxGraph& graph) {
        return std::vector{graph.integers({1, 2, 3, 4}), graph.scalar(0.0F),
                           graph.integers({-1, 1})};
    });
    for (const bool chunks : {false, true}) {
        OnnxGraph& graph = samples.begin("Split", 18);
        std::vector<std::string> parts;
        if (chunks)
            parts = graph.add_many("Split", {"x"}, {{"axis", -3}, {"num_outputs", 2}}, 2);
        else
            parts = graph.add_many("Split", {"x", graph.integers({1, 2})}, {{"axis", 1}}, 2);
        graph.output(graph.add("Concat", {parts[1], "x", parts[0]}, {{"axis", 1}}));
    }
    OnnxGraph& graph = samples.begin("Split into equal parts", 11);
    const auto parts = graph.add_many("Split", {"x"}, {{"axis", 1}}, 3);
    graph.output(graph.add("Concat", {parts[2], parts[0]}, {{"axis", 1}}));
    samples.add_with(13, "Gather",
                     [](OnnxGraph& g) {
                         return std::vector{g.integers({1, 2})};
                     },
                     {{"axis", 1}});
}

inline void add_views(OperatorSamples& samples) {
    samples.add(13, "Flatten", {});
    samples.add_with(13, "Reshape", [](OnnxGraph& graph) {
        return std::vector{graph.integers({0, -1})};
    });
    samples.add_with(13, "Reshape", [](OnnxGraph& graph) {
        return std::vector{graph.integers({-1, 576, 1, 1})};
    });
    OnnxGraph& graph = samples.begin("Squeeze and Unsqueeze", 13);
    std::string mean = graph.add("GlobalAveragePool", {"x"});
    mean = graph.add("Squeeze", {mean, graph.integers({-1, 2})});
    mean = graph.add("Unsqueeze", {mean, graph.integers({3, -2})});
    graph.output(graph.add("Add", {"x", mean}));
    OnnxGraph& mean_of_view = samples.begin("ReduceMean of a view", 18);
    std::string rows = mean_of_view.add("Reshape", {"x", mean_of_view.integers({0, 3, -1})});
    rows = mean_of_view.add("ReduceMean", {rows, mean_of_view.integers({-1})}, {{"keepdims", 1}});
    mean_of_view.output(mean_of_view.add("Reshape", {rows, mean_of_view.integers({0, 3, 1, 1})}));
    OnnxGraph& turned = samples.begin("Transpose there and back", 13);
    const std::string last = turned.add("Transpose", {"x"}, {{"perm", Integers{0, 2, 3, 1}}});
    turned.output(turned.add("Transpose", {last}, {{"perm", Integers{0, 3, 1, 2}}}));
    // Groups of one, in five dimensions and in four.
    OnnxGraph& shuffle = samples.begin("Shuffle of rows", 13);
    const std::string split =
        shuffle.add("Reshape", {shuffle.conv("c", "x", 3, 6, {}), shuffle.integers({0, 3, 2, -1})});
    const std::string swapped = shuffle.add("Transpose", {split}, {{"perm", Integers{0, 2, 1, 3}}});
    shuffle.output(shuffle.add("Reshape", {swapped, shuffle.integers({0, 6, 16, 12})}));
}

inline void add_arithmetic(OperatorSamples& samples) {
    const auto affine = [&](const std::string& op, const Integers& shape, bool constant_first) {
        OnnxGraph& graph = samples.begin(op, 13);
        const std::string constant = graph.random_weight("c", shape, 0.5, 2.0);
        graph.output(graph.add(op, constant_first ? std::vector<std::string>{constant, "x"}
                                                  : std::vector<std::string>{"x", constant}));
    };
    for (const char* op : {"Add", "Sub", "Mul", "Div"}) {
        affine(op, {}, false);
        affine(op, {1}, false);
        affine(op, {3, 1, 1}, false);
        affine(op, {1, 3, 1, 1}, false);
    }
    for (const char* op : {"Add", "Sub", "Mul"})
        affine(op, {3, 1, 1}, true);
    OnnxGraph& chain = samples.begin("Scaled and shifted, twice used", 13);
    std::string y = chain.add("Mul", {chain.conv("c", "x", 3, 4, {}), chain.scalar(0.5F)});
    y = chain.add("Add", {y, chain.random_weight("shift", {4, 1, 1}, 1.0)});
    chain.output(chain.add("Sum", {y, chain.add("Tanh", {y}), chain.add("Sigmoid", {y})}));
    // The bias of a convolution whose own output is used elsewhere must not be its bias.
    OnnxGraph& shared = samples.begin("Shifted beside unshifted", 13);
    const std::string conv = shared.conv("c", "x", 3, 4, {});
    const std::string shifted =
        shared.add("Add", {conv, shared.random_weight("shift", {4, 1, 1}, 1.0)});
    shared.output(shared.add("Concat", {shared.add("Relu", {shifted}), shared.add("Relu", {conv})},
                             {{"axis", 1}}));
    OnnxGraph& viewed = samples.begin("Shifted, viewed and used", 13);
    const std::string small = viewed.add("GlobalAveragePool", {viewed.conv("c", "x", 3, 4, {})});
    const std::string point = viewed.conv("d", small, 4, 4, {.kernel = 1});
    const std::string moved =
        viewed.add("Add", {point, viewed.random_weight("shift", {4, 1, 1}, 1.0)});
    const std::string flat = viewed.add("Flatten", {moved});
    viewed.output(viewed.add(
        "Concat",
        {viewed.add("Relu", {flat}), viewed.add("Flatten", {viewed.add("Tanh", {moved})})},
        {{"axis", 1}}));
    OnnxGraph& doubled = samples.begin("Product of a tensor with itself, scaled", 13);
    doubled.output(doubled.add("Mul", {doubled.add("Mul", {"x", doubled.scalar(3.0F)}), "x"}));
    OnnxGraph& gate = samples.begin("Silu of half of what is scaled", 13);
    const std::string base = gate.conv("c", "x", 3, 4, {});
    gate.output(gate.add(
        "Mul", {gate.add("Sigmoid", {base}), gate.add("Mul", {base, gate.scalar(-0.5F)})}));
}

inline void add_activations(OperatorSamples& samples) {
    samples.add(13, "LeakyRelu", {});
    samples.add(13, "HardSigmoid", {}); // 0.2 and 0.5
    samples.add(13, "HardSigmoid", {{"alpha", -0.3F}, {"beta", 0.7F}});
    OnnxGraph& shifted = samples.begin("Hard sigmoid of a layer, shifted", 13);
    shifted.output(shifted.add("HardSigmoid", {shifted.conv("c", "x", 3, 4, {})},
                               {{"alpha", 1.0F / 6.0F}, {"beta", 0.4F}}));
    samples.add(13, "LeakyRelu", {{"alpha", 0.3F}});
    samples.add(10, "Clip", {{"min", 0.0F}});
    samples.add(13, "Softmax", {{"axis", 1}});
    samples.add(13, "Softmax", {{"axis", -3}});
    samples.add(13, "Cast", {{"to", 1}});
    samples.add(7, "Dropout", {{"ratio", 0.3F}});
    OnnxGraph& logits = samples.begin("Softmax of vectors", 11);
    logits.output(
        logits.add("Softmax", {logits.add("Flatten", {logits.add("GlobalAveragePool", {"x"})})}));
    OnnxGraph& hard = samples.begin("Hard sigmoid as a clipped line", 13);
    std::string line = hard.add("Mul", {"x", hard.scalar(1.0F / 6.0F)});
    line = hard.add("Add", {line, hard.scalar(0.5F)});
    hard.output(hard.add("Clip", {line, hard.scalar(0.0F), hard.scalar(1.0F)}));
}

/// Computations of weights and of shapes that exporters leave in their files.
inline void add_constant_folding(OperatorSamples& samples) {
    OnnxGraph& weights = samples.begin("Weights that are computed", 13);
    std::string w = weights.random_weight("w", {4, 6}, 0.5);
    w = weights.add("Gather", {w, weights.integers({3, -3, 0})}, {{"axis", 0}});
    w = weights.add("Slice", {w, weights.integers({5}), weights.integers({-100}),
                              weights.integers({1}), weights.integers({-2})});
    w = weights.add("Concat", {w, weights.add("Neg", {w})}, {{"axis", 0}});
    w = weights.add("Transpose", {weights.add("Unsqueeze", {w, weights.integers({1, 3})})},
                    {{"perm", Integers{0, 2, 1, 3}}});
    w = weights.add("Div", {weights.add("Sub", {w, weights.scalar(0.1F)}),
                            weights.random_weight("d", {6, 1, 1, 1}, 0.1, 2.0)});
    const std::string root = weights.add("Sqrt", {weights.add("Mul", {w, w})});
    const std::string same = weights.add("Equal", {root, w});
    w = weights.add(
        "Where", {same, weights.add("Add", {w, weights.scalar(1.0F)}), weights.add("Floor", {w})});
    w = weights.add("Add", {w, weights.add("Ceil", {weights.scalar(0.3F)})});
    w = weights.add("Squeeze",
                    {weights.add("Unsqueeze", {w, weights.integers({0})}), weights.integers({0})});
    weights.output(weights.add("Conv", {"x", weights.add("Identity", {w})}));

    // Tensor.expand(-1, 3, -1, -1), as PyTorch writes it.
    OnnxGraph& expanded = samples.begin("Sizes chosen by Where", 13);
    const std::string mean = expanded.add("GlobalAveragePool", {"x"});
    const std::string wanted = expanded.integers({-1, 3, 16, 12});
    const std::string rank = expanded.add("Shape", {wanted});
    const std::string ones = expanded.add("ConstantOfShape", {rank});
    const std::string unknown = expanded.add(
        "Mul",
        {expanded.add("Cast", {expanded.add("Add", {ones, expanded.scalar(1.0F)})}, {{"to", 7}}),
         expanded.integers({-1})});
    const std::string target =
        expanded.add("Where", {expanded.add("Equal", {wanted, unknown}),
                               expanded.add("Expand", {expanded.integers({1}), rank}), wanted});
    expanded.output(expanded.add("Mul", {"x", expanded.add("Expand", {mean, target})}));

    // F.interpolate(x, scale_factor=1.5), as PyTorch wrote it up to opset 10.
    OnnxGraph& scaled = samples.begin("Sizes that are scaled and rounded", 13);
    const std::string shape = scaled.add("Shape", {"x"});
    std::vector<std::string> sizes{
        scaled.add("Slice", {shape, scaled.integers({0}), scaled.integers({2})})};
    for (const std::int64_t axis : {2, 3}) {
        std::string size =
            scaled.add("Gather", {shape, scaled.integers({axis}, true)}, {{"axis", 0}});
        size = scaled.add("Mul", {scaled.add("Cast", {size}, {{"to", 1}}), scaled.scalar(1.3F)});
        size = scaled.add("Cast", {scaled.add("Floor", {size})}, {{"to", 7}});
        sizes.push_back(scaled.add("Unsqueeze", {size, scaled.integers({0})}));
    }
    scaled.output(scaled.add("Resize", {"x", "", "", scaled.add("Concat", sizes, {{"axis", 0}})},
                             {{"coordinate_transformation_mode", "asymmetric"},
                              {"mode", "nearest"},
                              {"nearest_mode", "floor"}}));
    OnnxGraph& flat = samples.begin("Sizes that are multiplied", 15);
    const std::string batch = flat.add("Shape", {"x"}, {{"start", 0}, {"end", 1}});
    const std::string rest = flat.add("Shape", {"x"}, {{"start", 1}});
    std::string all = flat.integers({1});
    for (const std::int64_t axis : {0, 1, 2})
        all = flat.add("Mul", {all, flat.add("Gather", {rest, flat.integers({axis})})});
    all = flat.add("Div", {flat.add("Mul", {all, batch}), batch});
    flat.output(flat.add("Reshape", {"x", flat.add("Concat", {batch, all}, {{"axis", 0}})}));
}

/// Every way in which an operator may be used that is imported by a rule of its own.
inline std::vector<OperatorSample> operator_samples() {
    OperatorSamples samples;
    add_convolutions(samples);
    add_linear_layers(samples);
    add_pools(samples);
    add_resizings(samples);
    add_cuts_and_joins(samples);
    add_views(samples);
    add_arithmetic(samples);
    add_activations(samples);
    add_constant_folding(samples);
    return std::move(samples).take();
}

} // namespace hdap::network::testing
