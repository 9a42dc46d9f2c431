#include "hdap/core/error.hpp"
#include "importer.hpp"
#include "network/tensor_check.hpp"
#include "window.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace hdap::network {
namespace {

/// One number for each of `count` channels, or one for all.
std::vector<float> channel_parameter(const Constant& constant, std::int64_t count) {
    constant.check_finite();
    const std::vector<float>& values = constant.floats();
    const auto size = static_cast<std::size_t>(count);
    if (values.size() == 1) return std::vector<float>(size, values[0]);
    if (values.size() != size || *std::max_element(constant.shape.begin(), constant.shape.end()) !=
                                     static_cast<std::int64_t>(size))
        throw core::DataError(fmt::format("tensor '{}' of shape {} does not fit {} channels",
                                          constant.name, shape_text(constant.shape), count));
    return values;
}

/// Makes a convolution of what was blocks of an image's pixels one of the image itself, with a
/// kernel and a stride that are larger by the blocks. Its channels then are those of the image.
std::size_t read_pixels(OnnxImporter& importer, const SpaceToDepth& blocks, Constant& weight,
                        Window& window) {
    importer.budget().take(element_count(weight.shape), sizeof(float));
    Tensor filters = over_pixels({weight.shape, weight.floats()}, blocks);
    for (Extent* part : {&window.kernel, &window.stride, &window.before, &window.after})
        *part = product(*part, blocks.block);
    weight = make_constant(weight.name, filters.shape, std::move(filters.values));
    return blocks.node;
}

void import_convolution(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(3);
    Constant weight = importer.constant(node.input(1), "weight");
    if (weight.shape.size() != 4)
        throw core::DataError(fmt::format("the weight '{}' has shape {}; only convolutions of "
                                          "images, with 4 dimensions, are supported",
                                          weight.name, shape_text(weight.shape)));
    const Extent kernel{weight.shape[2], weight.shape[3]};
    if (extent_attribute(node, "kernel_shape", 1, kernel) != kernel)
        throw core::DataError("attribute 'kernel_shape' is not that of the weight " +
                              shape_text(weight.shape));
    std::size_t input = importer.image(node.input(0));
    Window window = read_window(node, kernel, importer.shape(input).extent);
    Node layer;
    layer.op = Operator::conv2d;
    layer.output_channels = weight.shape[0];
    layer.groups = node.integer("group", 1);
    if (const auto blocks = importer.samples().joined_by(importer.node(input));
        blocks && layer.groups == 1 && window.dilation == Extent{1, 1} &&
        weight.shape[1] == importer.shape(input).channels)
        input = read_pixels(importer, *blocks, weight, window);
    layer.kernel = window.kernel;
    layer.stride = window.stride;
    layer.dilation = window.dilation;
    const std::string name = layer_name(node, weight);
    if (window.before == window.after)
        layer.padding = window.before;
    else
        input = append_padding(importer, input, window, name + ".pad");
    layer.inputs = {input};
    layer.bias = node.has_input(2);
    const std::size_t index = importer.append(std::move(layer), name);
    weight.check_finite();
    const std::vector<std::int64_t> shape = weight.shape;
    // append has checked the groups.
    const std::int64_t inputs = importer.shape(input).channels / importer.node(index).groups;
    if (shape[1] != inputs)
        throw core::DataError(
            fmt::format("the weight '{}' has shape {}, its filters should read {} channels",
                        weight.name, shape_text(shape), inputs));
    importer.add_parameter(index, ".weight", shape, std::move(weight).take_floats());
    if (node.has_input(2))
        importer.add_parameter(
            index, ".bias", {shape[0]},
            channel_parameter(importer.constant(node.input(2), "bias"), shape[0]));
    importer.define_node(node.output(0), index, false);
}

std::vector<float> transposed(const std::vector<float>& values, std::int64_t rows,
                              std::int64_t columns) {
    std::vector<float> result;
    result.reserve(values.size());
    for (std::int64_t c = 0; c < columns; ++c)
        for (std::int64_t r = 0; r < rows; ++r)
            result.push_back(values[static_cast<std::size_t>(r * columns + c)]);
    return result;
}

void scale(std::vector<float>& values, double factor) {
    if (factor == 1.0) return;
    for (float& value : values)
        value = static_cast<float>(static_cast<double>(value) * factor);
}

/// Appends a linear layer with this weight, [out, in], or [in, out] if `transpose`. What shuffles
/// its input, as positions before channels do, it takes over.
std::size_t append_linear(OnnxImporter& importer, const OnnxNode& node, Constant weight,
                          bool transpose, double factor, bool bias) {
    const Feature& input = importer.tensor(node.input(0));
    if (input.dims.size() != 1)
        throw core::DataError(fmt::format(
            "reads '{}' of shape {} without the batch; a linear layer needs [batch, channels]",
            node.input(0), shape_text(input.dims)));
    if (weight.shape.size() != 2)
        throw core::DataError(fmt::format("the weight '{}' has shape {}, must have 2 dimensions",
                                          weight.name, shape_text(weight.shape)));
    if (!transpose) weight.check_finite();
    const std::int64_t outputs = weight.shape[transpose ? 1 : 0];
    const std::int64_t inputs = weight.shape[transpose ? 0 : 1];
    if (inputs != input.dims[0])
        throw core::DataError(
            fmt::format("the weight '{}' of shape {} does not fit an input of {} channels",
                        weight.name, shape_text(weight.shape), input.dims[0]));
    Node layer;
    layer.op = Operator::linear;
    layer.inputs = {input.node};
    layer.output_channels = outputs;
    layer.bias = bias;
    const Node before = importer.node(input.node);
    const bool shuffled = before.op == Operator::channel_shuffle;
    if (shuffled) layer.inputs = before.inputs;
    const std::size_t index = importer.append(std::move(layer), layer_name(node, weight));
    std::vector<float> values = std::move(weight).take_floats();
    if (transpose) {
        importer.budget().take(outputs * inputs, sizeof(float));
        values = transposed(values, inputs, outputs);
    }
    if (shuffled) {
        importer.budget().take(outputs * inputs, sizeof(float));
        values = columns_before_shuffle(values, inputs, before.groups);
    }
    scale(values, factor);
    importer.add_parameter(index, ".weight", {outputs, inputs}, std::move(values));
    return index;
}

void import_gemm(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(3);
    if (node.flag("transA", false))
        throw core::DataError("attribute 'transA' is set; export the layer as Linear or Dense");
    const bool transpose = !node.flag("transB", false);
    const std::size_t index =
        append_linear(importer, node, importer.constant(node.input(1), "weight"), transpose,
                      node.number("alpha", 1.0), node.has_input(2));
    const double beta = node.number("beta", 1.0);
    if (node.has_input(2)) {
        const std::int64_t channels = importer.shape(index).channels;
        std::vector<float> bias =
            channel_parameter(importer.constant(node.input(2), "bias"), channels);
        scale(bias, beta);
        importer.add_parameter(index, ".bias", {channels}, std::move(bias));
    }
    importer.define_node(node.output(0), index, true);
}

void import_matmul(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(2);
    const std::size_t index =
        append_linear(importer, node, importer.constant(node.input(1), "weight"), true, 1.0, false);
    importer.define_node(node.output(0), index, true);
}

void import_batch_norm(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(5);
    node.ignore("momentum");
    if (node.flag("training_mode", false))
        throw core::DataError("is in training mode; export the network for inference");
    if (!node.flag("spatial", true))
        throw core::DataError("normalises every pixel by itself (spatial = 0), which is not "
                              "supported; train with one scale per channel");
    const Feature input = importer.tensor(node.input(0));
    const Constant scale = importer.constant(node.input(1), "scale");
    Node norm;
    norm.op = Operator::batch_norm;
    norm.inputs = {input.node};
    norm.epsilon = node.number("epsilon", 1e-5);
    const std::size_t index = importer.append(std::move(norm), layer_name(node, scale));
    const std::int64_t channels = importer.shape(index).channels;
    constexpr const char* suffixes[] = {".weight", ".bias", ".running_mean", ".running_var"};
    for (std::size_t i = 0; i < std::size(suffixes); ++i)
        importer.add_parameter(
            index, suffixes[i], {channels},
            channel_parameter(importer.constant(node.input(i + 1), "parameter"), channels));
    importer.define_node(node.output(0), index, input.dims.size() == 1);
}

} // namespace

std::map<std::string, ImportOperator> layer_operators() {
    return {{"BatchNormalization", import_batch_norm},
            {"Conv", import_convolution},
            {"Gemm", import_gemm},
            {"MatMul", import_matmul}};
}

} // namespace hdap::network
