#pragma once

#include "hdap/core/random.hpp"
#include "hdap/fleet/synthesis.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace hdap::fleet::testing {

using network::LayerKind;

/// A layer of stride 1 on `side`² pixels, whose every filter spans `filter_inputs` elements.
inline network::LayerCosts layer(LayerKind kind, std::int64_t inputs, std::int64_t outputs,
                                 std::int64_t filter_inputs, std::int64_t side) {
    return {.name = "layer",
            .kind = kind,
            .input_channels = inputs,
            .output_channels = outputs,
            .macs = filter_inputs * outputs * side * side,
            .parameters = filter_inputs * outputs,
            .input_elements = inputs * side * side,
            .output_elements = outputs * side * side};
}

/// MobileNetV1-like: pairs of a depthwise and a pointwise layer, of random widths.
inline BenchmarkNetwork random_network(std::uint32_t number) {
    core::RandomStream random(11, core::StreamId::testing, number);
    BenchmarkNetwork network{"network-" + std::to_string(number), {}, {}};
    std::int64_t inputs = 32;
    std::int64_t side = 112;
    for (int block = 0; block < 13; ++block) {
        const auto full = std::min<std::int64_t>(1024, 64LL << (block / 2));
        const auto outputs =
            static_cast<std::int64_t>(static_cast<double>(full) * (0.4 + 0.6 * random.uniform()));
        network.layers.push_back(layer(LayerKind::depthwise, inputs, inputs, 9, side));
        network.layers.push_back(layer(LayerKind::convolution, inputs, outputs, inputs, side));
        inputs = outputs;
        if (block % 2 == 1 && side > 7) side /= 2;
    }
    return network;
}

inline std::vector<BenchmarkNetwork> random_networks(std::uint32_t count) {
    std::vector<BenchmarkNetwork> networks;
    for (std::uint32_t i = 0; i < count; ++i)
        networks.push_back(random_network(i));
    return networks;
}

} // namespace hdap::fleet::testing
