#include "hdap/network/graph.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <set>

namespace hdap::network {
namespace {

/// Bounds that no sensible network meets. They keep every count far from the limits of 64 bits and
/// every allocation made for a hostile file small.
constexpr std::int64_t max_channels = std::int64_t{1} << 20;
constexpr std::int64_t max_extent = std::int64_t{1} << 14;
constexpr std::int64_t max_window = std::int64_t{1} << 10;
constexpr std::int64_t max_elements = std::int64_t{1} << 29;
constexpr std::int64_t max_tensor_channels = std::int64_t{1} << 22;
constexpr std::int64_t max_total_channels = std::int64_t{1} << 22;
constexpr std::size_t max_nodes = std::size_t{1} << 13;

std::string text(const Extent& extent) {
    return fmt::format("{} x {}", extent.height, extent.width);
}

/// One node with what messages about it need.
class NodeCheck {
  public:
    NodeCheck(const Network& network, std::size_t index) : network_(network), index_(index) {}

    [[nodiscard]] const Node& node() const { return network_.nodes[index_]; }

    [[noreturn]] void fail(const std::string& what) const {
        throw core::DataError(fmt::format("network '{}', node {} ('{}'): {}", network_.name, index_,
                                          node().name, what));
    }

    void in_range(const char* field, std::int64_t value, std::int64_t low,
                  std::int64_t high) const {
        if (value < low || value > high)
            fail(fmt::format("{} is {}, must be in [{}, {}]", field, value, low, high));
    }

    void in_range(const char* field, const Extent& value, std::int64_t low,
                  std::int64_t high) const {
        in_range((std::string(field) + " height").c_str(), value.height, low, high);
        in_range((std::string(field) + " width").c_str(), value.width, low, high);
    }

    void inputs_point_backwards() const {
        for (const std::size_t input : node().inputs)
            if (input >= index_) fail(fmt::format("input {} is not an earlier node", input));
    }

    void has_inputs(std::size_t least, std::size_t most) const {
        const std::size_t count = node().inputs.size();
        if (count < least || count > most)
            fail(fmt::format("has {}, expected {}", core::counted(count, "input"),
                             most == least ? std::to_string(least)
                                           : std::to_string(least) + " or more"));
    }

  private:
    const Network& network_;
    std::size_t index_;
};

/// The windows of a convolution or pooling along both directions.
Extent window_count(const NodeCheck& check, const Extent& input, const Extent& dilation) {
    const Node& node = check.node();
    check.in_range("kernel", node.kernel, 1, max_window);
    check.in_range("stride", node.stride, 1, max_window);
    check.in_range("padding", node.padding, 0, max_window);
    check.in_range("dilation", dilation, 1, max_window);
    const auto count = [&](std::int64_t size, std::int64_t kernel, std::int64_t padding,
                           std::int64_t stride, std::int64_t step) {
        const std::int64_t room = size + 2 * padding - step * (kernel - 1) - 1;
        if (room < 0)
            check.fail(
                fmt::format("a kernel of {} does not fit into an input of {} with a padding of {}",
                            text(node.kernel), text(input), text(node.padding)));
        if (!node.ceil_mode) return room / stride + 1;
        const std::int64_t windows = (room + stride - 1) / stride + 1;
        // A window that begins beyond the image and the padding before it does not count.
        return (windows - 1) * stride >= size + padding ? windows - 1 : windows;
    };
    return {count(input.height, node.kernel.height, node.padding.height, node.stride.height,
                  dilation.height),
            count(input.width, node.kernel.width, node.padding.width, node.stride.width,
                  dilation.width)};
}

void check_weight_count(const NodeCheck& check, std::int64_t weights) {
    if (weights > max_elements)
        check.fail(fmt::format("has {} weights, at most {} are supported", weights, max_elements));
}

TensorShape convolution_shape(const NodeCheck& check, const TensorShape& input) {
    const Node& node = check.node();
    check.in_range("output_channels", node.output_channels, 1, max_channels);
    check.in_range("groups", node.groups, 1, max_channels);
    if (node.ceil_mode) check.fail("a convolution has no ceil_mode");
    if (input.channels % node.groups != 0 || node.output_channels % node.groups != 0)
        check.fail(fmt::format(
            "groups is {}, must divide both the {} input channels and the {} output channels",
            node.groups, input.channels, node.output_channels));
    const Extent extent = window_count(check, input.extent, node.dilation);
    check_weight_count(check, node.kernel.height * node.kernel.width * node.output_channels *
                                  (input.channels / node.groups));
    return {node.output_channels, extent};
}

TensorShape pooling_shape(const NodeCheck& check, const TensorShape& input) {
    const Node& node = check.node();
    const Extent extent = window_count(check, input.extent, {1, 1});
    if (2 * node.padding.height > node.kernel.height || 2 * node.padding.width > node.kernel.width)
        check.fail(fmt::format("a padding of {} is more than half a kernel of {}",
                               text(node.padding), text(node.kernel)));
    return {input.channels, extent};
}

TensorShape linear_shape(const NodeCheck& check, const TensorShape& input) {
    const Node& node = check.node();
    check.in_range("output_channels", node.output_channels, 1, max_channels);
    if (input.extent != Extent{1, 1})
        check.fail(fmt::format("a linear layer needs an input of 1 x 1, got {}; put a "
                               "global_average_pool or flatten before it",
                               text(input.extent)));
    check_weight_count(check, node.output_channels * input.channels);
    return {node.output_channels, {1, 1}};
}

/// The shape that all inputs of an addition or multiplication are repeated to.
TensorShape elementwise_shape(const NodeCheck& check, const std::vector<TensorShape>& shapes) {
    const std::vector<std::size_t>& inputs = check.node().inputs;
    TensorShape result = shapes[inputs.front()];
    const auto merge = [](std::int64_t& a, std::int64_t b) { a = a == 1 ? b : a; };
    for (const std::size_t input : inputs) {
        merge(result.channels, shapes[input].channels);
        if (result.extent == Extent{1, 1}) result.extent = shapes[input].extent;
    }
    for (const std::size_t input : inputs) {
        const TensorShape& shape = shapes[input];
        const bool fits = (shape.channels == result.channels || shape.channels == 1) &&
                          (shape.extent == result.extent || shape.extent == Extent{1, 1});
        if (!fits)
            check.fail(fmt::format(
                "combines tensors of different shapes: {} (node {}) and {} (node {})",
                text_of(shapes[inputs.front()]), inputs.front(), text_of(shape), input));
    }
    return result;
}

TensorShape concat_shape(const NodeCheck& check, const std::vector<TensorShape>& shapes) {
    const std::vector<std::size_t>& inputs = check.node().inputs;
    TensorShape result{0, shapes[inputs.front()].extent};
    for (const std::size_t input : inputs) {
        if (shapes[input].extent != result.extent)
            check.fail(fmt::format(
                "joins tensors of different extents: {} (node {}) and {} (node {})",
                text(result.extent), inputs.front(), text(shapes[input].extent), input));
        result.channels += shapes[input].channels;
    }
    return result;
}

TensorShape slice_shape(const NodeCheck& check, const TensorShape& input) {
    const Node& node = check.node();
    check.in_range("first_channel", node.first_channel, 0, input.channels - 1);
    check.in_range("output_channels", node.output_channels, 1, input.channels - node.first_channel);
    return {node.output_channels, input.extent};
}

TensorShape pad_shape(const NodeCheck& check, const TensorShape& input) {
    const Node& node = check.node();
    check.in_range("padding", node.padding, 0, max_window);
    check.in_range("padding_after", node.padding_after, 0, max_window);
    check.in_range("channels_before", node.channels_before, 0, max_channels);
    check.in_range("channels_after", node.channels_after, 0, max_channels);
    return {input.channels + node.channels_before + node.channels_after,
            {input.extent.height + node.padding.height + node.padding_after.height,
             input.extent.width + node.padding.width + node.padding_after.width}};
}

TensorShape unary_shape(const NodeCheck& check, const TensorShape& input) {
    const Node& node = check.node();
    switch (node.op) {
    case Operator::conv2d:
        return convolution_shape(check, input);
    case Operator::linear:
        return linear_shape(check, input);
    case Operator::batch_norm:
        if (!(node.epsilon > 0.0 && node.epsilon <= 1.0))
            check.fail(
                fmt::format("epsilon is {}, must be in (0, 1]", core::shortest(node.epsilon)));
        return input;
    case Operator::leaky_relu:
        if (!(node.negative_slope >= 0.0 && node.negative_slope <= 1.0))
            check.fail(fmt::format("negative_slope is {}, must be in [0, 1]",
                                   core::shortest(node.negative_slope)));
        return input;
    case Operator::channel_shuffle:
        check.in_range("groups", node.groups, 1, input.channels);
        if (input.channels % node.groups != 0)
            check.fail(fmt::format("groups is {}, must divide the {} channels", node.groups,
                                   input.channels));
        return input;
    case Operator::slice:
        return slice_shape(check, input);
    case Operator::pad:
        return pad_shape(check, input);
    case Operator::max_pool:
    case Operator::average_pool:
        return pooling_shape(check, input);
    case Operator::global_average_pool:
        return {input.channels, {1, 1}};
    case Operator::resize_nearest:
    case Operator::resize_bilinear:
        check.in_range("size", node.size, 1, max_extent);
        return {input.channels, node.size};
    case Operator::flatten:
        return {input.channels * input.extent.height * input.extent.width, {1, 1}};
    default:
        if (node.op != Operator::softmax && !is_activation(node.op))
            check.fail("unknown operator " + std::to_string(static_cast<int>(node.op)));
        return input;
    }
}

TensorShape output_shape(const NodeCheck& check, const Extent& input_extent,
                         const std::vector<TensorShape>& shapes) {
    const Node& node = check.node();
    switch (node.op) {
    case Operator::input:
        check.has_inputs(0, 0);
        check.in_range("output_channels", node.output_channels, 1, max_channels);
        check.in_range("input", input_extent, 1, max_extent);
        return {node.output_channels, input_extent};
    case Operator::add:
    case Operator::multiply:
        check.has_inputs(2, max_nodes);
        return elementwise_shape(check, shapes);
    case Operator::concat:
        check.has_inputs(1, max_nodes);
        return concat_shape(check, shapes);
    default:
        check.has_inputs(1, 1);
        return unary_shape(check, shapes[node.inputs.front()]);
    }
}

void check_name(const NodeCheck& check, std::set<std::string>& seen) {
    const std::string& name = check.node().name;
    if (name.empty()) check.fail("has no name");
    // Parameters are stored under the node's name, where '/' separates groups.
    if (name.find('/') != std::string::npos) check.fail("the name must not contain '/'");
    if (!seen.insert(name).second) check.fail("the name is used by an earlier node");
}

void check_outputs(const Network& network) {
    for (const std::size_t output : network.outputs)
        if (output >= network.nodes.size())
            throw core::DataError(fmt::format("network '{}': output {} is not one of its {} nodes",
                                              network.name, output, network.nodes.size()));
}

} // namespace

std::vector<std::size_t> output_nodes(const Network& network) {
    if (!network.outputs.empty()) return network.outputs;
    return {network.nodes.size() - 1};
}

std::vector<std::size_t> count_readers(const Network& network) {
    std::vector<std::size_t> readers(network.nodes.size(), 0);
    for (const Node& node : network.nodes)
        for (const std::size_t input : node.inputs)
            ++readers[input];
    for (const std::size_t output : output_nodes(network))
        ++readers[output];
    return readers;
}

std::string text_of(const TensorShape& shape) {
    return fmt::format("{} of {}", core::counted(shape.channels, "channel"), text(shape.extent));
}

std::size_t node_named(const Network& network, const std::string& name) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < network.nodes.size(); ++i) {
        if (network.nodes[i].name == name) return i;
        names.push_back(network.nodes[i].name);
    }
    throw core::ConfigError(fmt::format(
        "no layer of network '{}' is named '{}'{}; `hdap network info` lists the layers",
        network.name, name, core::did_you_mean(name, names)));
}

TensorShape infer_shape(const Network& network, std::size_t index,
                        const std::vector<TensorShape>& earlier) {
    const NodeCheck check(network, index);
    if ((check.node().op == Operator::input) != (index == 0))
        check.fail("the first node, and no other, must be the input");
    check.inputs_point_backwards();
    const TensorShape shape = output_shape(check, network.input_extent, earlier);
    check.in_range("output channels", shape.channels, 1, max_tensor_channels);
    check.in_range("output", shape.extent, 1, max_extent);
    const std::int64_t elements = shape.channels * shape.extent.height * shape.extent.width;
    if (elements > max_elements)
        check.fail(fmt::format("the output has {} elements, at most {} are supported", elements,
                               max_elements));
    return shape;
}

std::vector<TensorShape> infer_shapes(const Network& network) {
    if (network.nodes.empty() || network.nodes.size() > max_nodes)
        throw core::DataError(fmt::format("network '{}' has {} nodes, must be in [1, {}]",
                                          network.name, network.nodes.size(), max_nodes));
    std::vector<TensorShape> shapes;
    shapes.reserve(network.nodes.size());
    std::set<std::string> names;
    std::int64_t total_channels = 0;
    for (std::size_t i = 0; i < network.nodes.size(); ++i) {
        const NodeCheck check(network, i);
        check_name(check, names);
        const TensorShape shape = infer_shape(network, i, shapes);
        total_channels += shape.channels;
        if (total_channels > max_total_channels)
            check.fail(fmt::format(
                "the tensors up to here have {} channels in all, at most {} are supported",
                total_channels, max_total_channels));
        shapes.push_back(shape);
    }
    check_outputs(network);
    return shapes;
}

Network without_final_softmax(Network network) {
    std::vector<std::size_t> outputs = output_nodes(network);
    const Node& last = network.nodes[outputs.front()];
    if (last.op != Operator::softmax) return network;
    outputs.front() = last.inputs.front();
    network.outputs = std::move(outputs);
    return network;
}

std::string_view operator_name(Operator op) noexcept {
    constexpr std::array<std::string_view, 26> names{"input",
                                                     "conv2d",
                                                     "linear",
                                                     "batch_norm",
                                                     "relu",
                                                     "relu6",
                                                     "leaky_relu",
                                                     "silu",
                                                     "sigmoid",
                                                     "tanh",
                                                     "hard_sigmoid",
                                                     "hard_swish",
                                                     "softmax",
                                                     "identity",
                                                     "add",
                                                     "multiply",
                                                     "concat",
                                                     "slice",
                                                     "channel_shuffle",
                                                     "pad",
                                                     "max_pool",
                                                     "average_pool",
                                                     "global_average_pool",
                                                     "resize_nearest",
                                                     "resize_bilinear",
                                                     "flatten"};
    const auto index = static_cast<std::size_t>(op);
    return index < names.size() ? names[index] : "unknown";
}

bool is_activation(Operator op) noexcept {
    switch (op) {
    case Operator::relu:
    case Operator::relu6:
    case Operator::leaky_relu:
    case Operator::silu:
    case Operator::sigmoid:
    case Operator::tanh:
    case Operator::hard_sigmoid:
    case Operator::hard_swish:
    case Operator::identity:
        return true;
    default:
        return false;
    }
}

bool has_weights(Operator op) noexcept {
    return op == Operator::conv2d || op == Operator::linear;
}

bool is_depthwise(const Node& node, std::int64_t input_channels) noexcept {
    return node.op == Operator::conv2d && node.groups == input_channels &&
           node.output_channels == input_channels;
}

std::int64_t nearest_pixel(std::int64_t i, std::int64_t from, std::int64_t to) noexcept {
    const float ratio = static_cast<float>(from) / static_cast<float>(to);
    return std::min(static_cast<std::int64_t>(static_cast<float>(i) * ratio), from - 1);
}

} // namespace hdap::network
