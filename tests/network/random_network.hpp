#pragma once

#include "hdap/core/random.hpp"
#include "hdap/network/weights.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace hdap::network::testing {

/// Grows small random networks from every operator: chains, branches that are added, multiplied or
/// joined again, slices, grouped convolutions of all kinds, zero-padded shortcuts, squeeze and
/// excitation, flattened images, several outputs.
class RandomNetworkBuilder {
  public:
    explicit RandomNetworkBuilder(std::uint32_t seed)
        : random_(seed, core::StreamId::testing), network_{"random", {7, 6}, {}, {}} {
        Node input;
        input.output_channels = 1 + below(3);
        append(std::move(input), {});
        network_.nodes[0].name = "input";
    }

    Network build() && {
        append_conv(last(), 2 + below(7));
        const std::int64_t steps = 4 + below(12);
        for (std::int64_t i = 0; i < steps; ++i)
            append_random();
        const std::size_t side_output = last();
        apply(below(2) == 0 ? Operator::flatten : Operator::global_average_pool, {last()});
        const std::int64_t after_pooling = below(6);
        if (after_pooling == 0) apply(Operator::batch_norm, {last()});
        if (after_pooling == 1) append_split();
        if (after_pooling == 2) append_sibling(Operator::add);
        append_linear(4 + below(4));
        append_activation(last());
        append_linear(3);
        if (below(4) == 0) apply(Operator::softmax, {last()});
        if (below(4) == 0) network_.outputs = {last(), side_output};
        return std::move(network_);
    }

  private:
    std::int64_t below(std::int64_t bound) {
        return static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(bound)));
    }
    [[nodiscard]] std::size_t last() const { return network_.nodes.size() - 1; }
    [[nodiscard]] std::int64_t channels(std::size_t node) const { return shapes_[node].channels; }

    std::size_t append(Node node, std::vector<std::size_t> inputs) {
        node.name = "node" + std::to_string(network_.nodes.size());
        node.inputs = std::move(inputs);
        network_.nodes.push_back(std::move(node));
        shapes_.push_back(infer_shape(network_, last(), shapes_));
        return last();
    }

    std::size_t apply(Operator op, std::vector<std::size_t> inputs) {
        Node node;
        node.op = op;
        return append(std::move(node), std::move(inputs));
    }

    std::size_t append_linear(std::int64_t outputs) {
        Node node;
        node.op = Operator::linear;
        node.output_channels = outputs;
        node.bias = below(2) == 0;
        return append(std::move(node), {last()});
    }

    std::size_t append_conv(std::size_t from, std::int64_t outputs, std::int64_t stride = 1,
                            std::int64_t groups = 1) {
        Node node;
        node.op = Operator::conv2d;
        node.output_channels = outputs;
        node.groups = groups;
        node.kernel = {1 + 2 * below(2), 1 + 2 * below(2)};
        node.dilation = {1 + below(2), 1};
        node.padding = {node.dilation.height * (node.kernel.height / 2), node.kernel.width / 2};
        node.stride = {stride, stride};
        node.bias = below(2) == 0;
        append(std::move(node), {from});
        if (below(3) != 0) apply(Operator::batch_norm, {last()});
        return last();
    }

    std::size_t append_activation(std::size_t from) {
        constexpr std::array<Operator, 9> activations{
            Operator::relu,       Operator::relu6,   Operator::leaky_relu,
            Operator::silu,       Operator::tanh,    Operator::hard_sigmoid,
            Operator::hard_swish, Operator::sigmoid, Operator::identity};
        return apply(activations[random_.below(activations.size())], {from});
    }

    void append_random() {
        const std::size_t from = last();
        switch (below(14)) {
        case 0:
        case 1:
            append_activation(from);
            break;
        case 2:
            apply(Operator::batch_norm, {from});
            break;
        case 3:
            append_conv(from, channels(from) * (1 + below(3) / 2), 1, channels(from));
            break; // depthwise, sometimes with a depth multiplier
        case 4:
            append_conv(from, 2 + below(7), 1 + below(2));
            break;
        case 5:
            append_grouped(from);
            break;
        case 6:
            append_sibling(below(2) == 0 ? Operator::add : Operator::multiply);
            break;
        case 7:
            append_skip();
            break;
        case 8:
            append_split();
            break;
        case 9:
            append_dense();
            break;
        case 10:
            append_padded_shortcut(from);
            break;
        case 11:
            append_squeeze_and_excitation(from);
            break;
        case 12:
            append_pool(from);
            break;
        default:
            append_resize(from);
            break;
        }
    }

    /// These keep their neighbours from being pruned, so few of them.
    void append_grouped(std::size_t from) {
        if (below(3) != 0 || channels(from) % 2 != 0) return;
        append_conv(from, channels(from), 1, 2);
        if (below(2) == 0) {
            Node shuffle;
            shuffle.op = Operator::channel_shuffle;
            shuffle.groups = 2;
            append(std::move(shuffle), {last()});
        }
    }

    /// Another convolution of an earlier tensor, combined with the last one.
    void append_sibling(Operator op) {
        const std::size_t main = last();
        const std::size_t from = random_.below(main + 1);
        if (shapes_[from].extent != shapes_[main].extent) return;
        append_conv(from, channels(main));
        if (shapes_[last()].extent == shapes_[main].extent) apply(op, {main, last()});
    }

    /// Adds an earlier tensor of the same shape.
    void append_skip() {
        const std::size_t main = last();
        const std::size_t from = random_.below(main + 1);
        if (shapes_[from] == shapes_[main]) apply(Operator::add, {from, main});
    }

    std::size_t append_slice(std::size_t from, std::int64_t first, std::int64_t count) {
        Node node;
        node.op = Operator::slice;
        node.first_channel = first;
        node.output_channels = count;
        return append(std::move(node), {from});
    }

    /// One part goes through a convolution, then both are joined, swapped.
    void append_split() {
        const std::size_t from = last();
        if (channels(from) < 2) return;
        const std::int64_t cut = 1 + below(channels(from) - 1);
        const std::size_t first = append_slice(from, 0, cut);
        const std::size_t second = append_slice(from, cut, channels(from) - cut);
        append_conv(second, 1 + below(5));
        apply(Operator::concat, {last(), first});
    }

    /// Joins what a convolution makes to what it read, as in DenseNet.
    void append_dense() {
        const std::size_t from = last();
        append_conv(from, 1 + below(4));
        if (shapes_[last()].extent == shapes_[from].extent) apply(Operator::concat, {from, last()});
    }

    /// A convolution with stride beside subsampling and channels of zeros: ResNet's option A.
    void append_padded_shortcut(std::size_t from) {
        const std::int64_t more = 1 + below(3);
        Node subsample;
        subsample.op = Operator::max_pool;
        subsample.stride = {2, 2};
        const std::size_t small = append(std::move(subsample), {from});
        Node pad;
        pad.op = Operator::pad;
        pad.channels_before = more / 2;
        pad.channels_after = more - more / 2;
        const std::size_t shortcut = append(std::move(pad), {small});
        append_conv(from, channels(from) + more, 2);
        apply(Operator::add, {last(), shortcut});
    }

    void append_squeeze_and_excitation(std::size_t from) {
        apply(Operator::global_average_pool, {from});
        append_linear(1 + below(3));
        apply(Operator::relu, {last()});
        append_linear(below(6) == 0 ? 1 : channels(from));
        apply(below(2) == 0 ? Operator::sigmoid : Operator::hard_sigmoid, {last()});
        apply(Operator::multiply, {from, last()});
    }

    void append_pool(std::size_t from) {
        if (shapes_[from].extent.height < 3 || shapes_[from].extent.width < 3) return;
        Node node;
        node.op = below(2) == 0 ? Operator::max_pool : Operator::average_pool;
        node.kernel = {2 + below(2), 2 + below(2)};
        node.stride = {1 + below(2), 1 + below(2)};
        node.padding = {below(2), below(2)};
        node.ceil_mode = below(2) == 0;
        node.count_include_pad = below(2) == 0;
        append(std::move(node), {from});
    }

    /// To another extent, or with a border of zeros.
    void append_resize(std::size_t from) {
        Node node;
        if (below(2) == 0) {
            node.op = Operator::pad;
            node.padding = {below(2), below(2)};
            node.padding_after = {below(2), 1};
        } else {
            node.op = below(2) == 0 ? Operator::resize_nearest : Operator::resize_bilinear;
            node.size = {3 + below(6), 3 + below(6)};
            node.align_corners = node.op == Operator::resize_bilinear && below(2) == 0;
        }
        append(std::move(node), {from});
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
