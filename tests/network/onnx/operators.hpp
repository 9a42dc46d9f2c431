#pragma once

#include "network/onnx/graph.hpp"

#include <limits>
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

/// ReLU, ReLU6 and hard sigmoids as bounds that follow each other, in the forms that exporters
/// write. `x` is scaled so that all bounds act.
inline void add_bounds(OperatorSamples& samples) {
    const auto sample = [&](const std::string& name, auto&& bounded) {
        OnnxGraph& graph = samples.begin(name, 18);
        const std::string x = graph.add("Mul", {"x", graph.scalar(5.0F)});
        graph.output(bounded(graph, graph.add("Tanh", {"x"}), x));
    };
    const auto add = [&](const std::string& name, auto&& bounded) {
        sample(name, [&](OnnxGraph& g, const std::string&, const std::string& x) {
            return bounded(g, x);
        });
    };
    const auto value = [](OnnxGraph& g, const char* kind, auto number) {
        return g.add("Constant", {}, {{kind, number}});
    };
    add("Max", [](OnnxGraph& g, const std::string& x) {
        return g.add("Max", {g.scalar(0.0F), x});
    });
    add("Min of a ReLU", [&](OnnxGraph& g, const std::string& x) {
        return g.add("Min", {g.add("Relu", {x}), value(g, "value_float", 6.0F)});
    });
    // CastLike reads the tensor, too, but not its numbers.
    add("Min of a ReLU, as PyTorch's newer exporter writes it",
        [&](OnnxGraph& g, const std::string& x) {
            const std::string relu = g.add("Relu", {x});
            return g.add("Min", {relu, g.add("CastLike", {value(g, "value_int", 6), relu})});
        });
    add("Max and Min with numbers of the tensor's type", [&](OnnxGraph& g, const std::string& x) {
        const std::string low = g.add("CastLike", {value(g, "value_int", 0), x});
        const std::string high = g.add("CastLike", {value(g, "value_int", 6), x});
        return g.add("Min", {high, g.add("Max", {x, low})});
    });
    add("Min and Max with all numbers", [&](OnnxGraph& g, const std::string& x) {
        const std::string none = value(g, "value_float", std::numeric_limits<float>::infinity());
        const std::string six = g.add("Cast", {value(g, "value_ints", Integers{6})}, {{"to", 1}});
        return g.add("Max", {g.weight("low", {1, 1, 1, 1}, {0.0F}), g.scalar(-1.0F),
                             g.add("Min", {six, x, none, g.scalar(9.0F)})});
    });
    add("Min and ReLU", [](OnnxGraph& g, const std::string& x) {
        return g.add("Relu", {g.add("Min", {g.weight("high", {3, 1, 1}, {6.0F, 6.0F, 6.0F}), x})});
    });
    add("Clip and Clip", [](OnnxGraph& g, const std::string& x) {
        return g.add("Clip", {g.add("Clip", {x, g.scalar(0.0F)}), "", g.scalar(6.0F)});
    });
    add("Min of a ReLU that is read elsewhere", [](OnnxGraph& g, const std::string& x) {
        const std::string relu = g.add("Relu", {x});
        return g.add("Sub",
                     {g.add("Concat", {relu, g.add("Min", {relu, g.scalar(6.0F)})}, {{"axis", 1}}),
                      g.scalar(1.0F)});
    });
    add("CastLike of a tensor", [](OnnxGraph& g, const std::string& x) {
        return g.add("CastLike", {x, g.scalar(1.0F)});
    });
    add("ReLU6 of a shifted layer", [](OnnxGraph& g, const std::string& x) {
        const std::string c = g.conv("c", x, 3, 4, {});
        const std::string shifted =
            g.add("Add", {c, g.random_weight("shift", {4, 1, 1}, 1.0, 2.0)});
        return g.add("Min", {g.add("Max", {shifted, g.scalar(0.0F)}), g.scalar(6.0F)});
    });
    add("ReLU6 of vectors", [](OnnxGraph& g, const std::string& x) {
        const std::string relu = g.add("Relu", {g.add("Flatten", {x})});
        return g.add("Min", {relu, g.weight("six", {1}, {6.0F})});
    });
    add("ReLU6 of what is transposed", [](OnnxGraph& g, const std::string& x) {
        std::string y = g.add("Transpose", {x}, {{"perm", Integers{0, 2, 3, 1}}});
        y = g.add("Min", {g.add("Relu", {y}), g.scalar(6.0F)});
        return g.add("Transpose", {y}, {{"perm", Integers{0, 3, 1, 2}}});
    });
    sample("Hard sigmoid as a bounded line",
           [](OnnxGraph& g, const std::string& y, const std::string& x) {
               std::string line = g.add("Mul", {x, g.scalar(1.0F / 6.0F)});
               line = g.add("Add", {line, g.scalar(0.5F)});
               line = g.add("Max", {g.add("Min", {line, g.scalar(1.0F)}), g.scalar(0.0F)});
               return g.add("Mul", {line, y});
           });
    for (const bool divided : {false, true})
        add("Hard swish by hand", [&](OnnxGraph& g, const std::string& x) {
            std::string y = g.add("Add", {g.add("CastLike", {value(g, "value_int", 3), x}), x});
            y = g.add("Min", {g.add("Relu", {y}), g.scalar(6.0F)});
            y = g.add("Mul", {x, y});
            return divided ? g.add("Div", {y, g.scalar(6.0F)})
                           : g.add("Mul", {g.scalar(1.0F / 6.0F), y});
        });
}

/// How the slices of a stem like YOLOv5's take their pixels.
enum class Slicing { rows_then_columns, columns_then_rows, together };

/// The `step`th pixels of `from` from `first` on.
inline std::string add_sample(OnnxGraph& graph, const std::string& from, const Integers& first,
                              const Integers& step, Slicing slicing) {
    const auto slice = [&](const std::string& source, const Integers& axes) {
        Integers starts;
        Integers steps;
        for (const std::int64_t axis : axes) {
            starts.push_back(first[static_cast<std::size_t>(axis) - 2]);
            steps.push_back(step[static_cast<std::size_t>(axis) - 2]);
        }
        return graph.add("Slice", {source, graph.integers(starts),
                                   graph.integers(Integers(axes.size(), INT64_MAX)),
                                   graph.integers(axes), graph.integers(steps)});
    };
    if (slicing == Slicing::together) return slice(from, {2, 3});
    if (slicing == Slicing::rows_then_columns) return slice(slice(from, {2}), {3});
    return slice(slice(from, {3}), {2});
}

/// Blocks of pixels as channels: the samples from these places on, joined.
inline std::string add_focus(OnnxGraph& graph, const std::string& from,
                             const std::vector<Integers>& places, Slicing slicing,
                             const Integers& step = {2, 2}) {
    std::vector<std::string> parts;
    for (const Integers& first : places)
        parts.push_back(add_sample(graph, from, first, step, slicing));
    return graph.add("Concat", parts, {{"axis", 1}});
}

inline void add_blocks(OperatorSamples& samples) {
    const std::vector<Integers> yolo{{0, 0}, {1, 0}, {0, 1}, {1, 1}};
    const auto conv = [](OnnxGraph& graph, const std::string& from, const Integers& weight,
                         const OperatorSamples::Attributes& attributes) {
        return graph.add("Conv", {from, graph.random_weight("w", weight, 0.3)}, attributes);
    };
    const OnnxAttribute padded{"pads", Integers{1, 1, 1, 1}};
    for (const Slicing slicing :
         {Slicing::rows_then_columns, Slicing::columns_then_rows, Slicing::together}) {
        OnnxGraph& graph = samples.begin("Focus", 13);
        graph.output(conv(graph, add_focus(graph, "x", yolo, slicing), {4, 12, 3, 3}, {padded}));
    }
    const auto behind_blocks = [&](const std::string& name, const Integers& weight,
                                   const OperatorSamples::Attributes& attributes) {
        OnnxGraph& graph = samples.begin("Focus, " + name, 13);
        const std::vector<Integers> places{{1, 1}, {0, 1}, {0, 0}, {1, 0}};
        graph.output(
            conv(graph, add_focus(graph, "x", places, Slicing::together), weight, attributes));
    };
    behind_blocks("1 x 1", {4, 12, 1, 1}, {});
    behind_blocks("padded on some sides", {4, 12, 2, 3}, {{"pads", Integers{1, 0, 0, 2}}});
    behind_blocks("padded to the same size", {4, 12, 3, 2},
                  {{"auto_pad", "SAME_UPPER"}, {"strides", Integers{2, 3}}});
    behind_blocks("dilated", {4, 12, 2, 2}, {{"dilations", Integers{2, 1}}});
    behind_blocks("grouped", {6, 4, 3, 3}, {padded, {"group", 3}});
    OnnxGraph& uneven = samples.begin("Blocks of 2 x 3", 13);
    std::vector<Integers> places;
    for (std::int64_t i = 5; i >= 0; --i)
        places.push_back({i % 2, i / 2});
    uneven.output(conv(uneven, add_focus(uneven, "x", places, Slicing::together, {2, 3}),
                       {4, 18, 3, 3}, {padded}));
    OnnxGraph& some = samples.begin("Samples that are no blocks", 13);
    std::string y = add_focus(some, "x", {{1, 0}, {0, 1}, {1, 0}, {1, 1}}, Slicing::together);
    some.output(conv(some, y, {4, 12, 3, 3}, {padded}));
    OnnxGraph& bare = samples.begin("Focus without a convolution", 13);
    bare.output(add_focus(bare, "x", yolo, Slicing::columns_then_rows));
    // 16 rows by threes are 6, 5 and 5; a sample of a sample.
    OnnxGraph& odd = samples.begin("Every third row from the second on", 13);
    y = add_sample(odd, "x", {1, 0}, {3, 1}, Slicing::together);
    odd.output(add_sample(odd, y, {1, 3}, {2, 4}, Slicing::rows_then_columns));
    OnnxGraph& twice = samples.begin("Focus within a network, normalised and read twice", 13);
    y = twice.add("Relu", {twice.conv("c", "x", 3, 5, {})});
    const std::string blocks = add_focus(twice, y, yolo, Slicing::together);
    twice.output(twice.add("Concat",
                           {conv(twice, blocks, {4, 20, 3, 3}, {padded}),
                            twice.add("Relu", {twice.batch_norm("bn", blocks, 20)})},
                           {{"axis", 1}}));
    for (const int block : {1, 2, 4}) {
        samples.add(13, "SpaceToDepth", {{"blocksize", block}});
        OnnxGraph& graph = samples.begin("SpaceToDepth and a convolution", 13);
        graph.output(conv(graph, graph.add("SpaceToDepth", {"x"}, {{"blocksize", block}}),
                          {4, 3 * block * block, 3, 3}, {padded}));
    }
}

/// Positions before channels, flattened: what tf2onnx leaves before a dense layer.
inline void add_turned_vectors(OperatorSamples& samples) {
    const auto turned = [&](const std::string& name, const Integers& permutation, bool reshape,
                            bool layer) {
        OnnxGraph& graph = samples.begin(name, 13);
        std::string y = graph.conv("c", "x", 3, 4, {.stride = 2});
        y = graph.add("Transpose", {y}, {{"perm", permutation}});
        y = graph.add("Identity", {y});
        y = reshape ? graph.add("Reshape", {y, graph.integers({-1, 192})})
                    : graph.add("Flatten", {y});
        if (layer) y = graph.add("MatMul", {y, graph.random_weight("w", {192, 5}, 0.3)});
        graph.output(y);
    };
    turned("Flatten of [H, W, C]", {0, 2, 3, 1}, false, true);
    turned("Reshape of [H, W, C]", {0, 2, 3, 1}, true, true);
    turned("Reshape of [W, C, H]", {0, 3, 1, 2}, true, true);
    turned("Flatten of [H, W, C] without a layer", {0, 2, 3, 1}, false, false);
    OnnxGraph& rows = samples.begin("[pixels, C] made flat and normalised", 13);
    std::string y = rows.add("Reshape", {rows.conv("c", "x", 3, 4, {}), rows.integers({0, 4, -1})});
    y = rows.add("Flatten", {rows.add("Transpose", {y}, {{"perm", Integers{0, 2, 1}}})});
    y = rows.add("Relu", {rows.batch_norm("bn", y, 768)});
    rows.output(rows.gemm("fc", y, 768, 5));
    OnnxGraph& vectors = samples.begin("Shuffle of vectors before a layer", 13);
    y = vectors.add("Reshape", {vectors.add("GlobalAveragePool", {"x"}), vectors.integers({0, 3})});
    y = vectors.add("Reshape", {vectors.gemm("fc1", y, 3, 6), vectors.integers({0, 2, 3})});
    y = vectors.add("Transpose", {y}, {{"perm", Integers{0, 2, 1}}});
    vectors.output(
        vectors.gemm("fc2", vectors.add("Reshape", {y, vectors.integers({0, 6})}), 6, 5));
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
    add_bounds(samples);
    add_blocks(samples);
    add_turned_vectors(samples);
    add_constant_folding(samples);
    return std::move(samples).take();
}

} // namespace hdap::network::testing
