#include "builder.hpp"

#include <algorithm>
#include <cmath>

namespace hdap::network {

NetworkBuilder::NetworkBuilder(const ZooRequest& request)
    : network_{
          .name = request.name, .input_extent = request.input_extent, .nodes = {}, .outputs = {}} {
    Node input;
    input.name = "input";
    input.output_channels = request.input_channels;
    append(std::move(input), {});
}

std::size_t NetworkBuilder::conv(const std::string& name, std::size_t from, std::int64_t channels,
                                 const Convolution& shape) {
    Node node;
    node.name = name;
    node.op = Operator::conv2d;
    node.output_channels = channels;
    node.groups = shape.groups;
    node.kernel = {shape.kernel, shape.kernel};
    node.stride = {shape.stride, shape.stride};
    node.padding = {shape.kernel / 2, shape.kernel / 2};
    node.bias = shape.bias;
    return append(std::move(node), {from});
}

std::size_t NetworkBuilder::apply(Operator op, const std::string& name,
                                  std::vector<std::size_t> from) {
    Node node;
    node.name = name;
    node.op = op;
    return append(std::move(node), std::move(from));
}

std::size_t NetworkBuilder::linear(const std::string& name, std::size_t from,
                                   std::int64_t channels) {
    Node node;
    node.name = name;
    node.op = Operator::linear;
    node.output_channels = channels;
    node.bias = true;
    return append(std::move(node), {from});
}

std::size_t NetworkBuilder::max_pool(const std::string& name, std::size_t from, std::int64_t kernel,
                                     std::int64_t stride, std::int64_t padding) {
    Node node;
    node.name = name;
    node.op = Operator::max_pool;
    node.kernel = {kernel, kernel};
    node.stride = {stride, stride};
    node.padding = {padding, padding};
    return append(std::move(node), {from});
}

std::size_t NetworkBuilder::append(Node node, std::vector<std::size_t> from) {
    node.inputs = std::move(from);
    network_.nodes.push_back(std::move(node));
    shapes_.push_back(infer_shape(network_, network_.nodes.size() - 1, shapes_));
    return network_.nodes.size() - 1;
}

Network NetworkBuilder::finish(std::vector<std::size_t> outputs) && {
    network_.outputs = std::move(outputs);
    return std::move(network_);
}

std::int64_t scaled(std::int64_t channels, double width) {
    const double exact = static_cast<double>(channels) * width;
    const auto rounded = static_cast<std::int64_t>(std::floor(exact / 8.0 + 0.5)) * 8;
    return std::max<std::int64_t>(8, rounded);
}

} // namespace hdap::network
