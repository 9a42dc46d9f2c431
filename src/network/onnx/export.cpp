#include "hdap/core/error.hpp"
#include "hdap/core/provenance.hpp"
#include "hdap/core/text.hpp"
#include "hdap/network/fold_batch_norm.hpp"
#include "hdap/network/onnx.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "proto.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <onnx/checker.h>
#include <set>
#include <utility>

namespace hdap::network {
namespace {

using Integers = std::vector<std::int64_t>;

/// The IR version that came with an opset.
std::int64_t ir_version(std::int64_t opset) {
    return opset < 15 ? 7 : 8;
}

void set_attribute(onnx::NodeProto& node, const char* name, std::int64_t value) {
    onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(onnx::AttributeProto::INT);
    attribute.set_i(value);
}

void set_attribute(onnx::NodeProto& node, const char* name, double value) {
    onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(onnx::AttributeProto::FLOAT);
    attribute.set_f(static_cast<float>(value));
}

void set_attribute(onnx::NodeProto& node, const char* name, const char* value) {
    onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(onnx::AttributeProto::STRING);
    attribute.set_s(value);
}

void set_attribute(onnx::NodeProto& node, const char* name, const Integers& values) {
    onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(onnx::AttributeProto::INTS);
    for (const std::int64_t value : values)
        attribute.add_ints(value);
}

/// How many windows of a pool fit into an image, by ONNX's formulas.
Extent count_windows(const Node& node, const Extent& image, bool round_up) {
    const auto count = [round_up](std::int64_t size, std::int64_t kernel, std::int64_t padding,
                                  std::int64_t stride) {
        return (size + 2 * padding - kernel + (round_up ? stride - 1 : 0)) / stride + 1;
    };
    return {count(image.height, node.kernel.height, node.padding.height, node.stride.height),
            count(image.width, node.kernel.width, node.padding.width, node.stride.width)};
}

/// The padding below and to the right that reaches to the end of the last of `windows`.
Extent padding_to_last(const Node& node, const Extent& image, const Extent& windows) {
    const auto reach = [](std::int64_t count, std::int64_t size, std::int64_t kernel,
                          std::int64_t padding, std::int64_t stride) {
        return std::max(padding, (count - 1) * stride + kernel - size - padding);
    };
    return {reach(windows.height, image.height, node.kernel.height, node.padding.height,
                  node.stride.height),
            reach(windows.width, image.width, node.kernel.width, node.padding.width,
                  node.stride.width)};
}

/// Writes the nodes of one network, one after the other, into a graph.
class GraphWriter {
  public:
    GraphWriter(const Network& network, const Weights& weights, std::int64_t opset,
                onnx::GraphProto& graph)
        : network_(network), shapes_(infer_shapes(network)), opset_(opset), graph_(graph) {
        graph_.set_name(network.name);
        for (const auto& [name, shape] : expected_shapes(network)) {
            names_.insert(name);
            add_initializer(name, shape, onnx::TensorProto::FLOAT)
                .set_raw_data(weights.at(name).values.data(),
                              weights.at(name).values.size() * sizeof(float));
        }
        for (const Node& node : network.nodes)
            tensors_.push_back(names_.insert(node.name).second ? node.name : fresh(node.name));
    }

    void write() {
        describe(*graph_.add_input(), tensors_[0], 0);
        for (std::size_t i = 0; i < network_.nodes.size(); ++i) {
            flat_.push_back(false);
            if (i > 0) write_node(i);
        }
        std::set<std::string> returned{tensors_[0]}; // an output must be another tensor
        for (const std::size_t output : output_nodes(network_)) {
            std::string tensor = tensors_[output];
            if (!returned.insert(tensor).second) {
                const std::string copy = fresh(tensor + ".output");
                emit("Identity", {tensor}, copy);
                returned.insert(tensor = copy);
            }
            describe(*graph_.add_output(), tensor, output);
        }
    }

  private:
    [[nodiscard]] const TensorShape& shape(std::size_t node) const { return shapes_[node]; }

    /// A tensor name that is not in use yet.
    std::string fresh(const std::string& wanted) {
        std::string name = wanted;
        for (int i = 2; !names_.insert(name).second; ++i)
            name = wanted + "_" + std::to_string(i);
        return name;
    }

    onnx::TensorProto& add_initializer(const std::string& name, const Integers& dims,
                                       onnx::TensorProto::DataType type) {
        onnx::TensorProto& tensor = *graph_.add_initializer();
        tensor.set_name(name);
        tensor.set_data_type(type);
        for (const std::int64_t size : dims)
            tensor.add_dims(size);
        return tensor;
    }

    void describe(onnx::ValueInfoProto& info, const std::string& name, std::size_t node) {
        info.set_name(name);
        onnx::TypeProto::Tensor& type = *info.mutable_type()->mutable_tensor_type();
        type.set_elem_type(onnx::TensorProto::FLOAT);
        type.mutable_shape()->add_dim()->set_dim_param("N");
        type.mutable_shape()->add_dim()->set_dim_value(shape(node).channels);
        if (flat_.size() > node && flat_[node]) return;
        type.mutable_shape()->add_dim()->set_dim_value(shape(node).extent.height);
        type.mutable_shape()->add_dim()->set_dim_value(shape(node).extent.width);
    }

    /// The constant of this name and shape; made when it is first asked for.
    template <class Element>
    std::string constant(const std::string& wanted, const Integers& dims,
                         onnx::TensorProto::DataType type, const std::vector<Element>& values) {
        std::string& name = constants_[wanted];
        if (name.empty()) {
            name = fresh(wanted);
            add_initializer(name, dims, type)
                .set_raw_data(values.data(), values.size() * sizeof(Element));
        }
        return name;
    }

    std::string constant(const Integers& values) {
        std::string name = "ints";
        for (const std::int64_t value : values)
            name += "_" + std::to_string(value);
        return constant(name, {static_cast<std::int64_t>(values.size())}, onnx::TensorProto::INT64,
                        values);
    }

    std::string scalar(float value) {
        return constant("float_" + core::shortest(static_cast<double>(value)), {},
                        onnx::TensorProto::FLOAT, std::vector<float>{value});
    }

    /// Appends an ONNX node that makes `output`, and is named as it.
    onnx::NodeProto& emit(const char* type, const std::vector<std::string>& inputs,
                          const std::string& output) {
        onnx::NodeProto& node = *graph_.add_node();
        node.set_name(output);
        node.set_op_type(type);
        for (const std::string& input : inputs)
            node.add_input(input);
        node.add_output(output);
        return node;
    }

    /// The tensor of `node` as [N, C, H, W].
    std::string image(std::size_t node) {
        if (!flat_[node]) return tensors_[node];
        std::string& tensor = images_[node];
        if (tensor.empty()) {
            tensor = fresh(tensors_[node] + ".image");
            emit("Unsqueeze", {tensors_[node], constant(Integers{2, 3})}, tensor);
        }
        return tensor;
    }

    /// The tensor of `node`, which is 1 × 1, as [N, C].
    std::string vector(std::size_t node) {
        if (flat_[node]) return tensors_[node];
        std::string& tensor = vectors_[node];
        if (tensor.empty()) {
            tensor = fresh(tensors_[node] + ".vector");
            set_attribute(emit("Flatten", {tensors_[node]}, tensor), "axis", std::int64_t{1});
        }
        return tensor;
    }

    /// The inputs of an operator that takes [N, C] as well as [N, C, H, W], but only one of them.
    std::vector<std::string> inputs_alike(std::size_t i) {
        const std::vector<std::size_t>& inputs = network_.nodes[i].inputs;
        bool flat = true;
        for (const std::size_t input : inputs)
            flat = flat && flat_[input];
        flat_[i] = flat;
        std::vector<std::string> tensors;
        for (const std::size_t input : inputs)
            tensors.push_back(flat ? tensors_[input] : image(input));
        return tensors;
    }

    void write_node(std::size_t i) {
        switch (network_.nodes[i].op) {
        case Operator::conv2d:
            return write_convolution(i);
        case Operator::linear:
            return write_linear(i);
        case Operator::batch_norm:
            return write_batch_norm(i);
        case Operator::add:
        case Operator::multiply:
            return write_elementwise(i);
        case Operator::concat:
            return set_attribute(emit("Concat", inputs_alike(i), tensors_[i]), "axis",
                                 std::int64_t{1});
        case Operator::slice:
            return write_slice(i);
        case Operator::channel_shuffle:
            return write_shuffle(i);
        case Operator::pad:
            return write_pad(i);
        case Operator::max_pool:
        case Operator::average_pool:
            return write_pool(i);
        case Operator::global_average_pool:
            return void(
                emit("GlobalAveragePool", {image(network_.nodes[i].inputs[0])}, tensors_[i]));
        case Operator::resize_nearest:
        case Operator::resize_bilinear:
            return write_resize(i);
        case Operator::flatten:
            flat_[i] = true;
            return set_attribute(
                emit("Flatten", {tensors_[network_.nodes[i].inputs[0]]}, tensors_[i]), "axis",
                std::int64_t{1});
        default:
            return write_activation(i);
        }
    }

    void write_activation(std::size_t i) {
        const Node& node = network_.nodes[i];
        const std::string input = inputs_alike(i)[0];
        const auto simple = [&](const char* type) -> onnx::NodeProto& {
            return emit(type, {input}, tensors_[i]);
        };
        switch (node.op) {
        case Operator::relu:
            return void(simple("Relu"));
        case Operator::relu6:
            return void(emit("Clip", {input, scalar(0.0F), scalar(6.0F)}, tensors_[i]));
        case Operator::leaky_relu:
            return set_attribute(simple("LeakyRelu"), "alpha", node.negative_slope);
        case Operator::silu:
            return write_gate(i, input, "Sigmoid");
        case Operator::sigmoid:
            return void(simple("Sigmoid"));
        case Operator::tanh:
            return void(simple("Tanh"));
        case Operator::hard_sigmoid:
            return set_hard_sigmoid(simple("HardSigmoid"));
        case Operator::hard_swish:
            if (opset_ >= 14) return void(simple("HardSwish"));
            return write_gate(i, input, "HardSigmoid");
        case Operator::softmax:
            return set_attribute(simple("Softmax"), "axis", std::int64_t{1});
        case Operator::identity:
            return void(simple("Identity"));
        default:
            throw core::InternalError(
                fmt::format("operator {} cannot be written as ONNX", operator_name(node.op)));
        }
    }

    static void set_hard_sigmoid(onnx::NodeProto& node) {
        set_attribute(node, "alpha", 1.0 / 6.0);
        set_attribute(node, "beta", 0.5);
    }

    /// x · sigmoid(x), or with the hard sigmoid.
    void write_gate(std::size_t i, const std::string& input, const char* sigmoid) {
        const std::string gate = fresh(tensors_[i] + ".gate");
        onnx::NodeProto& node = emit(sigmoid, {input}, gate);
        if (node.op_type() == "HardSigmoid") set_hard_sigmoid(node);
        emit("Mul", {input, gate}, tensors_[i]);
    }

    void write_convolution(std::size_t i) {
        const Node& node = network_.nodes[i];
        std::vector<std::string> inputs{image(node.inputs[0]), node.name + ".weight"};
        if (node.bias) inputs.push_back(node.name + ".bias");
        onnx::NodeProto& proto = emit("Conv", inputs, tensors_[i]);
        set_attribute(proto, "dilations", {node.dilation.height, node.dilation.width});
        set_attribute(proto, "group", node.groups);
        set_window(proto, node);
    }

    static void set_window(onnx::NodeProto& proto, const Node& node) {
        set_window(proto, node, node.padding);
    }

    /// With another padding below and to the right.
    static void set_window(onnx::NodeProto& proto, const Node& node, const Extent& padding_after) {
        set_attribute(proto, "kernel_shape", {node.kernel.height, node.kernel.width});
        set_attribute(
            proto, "pads",
            {node.padding.height, node.padding.width, padding_after.height, padding_after.width});
        set_attribute(proto, "strides", {node.stride.height, node.stride.width});
    }

    void write_linear(std::size_t i) {
        const Node& node = network_.nodes[i];
        std::vector<std::string> inputs{vector(node.inputs[0]), node.name + ".weight"};
        if (node.bias) inputs.push_back(node.name + ".bias");
        set_attribute(emit("Gemm", inputs, tensors_[i]), "transB", std::int64_t{1});
        flat_[i] = true;
    }

    void write_batch_norm(std::size_t i) {
        const Node& node = network_.nodes[i];
        std::vector<std::string> inputs{image(node.inputs[0])};
        for (const char* suffix : {".weight", ".bias", ".running_mean", ".running_var"})
            inputs.push_back(node.name + suffix);
        set_attribute(emit("BatchNormalization", inputs, tensors_[i]), "epsilon", node.epsilon);
    }

    void write_elementwise(std::size_t i) {
        const Node& node = network_.nodes[i];
        const std::vector<std::string> inputs = inputs_alike(i);
        if (node.op == Operator::add && inputs.size() > 2)
            return void(emit("Sum", inputs, tensors_[i]));
        const char* const type = node.op == Operator::add ? "Add" : "Mul";
        std::string product = inputs[0];
        for (std::size_t k = 1; k < inputs.size(); ++k) {
            const bool last = k + 1 == inputs.size();
            const std::string output =
                last ? tensors_[i] : fresh(tensors_[i] + "." + std::to_string(k));
            emit(type, {product, inputs[k]}, output);
            product = output;
        }
    }

    void write_slice(std::size_t i) {
        const Node& node = network_.nodes[i];
        std::vector<std::string> inputs = inputs_alike(i);
        inputs.push_back(constant(Integers{node.first_channel}));
        inputs.push_back(constant(Integers{node.first_channel + node.output_channels}));
        inputs.push_back(constant(Integers{1}));
        emit("Slice", inputs, tensors_[i]);
    }

    void write_shuffle(std::size_t i) {
        const Node& node = network_.nodes[i];
        const auto [channels, extent] = shape(i);
        const std::string split = fresh(tensors_[i] + ".split");
        const std::string swapped = fresh(tensors_[i] + ".swapped");
        // A size of 0 keeps the batch.
        emit("Reshape",
             {image(node.inputs[0]), constant(Integers{0, node.groups, channels / node.groups,
                                                       extent.height, extent.width})},
             split);
        set_attribute(emit("Transpose", {split}, swapped), "perm", {0, 2, 1, 3, 4});
        emit("Reshape", {swapped, constant(Integers{0, channels, extent.height, extent.width})},
             tensors_[i]);
    }

    std::string emit_pad(const std::string& input, const Integers& pads,
                         const std::string& output) {
        set_attribute(emit("Pad", {input, constant(pads)}, output), "mode", "constant");
        return output;
    }

    void write_pad(std::size_t i) {
        const Node& node = network_.nodes[i];
        emit_pad(image(node.inputs[0]),
                 {0, node.channels_before, node.padding.height, node.padding.width, 0,
                  node.channels_after, node.padding_after.height, node.padding_after.width},
                 tensors_[i]);
    }

    void write_pool(std::size_t i) {
        Node node = network_.nodes[i];
        std::string input = image(node.inputs[0]);
        Extent from = shape(node.inputs[0]).extent;
        const Extent& to = shape(i).extent;
        const bool maximum = node.op == Operator::max_pool;
        const bool reaches_over = to != count_windows(node, from, false);
        if (!maximum && reaches_over && node.count_include_pad) {
            // The padding counts, but what lies beyond it does not: make the padding pixels.
            const auto [top, left] = std::exchange(node.padding, {0, 0});
            node.count_include_pad = false;
            from = {from.height + 2 * top, from.width + 2 * left};
            if (top > 0 || left > 0)
                input = emit_pad(input, {0, 0, top, left, 0, 0, top, left},
                                 fresh(tensors_[i] + ".padded"));
        }
        // Runtimes differ in which windows beyond the border they drop, so they are asked to round
        // up only when none is dropped. Else the padding says where the last window ends.
        const bool rounds_up = node.ceil_mode && to == count_windows(node, from, true);
        onnx::NodeProto& proto = emit(maximum ? "MaxPool" : "AveragePool", {input}, tensors_[i]);
        set_attribute(proto, "ceil_mode", std::int64_t{rounds_up});
        if (!maximum)
            set_attribute(proto, "count_include_pad", std::int64_t{node.count_include_pad});
        set_window(proto, node,
                   reaches_over && !rounds_up ? padding_to_last(node, from, to) : node.padding);
    }

    /// ONNX computes the nearest pixel in other steps, which for some sizes gives another one.
    void check_nearest(const Node& node, std::int64_t from, std::int64_t to) const {
        for (std::int64_t pixel = 0; pixel < to; ++pixel)
            if (nearest_pixel(pixel, from, to) != pixel * from / to)
                throw core::DataError(fmt::format("node '{}' resizes {} to {} pixels, of which "
                                                  "ONNX takes others; write another format",
                                                  node.name, from, to));
    }

    void write_resize(std::size_t i) {
        const Node& node = network_.nodes[i];
        const std::string input = image(node.inputs[0]);
        std::vector<std::string> inputs{input, ""};
        const TensorShape& from = shape(node.inputs[0]);
        if (node.op == Operator::resize_nearest) {
            check_nearest(node, from.extent.height, node.size.height);
            check_nearest(node, from.extent.width, node.size.width);
        }
        const auto scale = [](std::int64_t size, std::int64_t original) {
            return static_cast<float>(static_cast<double>(size) / static_cast<double>(original));
        };
        const std::vector<float> scales{1.0F, 1.0F, scale(node.size.height, from.extent.height),
                                        scale(node.size.width, from.extent.width)};
        const auto exact = [](float factor, std::int64_t original, std::int64_t size) {
            return static_cast<double>(factor) * static_cast<double>(original) ==
                   static_cast<double>(size);
        };
        if (exact(scales[2], from.extent.height, node.size.height) &&
            exact(scales[3], from.extent.width, node.size.width)) {
            inputs.push_back(constant(
                fmt::format("scales_{}_{}", core::shortest(scales[2]), core::shortest(scales[3])),
                {4}, onnx::TensorProto::FLOAT, scales));
        } else {
            inputs.emplace_back();
            inputs.push_back(emit_sizes(i, input));
        }
        onnx::NodeProto& proto = emit("Resize", inputs, tensors_[i]);
        const bool nearest = node.op == Operator::resize_nearest;
        set_attribute(proto, "mode", nearest ? "nearest" : "linear");
        if (nearest) set_attribute(proto, "nearest_mode", "floor");
        set_attribute(proto, "coordinate_transformation_mode",
                      nearest              ? "asymmetric"
                      : node.align_corners ? "align_corners"
                                           : "half_pixel");
    }

    /// The shape of `input` with another height and width, whatever the batch is.
    std::string emit_sizes(std::size_t i, const std::string& input) {
        const Node& node = network_.nodes[i];
        const std::string whole = fresh(tensors_[i] + ".shape");
        const std::string batch = fresh(tensors_[i] + ".batch");
        std::string sizes = fresh(tensors_[i] + ".sizes");
        emit("Shape", {input}, whole);
        emit("Slice", {whole, constant(Integers{0}), constant(Integers{1})}, batch);
        set_attribute(
            emit("Concat",
                 {batch, constant(Integers{shape(i).channels, node.size.height, node.size.width})},
                 sizes),
            "axis", std::int64_t{0});
        return sizes;
    }

    const Network& network_;
    std::vector<TensorShape> shapes_;
    std::int64_t opset_;
    onnx::GraphProto& graph_;
    std::set<std::string> names_;                  ///< of all tensors
    std::vector<std::string> tensors_;             ///< per node: the tensor that it makes
    std::vector<bool> flat_;                       ///< per node: it is [N, C]
    std::map<std::size_t, std::string> images_;    ///< flat tensors as [N, C, 1, 1]
    std::map<std::size_t, std::string> vectors_;   ///< tensors of 1 × 1 as [N, C]
    std::map<std::string, std::string> constants_; ///< by what they hold
};

void check_size(const Network& network) {
    std::int64_t elements = 0;
    for (const auto& [name, shape] : expected_shapes(network))
        elements += std::accumulate(shape.begin(), shape.end(), std::int64_t{1},
                                    std::multiplies<>()); // infer_shapes has bounded it
    constexpr std::size_t room_for_the_graph = std::size_t{1} << 26;
    const std::size_t bytes = static_cast<std::size_t>(elements) * sizeof(float);
    if (bytes > max_onnx_bytes - room_for_the_graph)
        throw core::DataError(
            fmt::format("network '{}' has {} GB of weights, an ONNX file holds at most 2 GB; keep "
                        "fewer channels, or write another format",
                        network.name, core::significant(static_cast<double>(bytes) / 1e9)));
}

void add_metadata(onnx::ModelProto& model, const Normalisation& normalisation) {
    for (const auto& [key, value] : normalisation_entries(normalisation)) {
        onnx::StringStringEntryProto* const entry = model.add_metadata_props();
        entry->set_key(key);
        entry->set_value(value);
    }
}

onnx::ModelProto make_model(const Network& network, const Weights& weights,
                            const OnnxExportParameters& parameters) {
    const std::int64_t opset = parameters.opset;
    onnx::ModelProto model;
    const core::Provenance provenance = core::current_provenance();
    model.set_ir_version(ir_version(opset));
    model.set_producer_name(provenance.software);
    model.set_producer_version(provenance.software_version);
    model.add_opset_import()->set_version(opset);
    GraphWriter(network, weights, opset, *model.mutable_graph()).write();
    if (parameters.normalisation) add_metadata(model, *parameters.normalisation);
    return model;
}

} // namespace

std::vector<std::byte> encode_onnx(const Network& network, const Weights& weights,
                                   const OnnxExportParameters& parameters) {
    if (parameters.opset < 13 || parameters.opset > 17)
        throw core::ConfigError(fmt::format("opset is {}, must be in [13, 17]", parameters.opset));
    if (parameters.fold_batch_norm) {
        const PrunedNetwork folded = fold_batch_norms(network, weights);
        OnnxExportParameters unfolded = parameters;
        unfolded.fold_batch_norm = false;
        return encode_onnx(folded.network, folded.weights, unfolded);
    }
    check_size(network);
    check_weights(network, weights);
    const onnx::ModelProto model = make_model(network, weights, parameters);
    try {
        onnx::checker::check_model(model);
    } catch (const std::exception& error) {
        throw core::InternalError(fmt::format("network '{}' became an invalid ONNX model: {}",
                                              network.name, error.what()));
    }
    std::vector<std::byte> bytes(model.ByteSizeLong());
    if (bytes.size() > max_onnx_bytes ||
        !model.SerializeToArray(bytes.data(), static_cast<int>(bytes.size())))
        throw core::InternalError(
            fmt::format("network '{}' cannot be written as ONNX", network.name));
    return bytes;
}

void write_onnx(const std::filesystem::path& path, const Network& network, const Weights& weights,
                const OnnxExportParameters& parameters) {
    storage::write_atomically(path, encode_onnx(network, weights, parameters));
}

} // namespace hdap::network
