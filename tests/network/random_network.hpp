#pragma once

#include "hdap/core/random.hpp"
#include "hdap/network/weights.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace hdap::network::testing {

/// Grows small random networks from every operator: chains, branches that are added again,
/// depthwise and (rarely) grouped convolutions, batch norms, with and without biases.
class RandomNetworkBuilder {
  public:
    explicit RandomNetworkBuilder(std::uint32_t seed)
        : random_(seed, core::StreamId::testing), network_{"random", {7, 6}, {}} {
        Node input;
        input.name = "input";
        input.output_channels = 1 + below(3);
        append(std::move(input), {input.output_channels, network_.input_extent});
    }

    Network build() && {
        append_conv(last(), 2 + below(7), 1, 1);
        const std::int64_t steps = 4 + below(10);
        for (std::int64_t i = 0; i < steps; ++i)
            append_random();
        append_plain(Operator::global_average_pool, {last()});
        append_linear(4 + below(4));
        append_plain(Operator::relu, {last()});
        append_linear(3);
        return std::move(network_);
    }

  private:
    std::int64_t below(std::uint64_t bound) {
        return static_cast<std::int64_t>(random_.below(bound));
    }
    [[nodiscard]] std::size_t last() const { return network_.nodes.size() - 1; }

    void append(Node node, const TensorShape& shape) {
        if (node.name.empty()) node.name = "node" + std::to_string(network_.nodes.size());
        network_.nodes.push_back(std::move(node));
        shapes_.push_back(shape);
    }

    void append_plain(Operator op, std::vector<std::size_t> inputs) {
        Node node;
        node.op = op;
        node.inputs = std::move(inputs);
        TensorShape shape = shapes_[node.inputs[0]];
        if (op == Operator::global_average_pool) shape.extent = {1, 1};
        append(std::move(node), shape);
    }

    void append_linear(std::int64_t channels) {
        Node node;
        node.op = Operator::linear;
        node.inputs = {last()};
        node.output_channels = channels;
        node.bias = below(2) == 0;
        append(std::move(node), {channels, {1, 1}});
    }

    void append_conv(std::size_t from, std::int64_t channels, std::int64_t stride,
                     std::int64_t groups) {
        Node node;
        node.op = Operator::conv2d;
        node.inputs = {from};
        node.output_channels = channels;
        node.groups = groups;
        node.kernel = below(2) == 0 ? Extent{3, 3} : Extent{1, 1};
        node.padding = {node.kernel.height / 2, node.kernel.width / 2};
        node.stride = {stride, stride};
        node.bias = below(2) == 0;
        const Extent extent = shapes_[from].extent;
        append(std::move(node),
               {channels, {(extent.height - 1) / stride + 1, (extent.width - 1) / stride + 1}});
        if (below(3) != 0) append_plain(Operator::batch_norm, {last()});
    }

    void append_random() {
        const std::size_t from = last();
        const std::int64_t channels = shapes_[from].channels;
        switch (below(8)) {
        case 0:
            append_plain(Operator::relu, {from});
            break;
        case 1:
            append_plain(Operator::relu6, {from});
            break;
        case 2:
            append_plain(Operator::batch_norm, {from});
            break;
        case 3:
            append_conv(from, channels, 1, channels);
            break; // depthwise
        case 4:
            append_conv(from, 2 + below(7), 1 + below(2), 1);
            break;
        case 5:
            append_grouped(from);
            break;
        case 6:
            append_sibling_and_add();
            break;
        default:
            append_skip();
            break;
        }
    }

    /// Half of these have a depth multiplier.
    void append_grouped(std::size_t from) {
        const std::int64_t channels = shapes_[from].channels;
        if (below(3) != 0) return; // they keep their neighbours from being pruned, so few of them
        if (below(2) == 0)
            append_conv(from, 2 * channels, 1, channels);
        else if (channels % 2 == 0)
            append_conv(from, channels, 1, 2);
    }

    /// Another convolution of an earlier tensor, added to the last one.
    void append_sibling_and_add() {
        const std::size_t main = last();
        const std::size_t from = random_.below(main + 1);
        if (shapes_[from].extent != shapes_[main].extent) return;
        append_conv(from, shapes_[main].channels, 1, 1);
        append_plain(Operator::add, {main, last()});
    }

    /// Adds an earlier tensor of the same shape.
    void append_skip() {
        const std::size_t main = last();
        const std::size_t from = random_.below(main + 1);
        if (shapes_[from] == shapes_[main]) append_plain(Operator::add, {from, main});
    }

    core::RandomStream random_;
    Network network_;
    std::vector<TensorShape> shapes_;
};

inline Network random_network(std::uint32_t seed) {
    return RandomNetworkBuilder(seed).build();
}

/// Weights without any structure, batch norm included, so that no error hides behind an identity.
inline Weights random_weights(const Network& network, std::uint32_t seed) {
    Weights weights = initial_weights(network, seed);
    core::RandomStream random(seed, core::StreamId::testing, 1);
    for (const Node& node : network.nodes) {
        if (node.op == Operator::conv2d && node.bias)
            for (float& value : weights.at(node.name + ".bias").values)
                value = static_cast<float>(random.normal());
        if (node.op != Operator::batch_norm) continue;
        for (const char* suffix : {".weight", ".bias", ".running_mean"})
            for (float& value : weights.at(node.name + suffix).values)
                value = static_cast<float>(random.normal());
        for (float& value : weights.at(node.name + ".running_var").values)
            value = static_cast<float>(0.5 + random.uniform());
    }
    return weights;
}

} // namespace hdap::network::testing
