#pragma once

#include "hdap/core/random.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <onnx/onnx_pb.h>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace hdap::network::testing {

using Integers = std::vector<std::int64_t>;

/// An attribute of an ONNX node.
struct OnnxAttribute {
    std::string name;
    std::variant<std::int64_t, float, std::string, Integers, std::vector<float>> value;

    OnnxAttribute(std::string key, int number)
        : name(std::move(key)), value(std::int64_t{number}) {}
    OnnxAttribute(std::string key, float number) : name(std::move(key)), value(number) {}
    OnnxAttribute(std::string key, const char* text)
        : name(std::move(key)), value(std::string(text)) {}
    OnnxAttribute(std::string key, Integers numbers)
        : name(std::move(key)), value(std::move(numbers)) {}
    OnnxAttribute(std::string key, std::vector<float> numbers)
        : name(std::move(key)), value(std::move(numbers)) {}
};

/// Builds an ONNX model node by node, as exporters do. Every function returns the name of the
/// tensor that it made.
class OnnxGraph {
  public:
    /// With an input "x" of this shape; a size of 0 is left open.
    explicit OnnxGraph(std::int64_t opset = 13, const Integers& input = {0, 3, 16, 12}) {
        model_.set_ir_version(opset < 9 ? 3 : opset < 15 ? 7 : 8);
        model_.add_opset_import()->set_version(opset);
        model_.mutable_graph()->set_name("main_graph");
        describe(*model_.mutable_graph()->add_input(), "x", input);
    }

    [[nodiscard]] onnx::ModelProto& proto() { return model_; }

    [[nodiscard]] std::vector<std::byte> bytes() const {
        const std::string text = model_.SerializeAsString();
        const auto* const first = reinterpret_cast<const std::byte*>(text.data());
        return {first, first + text.size()};
    }

    std::string add(const std::string& op, const std::vector<std::string>& inputs,
                    const std::vector<OnnxAttribute>& attributes = {}) {
        return add_named("/" + scope_ + op + number(), op, inputs, attributes)[0];
    }

    /// A node with several outputs.
    std::vector<std::string> add_many(const std::string& op, const std::vector<std::string>& inputs,
                                      const std::vector<OnnxAttribute>& attributes,
                                      std::size_t outputs) {
        return add_named("/" + scope_ + op + number(), op, inputs, attributes, outputs);
    }

    std::vector<std::string> add_named(const std::string& name, const std::string& op,
                                       const std::vector<std::string>& inputs,
                                       const std::vector<OnnxAttribute>& attributes = {},
                                       std::size_t outputs = 1) {
        onnx::NodeProto& node = *model_.mutable_graph()->add_node();
        node.set_name(name);
        node.set_op_type(op);
        for (const std::string& input : inputs)
            node.add_input(input);
        for (const OnnxAttribute& attribute : attributes)
            set(*node.add_attribute(), attribute);
        std::vector<std::string> made;
        for (std::size_t i = 0; i < outputs; ++i) {
            made.push_back(name + "_output_" + std::to_string(i));
            node.add_output(made.back());
        }
        return made;
    }

    /// The names of nodes made from now on begin with "/scope/".
    void enter(const std::string& scope) { scope_ = scope.empty() ? "" : scope + "/"; }

    std::string weight(const std::string& name, const Integers& shape,
                       const std::vector<float>& values) {
        onnx::TensorProto& tensor = initializer(name, shape, onnx::TensorProto::FLOAT);
        tensor.set_raw_data(values.data(), values.size() * sizeof(float));
        return name;
    }

    /// Normal numbers around `mean`.
    std::string random_weight(const std::string& name, const Integers& shape, double deviation,
                              double mean = 0.0) {
        std::int64_t count = 1;
        for (const std::int64_t size : shape)
            count *= size;
        std::vector<float> values;
        for (std::int64_t i = 0; i < count; ++i)
            values.push_back(static_cast<float>(mean + deviation * random_.normal()));
        return weight(name, shape, values);
    }

    /// A constant of one dimension, or of none.
    std::string integers(const Integers& values, bool scalar = false) {
        onnx::NodeProto& node = *model_.mutable_graph()->add_node();
        node.set_name("Constant" + number());
        node.set_op_type("Constant");
        node.add_output(node.name() + "_output_0");
        onnx::AttributeProto& attribute = *node.add_attribute();
        attribute.set_name("value");
        attribute.set_type(onnx::AttributeProto::TENSOR);
        onnx::TensorProto& tensor = *attribute.mutable_t();
        tensor.set_data_type(onnx::TensorProto::INT64);
        if (!scalar) tensor.add_dims(static_cast<std::int64_t>(values.size()));
        tensor.set_raw_data(values.data(), values.size() * sizeof(std::int64_t));
        return node.output(0);
    }

    std::string scalar(float value) { return weight("scalar" + number(), {}, {value}); }

    onnx::TensorProto& initializer(const std::string& name, const Integers& shape,
                                   onnx::TensorProto::DataType type) {
        onnx::TensorProto& tensor = *model_.mutable_graph()->add_initializer();
        tensor.set_name(name);
        tensor.set_data_type(type);
        for (const std::int64_t size : shape)
            tensor.add_dims(size);
        return tensor;
    }

    void output(const std::string& tensor) {
        onnx::ValueInfoProto& info = *model_.mutable_graph()->add_output();
        info.set_name(tensor);
        info.mutable_type()->mutable_tensor_type()->set_elem_type(onnx::TensorProto::FLOAT);
    }

    // Layers, with random weights by PyTorch's names.

    struct Convolution {
        std::int64_t kernel = 3;
        std::int64_t stride = 1;
        std::int64_t groups = 1;
        bool bias = false;
    };

    std::string conv(const std::string& name, const std::string& from, std::int64_t inputs,
                     std::int64_t outputs, const Convolution& shape) {
        const std::int64_t reads = inputs / shape.groups;
        const double fan_in = static_cast<double>(reads * shape.kernel * shape.kernel);
        std::vector<std::string> tensors{
            from, random_weight(name + ".weight", {outputs, reads, shape.kernel, shape.kernel},
                                std::sqrt(2.0 / fan_in))};
        if (shape.bias) tensors.push_back(random_weight(name + ".bias", {outputs}, 0.3));
        const std::int64_t padding = shape.kernel / 2;
        return add_named("/" + name + "/Conv", "Conv", tensors,
                         {{"dilations", Integers{1, 1}},
                          {"group", static_cast<int>(shape.groups)},
                          {"kernel_shape", Integers{shape.kernel, shape.kernel}},
                          {"pads", Integers{padding, padding, padding, padding}},
                          {"strides", Integers{shape.stride, shape.stride}}})[0];
    }

    std::string batch_norm(const std::string& name, const std::string& from,
                           std::int64_t channels) {
        return add_named("/" + name + "/BatchNormalization", "BatchNormalization",
                         {from, random_weight(name + ".weight", {channels}, 0.2, 1.0),
                          random_weight(name + ".bias", {channels}, 0.2),
                          random_weight(name + ".running_mean", {channels}, 0.2),
                          random_weight(name + ".running_var", {channels}, 0.05, 1.0)},
                         {{"epsilon", 1e-5F}, {"momentum", 0.9F}})[0];
    }

    std::string gemm(const std::string& name, const std::string& from, std::int64_t inputs,
                     std::int64_t outputs) {
        return add_named("/" + name + "/Gemm", "Gemm",
                         {from, random_weight(name + ".weight", {outputs, inputs}, 0.3),
                          random_weight(name + ".bias", {outputs}, 0.3)},
                         {{"alpha", 1.0F}, {"beta", 1.0F}, {"transB", 1}})[0];
    }

  private:
    std::string number() { return "_" + std::to_string(++numbered_); }

    static void describe(onnx::ValueInfoProto& info, const std::string& name,
                         const Integers& shape) {
        info.set_name(name);
        onnx::TypeProto::Tensor& type = *info.mutable_type()->mutable_tensor_type();
        type.set_elem_type(onnx::TensorProto::FLOAT);
        for (const std::int64_t size : shape) {
            onnx::TensorShapeProto::Dimension& dim = *type.mutable_shape()->add_dim();
            if (size > 0)
                dim.set_dim_value(size);
            else
                dim.set_dim_param("size" + std::to_string(type.shape().dim_size()));
        }
    }

    static void set(onnx::AttributeProto& proto, const OnnxAttribute& attribute) {
        proto.set_name(attribute.name);
        if (const auto* integer = std::get_if<std::int64_t>(&attribute.value)) {
            proto.set_type(onnx::AttributeProto::INT);
            proto.set_i(*integer);
        } else if (const auto* real = std::get_if<float>(&attribute.value)) {
            proto.set_type(onnx::AttributeProto::FLOAT);
            proto.set_f(*real);
        } else if (const auto* text = std::get_if<std::string>(&attribute.value)) {
            proto.set_type(onnx::AttributeProto::STRING);
            proto.set_s(*text);
        } else if (const auto* reals = std::get_if<std::vector<float>>(&attribute.value)) {
            proto.set_type(onnx::AttributeProto::FLOATS);
            for (const float value : *reals)
                proto.add_floats(value);
        } else {
            proto.set_type(onnx::AttributeProto::INTS);
            for (const std::int64_t value : std::get<Integers>(attribute.value))
                proto.add_ints(value);
        }
    }

    onnx::ModelProto model_;
    std::string scope_;
    int numbered_ = 0;
    core::RandomStream random_{7, core::StreamId::testing};
};

} // namespace hdap::network::testing
