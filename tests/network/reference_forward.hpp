#pragma once

#include "hdap/network/graph.hpp"
#include "hdap/network/weights.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace hdap::network::testing {

/// One image or feature map, [channels][height][width], in double precision.
using FeatureMap = std::vector<double>;

/// A convolution in the plainest loops, straight from its definition.
inline FeatureMap reference_convolution(const Node& node, const Weights& weights,
                                        const FeatureMap& input, const TensorShape& from,
                                        const TensorShape& to) {
    const std::vector<float>& weight = weights.at(node.name + ".weight").values;
    const std::int64_t inputs_per_group = from.channels / node.groups;
    const std::int64_t outputs_per_group = to.channels / node.groups;
    FeatureMap output;
    for (std::int64_t o = 0; o < to.channels; ++o)
        for (std::int64_t y = 0; y < to.extent.height; ++y)
            for (std::int64_t x = 0; x < to.extent.width; ++x) {
                double sum = 0.0;
                for (std::int64_t i = 0; i < inputs_per_group; ++i)
                    for (std::int64_t ky = 0; ky < node.kernel.height; ++ky)
                        for (std::int64_t kx = 0; kx < node.kernel.width; ++kx) {
                            const std::int64_t iy =
                                y * node.stride.height + ky - node.padding.height;
                            const std::int64_t ix = x * node.stride.width + kx - node.padding.width;
                            if (iy < 0 || iy >= from.extent.height || ix < 0 ||
                                ix >= from.extent.width)
                                continue;
                            const std::int64_t c = o / outputs_per_group * inputs_per_group + i;
                            const std::int64_t pixel =
                                (c * from.extent.height + iy) * from.extent.width + ix;
                            const std::int64_t tap =
                                ((o * inputs_per_group + i) * node.kernel.height + ky) *
                                    node.kernel.width +
                                kx;
                            sum += input[static_cast<std::size_t>(pixel)] *
                                   static_cast<double>(weight[static_cast<std::size_t>(tap)]);
                        }
                output.push_back(sum);
            }
    return output;
}

/// Adds the bias of `node`, if it has one, to every pixel of its channel.
inline void add_bias(const Node& node, const Weights& weights, FeatureMap& map) {
    if (!node.bias) return;
    const std::vector<float>& bias = weights.at(node.name + ".bias").values;
    const std::size_t pixels = map.size() / bias.size();
    for (std::size_t i = 0; i < map.size(); ++i)
        map[i] += static_cast<double>(bias[i / pixels]);
}

inline FeatureMap reference_linear(const Node& node, const Weights& weights,
                                   const FeatureMap& input, const TensorShape& to) {
    const std::vector<float>& weight = weights.at(node.name + ".weight").values;
    FeatureMap output(static_cast<std::size_t>(to.channels), 0.0);
    for (std::size_t o = 0; o < output.size(); ++o)
        for (std::size_t i = 0; i < input.size(); ++i)
            output[o] += input[i] * static_cast<double>(weight[o * input.size() + i]);
    return output;
}

inline FeatureMap reference_batch_norm(const Node& node, const Weights& weights,
                                       const FeatureMap& input) {
    const auto parameter = [&](const char* suffix, std::size_t channel) {
        return static_cast<double>(weights.at(node.name + suffix).values[channel]);
    };
    const std::size_t pixels = input.size() / weights.at(node.name + ".weight").values.size();
    FeatureMap output;
    for (std::size_t i = 0; i < input.size(); ++i) {
        const std::size_t c = i / pixels;
        output.push_back((input[i] - parameter(".running_mean", c)) /
                             std::sqrt(parameter(".running_var", c) + node.epsilon) *
                             parameter(".weight", c) +
                         parameter(".bias", c));
    }
    return output;
}

inline FeatureMap reference_pool(const FeatureMap& input, const TensorShape& from) {
    const std::size_t pixels = input.size() / static_cast<std::size_t>(from.channels);
    FeatureMap output(static_cast<std::size_t>(from.channels), 0.0);
    for (std::size_t i = 0; i < input.size(); ++i)
        output[i / pixels] += input[i] / static_cast<double>(pixels);
    return output;
}

/// The network's output for one image.
inline FeatureMap reference_forward(const Network& network, const Weights& weights,
                                    const FeatureMap& image) {
    const std::vector<TensorShape> shapes = infer_shapes(network);
    std::vector<FeatureMap> maps{image};
    for (std::size_t i = 1; i < network.nodes.size(); ++i) {
        const Node& node = network.nodes[i];
        const FeatureMap& input = maps[node.inputs[0]];
        const TensorShape& from = shapes[node.inputs[0]];
        FeatureMap output = input;
        if (node.op == Operator::conv2d)
            output = reference_convolution(node, weights, input, from, shapes[i]);
        if (node.op == Operator::linear) output = reference_linear(node, weights, input, shapes[i]);
        if (node.op == Operator::batch_norm) output = reference_batch_norm(node, weights, input);
        if (node.op == Operator::global_average_pool) output = reference_pool(input, from);
        if (node.op == Operator::relu || node.op == Operator::relu6)
            for (double& value : output)
                value = std::clamp(value, 0.0, node.op == Operator::relu6 ? 6.0 : INFINITY);
        if (node.op == Operator::add)
            for (std::size_t k = 1; k < node.inputs.size(); ++k)
                for (std::size_t p = 0; p < output.size(); ++p)
                    output[p] += maps[node.inputs[k]][p];
        add_bias(node, weights, output);
        maps.push_back(std::move(output));
    }
    return maps.back();
}

} // namespace hdap::network::testing
