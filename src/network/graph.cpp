#include "hdap/network/graph.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <set>

namespace hdap::network {
namespace {

// Bounds that no sensible network meets. They keep every count far from the limits of 64 bits and
// every allocation made for a hostile file small.
constexpr std::int64_t max_channels = std::int64_t{1} << 20;
constexpr std::int64_t max_extent = std::int64_t{1} << 14;
constexpr std::int64_t max_window = std::int64_t{1} << 10;
constexpr std::int64_t max_elements = std::int64_t{1} << 29;
constexpr std::size_t max_nodes = std::size_t{1} << 17;

std::string text(const Extent& extent) {
    return std::to_string(extent.height) + " x " + std::to_string(extent.width);
}

std::string text(const TensorShape& shape) {
    return std::to_string(shape.channels) + " channels of " + text(shape.extent);
}

/// One node with what messages about it need.
class NodeCheck {
  public:
    NodeCheck(const Network& network, std::size_t index) : network_(network), index_(index) {}

    [[nodiscard]] const Node& node() const { return network_.nodes[index_]; }

    [[noreturn]] void fail(const std::string& what) const {
        throw core::DataError("network '" + network_.name + "', node " + std::to_string(index_) +
                              " ('" + node().name + "'): " + what);
    }

    void in_range(const char* field, std::int64_t value, std::int64_t low,
                  std::int64_t high) const {
        if (value < low || value > high)
            fail(std::string(field) + " is " + std::to_string(value) + ", must be in [" +
                 std::to_string(low) + ", " + std::to_string(high) + "]");
    }

    void in_range(const char* field, const Extent& value, std::int64_t low,
                  std::int64_t high) const {
        in_range((std::string(field) + " height").c_str(), value.height, low, high);
        in_range((std::string(field) + " width").c_str(), value.width, low, high);
    }

    void inputs_point_backwards() const {
        for (const std::size_t input : node().inputs)
            if (input >= index_) fail("input " + std::to_string(input) + " is not an earlier node");
    }

    void has_inputs(std::size_t least, std::size_t most) const {
        const std::size_t count = node().inputs.size();
        if (count < least || count > most)
            fail("has " + std::to_string(count) + " inputs, expected " +
                 (most == least ? std::to_string(least) : std::to_string(least) + " or more"));
    }

  private:
    const Network& network_;
    std::size_t index_;
};

TensorShape convolution_shape(const NodeCheck& check, const TensorShape& input) {
    const Node& node = check.node();
    check.in_range("output_channels", node.output_channels, 1, max_channels);
    check.in_range("kernel", node.kernel, 1, max_window);
    check.in_range("stride", node.stride, 1, max_window);
    check.in_range("padding", node.padding, 0, max_window);
    check.in_range("groups", node.groups, 1, max_channels);
    if (input.channels % node.groups != 0 || node.output_channels % node.groups != 0)
        check.fail("groups is " + std::to_string(node.groups) + ", must divide both the " +
                   std::to_string(input.channels) + " input channels and the " +
                   std::to_string(node.output_channels) + " output channels");
    const Extent room{input.extent.height + 2 * node.padding.height - node.kernel.height,
                      input.extent.width + 2 * node.padding.width - node.kernel.width};
    if (room.height < 0 || room.width < 0)
        check.fail("a kernel of " + text(node.kernel) + " does not fit into an input of " +
                   text(input.extent) + " with a padding of " + text(node.padding));
    const std::int64_t weights = node.kernel.height * node.kernel.width * node.output_channels *
                                 (input.channels / node.groups);
    if (weights > max_elements)
        check.fail("has " + std::to_string(weights) + " weights, at most " +
                   std::to_string(max_elements) + " are supported");
    return {node.output_channels,
            {room.height / node.stride.height + 1, room.width / node.stride.width + 1}};
}

TensorShape linear_shape(const NodeCheck& check, const TensorShape& input) {
    const Node& node = check.node();
    check.in_range("output_channels", node.output_channels, 1, max_channels);
    if (input.extent != Extent{1, 1})
        check.fail("a linear layer needs an input of 1 x 1, got " + text(input.extent) +
                   "; put a global_average_pool before it");
    const std::int64_t weights = node.output_channels * input.channels;
    if (weights > max_elements)
        check.fail("has " + std::to_string(weights) + " weights, at most " +
                   std::to_string(max_elements) + " are supported");
    return {node.output_channels, {1, 1}};
}

TensorShape addition_shape(const NodeCheck& check, const std::vector<TensorShape>& shapes) {
    check.has_inputs(2, max_nodes);
    const std::vector<std::size_t>& inputs = check.node().inputs;
    const TensorShape& first = shapes[inputs.front()];
    for (const std::size_t input : inputs)
        if (shapes[input] != first)
            check.fail("adds tensors of different shapes: " + text(first) + " (node " +
                       std::to_string(inputs.front()) + ") and " + text(shapes[input]) + " (node " +
                       std::to_string(input) + ")");
    return first;
}

TensorShape output_shape(const NodeCheck& check, const Extent& input_extent,
                         const std::vector<TensorShape>& shapes) {
    const Node& node = check.node();
    if (node.op == Operator::input) {
        check.has_inputs(0, 0);
        check.in_range("output_channels", node.output_channels, 1, max_channels);
        check.in_range("input", input_extent, 1, max_extent);
        return {node.output_channels, input_extent};
    }
    if (node.op == Operator::add) return addition_shape(check, shapes);
    check.has_inputs(1, 1);
    const TensorShape& input = shapes[node.inputs.front()];
    switch (node.op) {
    case Operator::conv2d:
        return convolution_shape(check, input);
    case Operator::linear:
        return linear_shape(check, input);
    case Operator::batch_norm:
        if (!(node.epsilon > 0.0 && node.epsilon <= 1.0))
            check.fail("epsilon is " + core::shortest(node.epsilon) + ", must be in (0, 1]");
        return input;
    case Operator::relu:
    case Operator::relu6:
        return input;
    case Operator::global_average_pool:
        return {input.channels, {1, 1}};
    default:
        check.fail("unknown operator " + std::to_string(static_cast<int>(node.op)));
    }
}

void check_name(const NodeCheck& check, std::set<std::string>& seen) {
    const std::string& name = check.node().name;
    if (name.empty()) check.fail("has no name");
    // Parameters are stored under the node's name, where '/' separates groups.
    if (name.find('/') != std::string::npos) check.fail("the name must not contain '/'");
    if (!seen.insert(name).second) check.fail("the name is used by an earlier node");
}

} // namespace

std::vector<TensorShape> infer_shapes(const Network& network) {
    if (network.nodes.empty() || network.nodes.size() > max_nodes)
        throw core::DataError("network '" + network.name + "' has " +
                              std::to_string(network.nodes.size()) + " nodes, must be in [1, " +
                              std::to_string(max_nodes) + "]");
    std::vector<TensorShape> shapes;
    shapes.reserve(network.nodes.size());
    std::set<std::string> names;
    for (std::size_t i = 0; i < network.nodes.size(); ++i) {
        const NodeCheck check(network, i);
        check_name(check, names);
        if ((check.node().op == Operator::input) != (i == 0))
            check.fail("the first node, and no other, must be the input");
        check.inputs_point_backwards();
        const TensorShape shape = output_shape(check, network.input_extent, shapes);
        check.in_range("output", shape.extent, 1, max_extent);
        const std::int64_t elements = shape.channels * shape.extent.height * shape.extent.width;
        if (elements > max_elements)
            check.fail("the output has " + std::to_string(elements) + " elements, at most " +
                       std::to_string(max_elements) + " are supported");
        shapes.push_back(shape);
    }
    return shapes;
}

bool is_depthwise(const Node& node, std::int64_t input_channels) noexcept {
    return node.op == Operator::conv2d && node.groups == input_channels &&
           node.output_channels == input_channels;
}

} // namespace hdap::network
