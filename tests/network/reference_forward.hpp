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
                            const std::int64_t iy = y * node.stride.height +
                                                    ky * node.dilation.height - node.padding.height;
                            const std::int64_t ix = x * node.stride.width +
                                                    kx * node.dilation.width - node.padding.width;
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
    const auto parameter = [&](const char* suffix) {
        const std::vector<float>& values = weights.at(node.name + suffix).values;
        return std::vector<double>(values.begin(), values.end());
    };
    const std::vector<double> mean = parameter(".running_mean");
    const std::vector<double> variance = parameter(".running_var");
    const std::vector<double> weight = parameter(".weight");
    const std::vector<double> bias = parameter(".bias");
    const std::size_t pixels = input.size() / weight.size();
    FeatureMap output;
    for (std::size_t i = 0; i < input.size(); ++i) {
        const std::size_t c = i / pixels;
        output.push_back((input[i] - mean[c]) / std::sqrt(variance[c] + node.epsilon) * weight[c] +
                         bias[c]);
    }
    return output;
}

inline FeatureMap reference_global_pool(const FeatureMap& input, const TensorShape& from) {
    const std::size_t pixels = input.size() / static_cast<std::size_t>(from.channels);
    FeatureMap output(static_cast<std::size_t>(from.channels), 0.0);
    for (std::size_t i = 0; i < input.size(); ++i)
        output[i / pixels] += input[i] / static_cast<double>(pixels);
    return output;
}

/// Maximum or mean over windows. A mean divides by the pixels of its window that are in the image,
/// or in the image with its padding.
inline FeatureMap reference_pool(const Node& node, const FeatureMap& input, const TensorShape& from,
                                 const TensorShape& to) {
    FeatureMap output;
    for (std::int64_t c = 0; c < to.channels; ++c)
        for (std::int64_t y = 0; y < to.extent.height; ++y)
            for (std::int64_t x = 0; x < to.extent.width; ++x) {
                const std::int64_t top = y * node.stride.height - node.padding.height;
                const std::int64_t left = x * node.stride.width - node.padding.width;
                double largest = -INFINITY;
                double sum = 0.0;
                std::int64_t inside = 0;
                std::int64_t padded = 0;
                for (std::int64_t iy = top; iy < top + node.kernel.height; ++iy)
                    for (std::int64_t ix = left; ix < left + node.kernel.width; ++ix) {
                        padded += iy < from.extent.height + node.padding.height &&
                                  ix < from.extent.width + node.padding.width;
                        if (iy < 0 || ix < 0 || iy >= from.extent.height || ix >= from.extent.width)
                            continue;
                        const double value = input[static_cast<std::size_t>(
                            (c * from.extent.height + iy) * from.extent.width + ix)];
                        largest = std::max(largest, value);
                        sum += value;
                        ++inside;
                    }
                const double mean =
                    sum / static_cast<double>(node.count_include_pad ? padded : inside);
                output.push_back(node.op == Operator::max_pool ? largest : mean);
            }
    return output;
}

/// Combines all inputs, repeating those that have one channel or one pixel.
inline FeatureMap reference_elementwise(const Node& node, const std::vector<FeatureMap>& maps,
                                        const std::vector<TensorShape>& shapes,
                                        const TensorShape& to) {
    const auto pixels = static_cast<std::size_t>(to.extent.height * to.extent.width);
    FeatureMap output(static_cast<std::size_t>(to.channels) * pixels,
                      node.op == Operator::add ? 0.0 : 1.0);
    for (const std::size_t input : node.inputs)
        for (std::size_t i = 0; i < output.size(); ++i) {
            const std::size_t c = shapes[input].channels == 1 ? 0 : i / pixels;
            const std::size_t own_pixels =
                static_cast<std::size_t>(shapes[input].extent.height * shapes[input].extent.width);
            const double value = maps[input][c * own_pixels + (own_pixels == 1 ? 0 : i % pixels)];
            output[i] = node.op == Operator::add ? output[i] + value : output[i] * value;
        }
    return output;
}

inline FeatureMap reference_pad(const Node& node, const FeatureMap& input, const TensorShape& from,
                                const TensorShape& to) {
    FeatureMap output(static_cast<std::size_t>(to.channels * to.extent.height * to.extent.width),
                      0.0);
    for (std::int64_t c = 0; c < from.channels; ++c)
        for (std::int64_t y = 0; y < from.extent.height; ++y)
            for (std::int64_t x = 0; x < from.extent.width; ++x)
                output[static_cast<std::size_t>(
                    ((c + node.channels_before) * to.extent.height + y + node.padding.height) *
                        to.extent.width +
                    x + node.padding.width)] =
                    input[static_cast<std::size_t>(
                        (c * from.extent.height + y) * from.extent.width + x)];
    return output;
}

/// The pixel of the source that lies under pixel `i` of the result, as PyTorch places them.
inline double source_pixel(const Node& node, std::int64_t i, std::int64_t from, std::int64_t to) {
    const double scale = static_cast<double>(from) / static_cast<double>(to);
    if (node.op == Operator::resize_nearest) return std::floor(static_cast<double>(i) * scale);
    if (node.align_corners)
        return to == 1 ? 0.0
                       : static_cast<double>(i) * static_cast<double>(from - 1) /
                             static_cast<double>(to - 1);
    return std::max(0.0, (static_cast<double>(i) + 0.5) * scale - 0.5);
}

inline FeatureMap reference_resize(const Node& node, const FeatureMap& input,
                                   const TensorShape& from, const TensorShape& to) {
    FeatureMap output;
    for (std::int64_t c = 0; c < to.channels; ++c)
        for (std::int64_t y = 0; y < to.extent.height; ++y)
            for (std::int64_t x = 0; x < to.extent.width; ++x) {
                const double sy = source_pixel(node, y, from.extent.height, to.extent.height);
                const double sx = source_pixel(node, x, from.extent.width, to.extent.width);
                const auto value = [&](double py, double px) {
                    const auto row =
                        std::min(static_cast<std::int64_t>(py), from.extent.height - 1);
                    const auto column =
                        std::min(static_cast<std::int64_t>(px), from.extent.width - 1);
                    return input[static_cast<std::size_t>(
                        (c * from.extent.height + row) * from.extent.width + column)];
                };
                const double fy = sy - std::floor(sy);
                const double fx = sx - std::floor(sx);
                output.push_back((1 - fy) * ((1 - fx) * value(sy, sx) + fx * value(sy, sx + 1)) +
                                 fy * ((1 - fx) * value(sy + 1, sx) + fx * value(sy + 1, sx + 1)));
            }
    return output;
}

inline FeatureMap reference_shuffle(const Node& node, const FeatureMap& input,
                                    const TensorShape& shape) {
    const auto pixels = static_cast<std::size_t>(shape.extent.height * shape.extent.width);
    const auto groups = static_cast<std::size_t>(node.groups);
    const std::size_t size = static_cast<std::size_t>(shape.channels) / groups;
    FeatureMap output(input.size());
    for (std::size_t g = 0; g < groups; ++g)
        for (std::size_t i = 0; i < size; ++i)
            for (std::size_t p = 0; p < pixels; ++p)
                output[(i * groups + g) * pixels + p] = input[(g * size + i) * pixels + p];
    return output;
}

inline FeatureMap reference_softmax(const FeatureMap& input, const TensorShape& shape) {
    const auto pixels = static_cast<std::size_t>(shape.extent.height * shape.extent.width);
    FeatureMap output = input;
    for (std::size_t p = 0; p < pixels; ++p) {
        double sum = 0.0;
        for (std::size_t i = p; i < input.size(); i += pixels)
            sum += std::exp(input[i]);
        for (std::size_t i = p; i < input.size(); i += pixels)
            output[i] = std::exp(input[i]) / sum;
    }
    return output;
}

inline double reference_activation(const Node& node, double x) {
    const double hard_sigmoid = std::clamp(x / 6.0 + 0.5, 0.0, 1.0);
    const double sigmoid = 1.0 / (1.0 + std::exp(-x));
    switch (node.op) {
    case Operator::relu:
        return std::max(0.0, x);
    case Operator::relu6:
        return std::clamp(x, 0.0, 6.0);
    case Operator::leaky_relu:
        return x < 0.0 ? x * node.negative_slope : x;
    case Operator::silu:
        return x * sigmoid;
    case Operator::sigmoid:
        return sigmoid;
    case Operator::tanh:
        return std::tanh(x);
    case Operator::hard_sigmoid:
        return hard_sigmoid;
    case Operator::hard_swish:
        return x * hard_sigmoid;
    default:
        return x;
    }
}

/// What node `i` computes from the maps before it.
inline FeatureMap reference_node(const Network& network, const Weights& weights, std::size_t i,
                                 const std::vector<FeatureMap>& maps,
                                 const std::vector<TensorShape>& shapes) {
    const Node& node = network.nodes[i];
    const FeatureMap& input = maps[node.inputs[0]];
    const TensorShape& from = shapes[node.inputs[0]];
    const TensorShape& to = shapes[i];
    const auto pixels = from.extent.height * from.extent.width;
    FeatureMap output;
    switch (node.op) {
    case Operator::conv2d:
        output = reference_convolution(node, weights, input, from, to);
        add_bias(node, weights, output);
        return output;
    case Operator::linear:
        output = reference_linear(node, weights, input, to);
        add_bias(node, weights, output);
        return output;
    case Operator::batch_norm:
        return reference_batch_norm(node, weights, input);
    case Operator::softmax:
        return reference_softmax(input, from);
    case Operator::add:
    case Operator::multiply:
        return reference_elementwise(node, maps, shapes, to);
    case Operator::concat:
        for (const std::size_t part : node.inputs)
            output.insert(output.end(), maps[part].begin(), maps[part].end());
        return output;
    case Operator::slice:
        return {input.begin() + node.first_channel * pixels,
                input.begin() + (node.first_channel + node.output_channels) * pixels};
    case Operator::channel_shuffle:
        return reference_shuffle(node, input, from);
    case Operator::pad:
        return reference_pad(node, input, from, to);
    case Operator::max_pool:
    case Operator::average_pool:
        return reference_pool(node, input, from, to);
    case Operator::global_average_pool:
        return reference_global_pool(input, from);
    case Operator::resize_nearest:
    case Operator::resize_bilinear:
        return reference_resize(node, input, from, to);
    case Operator::flatten:
        return input;
    default:
        for (const double value : input)
            output.push_back(reference_activation(node, value));
        return output;
    }
}

/// The network's outputs for one image, one after the other.
inline FeatureMap reference_forward(const Network& network, const Weights& weights,
                                    const FeatureMap& image) {
    const std::vector<TensorShape> shapes = infer_shapes(network);
    std::vector<FeatureMap> maps{image};
    for (std::size_t i = 1; i < network.nodes.size(); ++i)
        maps.push_back(reference_node(network, weights, i, maps, shapes));
    FeatureMap result;
    for (const std::size_t output : output_nodes(network))
        result.insert(result.end(), maps[output].begin(), maps[output].end());
    return result;
}

} // namespace hdap::network::testing
