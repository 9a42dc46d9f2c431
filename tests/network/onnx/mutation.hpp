#pragma once

#include "hdap/core/random.hpp"

#include <array>
#include <cstring>
#include <onnx/onnx_pb.h>
#include <string>

namespace hdap::network::testing {

/// Changes one thing about a model's graph: which tensor a node reads, what operator it is, an
/// attribute, a constant, a shape, or whether it is there at all. The result is a model that can be
/// parsed, which random bytes hardly are.
class OnnxMutation {
  public:
    OnnxMutation(onnx::ModelProto& model, core::RandomStream& random)
        : graph_(*model.mutable_graph()), random_(random) {}

    void apply() {
        switch (below(7)) {
        case 0:
            return rewire();
        case 1:
            return change_operator();
        case 2:
        case 3:
            return change_attribute();
        case 4:
            return change_constant();
        case 5:
            return change_shape();
        default:
            return drop_attribute_or_input();
        }
    }

  private:
    int below(int bound) {
        return bound <= 0 ? 0 : static_cast<int>(random_.below(static_cast<std::uint64_t>(bound)));
    }

    onnx::NodeProto& any_node() { return *graph_.mutable_node(below(graph_.node_size())); }

    /// Numbers that mean something to some attribute, or to none.
    std::int64_t any_integer() {
        constexpr std::array<std::int64_t, 14> candidates{0,  1,  2,  3, 4,  5,         8,
                                                          -1, -2, -3, 7, 16, INT64_MAX, INT64_MIN};
        return candidates[static_cast<std::size_t>(below(14))];
    }

    std::string any_tensor() {
        const int choice = below(8);
        if (choice == 0) return "x";
        if (choice == 1 && graph_.initializer_size() > 0)
            return graph_.initializer(below(graph_.initializer_size())).name();
        const onnx::NodeProto& node = any_node();
        return node.output_size() > 0 ? node.output(below(node.output_size())) : "";
    }

    void rewire() {
        onnx::NodeProto& node = any_node();
        if (node.input_size() > 0) node.set_input(below(node.input_size()), any_tensor());
    }

    void change_operator() {
        constexpr std::array<const char*, 34> operators{
            "Relu",       "Sigmoid",     "Tanh",        "Add",
            "Mul",        "Sub",         "Div",         "Concat",
            "Flatten",    "Identity",    "Softmax",     "GlobalAveragePool",
            "MaxPool",    "HardSwish",   "HardSigmoid", "Reshape",
            "Transpose",  "Squeeze",     "Unsqueeze",   "Slice",
            "Gather",     "Split",       "Shape",       "Expand",
            "Clip",       "LeakyRelu",   "AveragePool", "Sum",
            "ReduceMean", "Pad",         "Max",         "Min",
            "CastLike",   "SpaceToDepth"};
        any_node().set_op_type(operators[static_cast<std::size_t>(below(34))]);
    }

    void change_attribute() {
        onnx::NodeProto& node = any_node();
        if (node.attribute_size() == 0) return;
        onnx::AttributeProto& attribute = *node.mutable_attribute(below(node.attribute_size()));
        if (attribute.type() == onnx::AttributeProto::INT) attribute.set_i(any_integer());
        if (attribute.type() == onnx::AttributeProto::FLOAT)
            attribute.set_f(static_cast<float>(below(5)) - 1.5F);
        if (attribute.type() == onnx::AttributeProto::TENSOR) change(*attribute.mutable_t());
        if (attribute.type() != onnx::AttributeProto::INTS) return;
        if (below(4) == 0)
            attribute.add_ints(any_integer());
        else if (attribute.ints_size() > 0)
            attribute.set_ints(below(attribute.ints_size()), any_integer());
    }

    /// Changes an integer of a tensor, or a float.
    void change(onnx::TensorProto& tensor) {
        std::string& raw = *tensor.mutable_raw_data();
        if (tensor.data_type() == onnx::TensorProto::INT64 && raw.size() >= sizeof(std::int64_t)) {
            const std::int64_t value = any_integer();
            const auto place = random_.below(raw.size() / sizeof(value)) * sizeof(value);
            std::memcpy(raw.data() + place, &value, sizeof(value));
        } else if (raw.size() >= sizeof(float)) {
            const float value = static_cast<float>(below(9)) - 2.0F;
            std::memcpy(raw.data(), &value, sizeof(value));
        }
    }

    void change_constant() {
        if (graph_.initializer_size() > 0)
            change(*graph_.mutable_initializer(below(graph_.initializer_size())));
    }

    /// Another shape with as many elements, or with others.
    void change_shape() {
        if (graph_.initializer_size() == 0) return;
        onnx::TensorProto& tensor = *graph_.mutable_initializer(below(graph_.initializer_size()));
        switch (below(3)) {
        case 0:
            tensor.add_dims(1);
            break;
        case 1:
            if (tensor.dims_size() > 1) tensor.mutable_dims()->SwapElements(0, 1);
            break;
        default:
            if (tensor.dims_size() > 0) tensor.set_dims(below(tensor.dims_size()), any_integer());
        }
    }

    void drop_attribute_or_input() {
        onnx::NodeProto& node = any_node();
        if (below(2) == 0 && node.attribute_size() > 0)
            node.mutable_attribute()->DeleteSubrange(below(node.attribute_size()), 1);
        else if (node.input_size() > 0)
            node.mutable_input()->RemoveLast();
    }

    onnx::GraphProto& graph_;
    core::RandomStream& random_;
};

} // namespace hdap::network::testing
