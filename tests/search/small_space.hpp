#pragma once

#include "hdap/network/search_space.hpp"
#include "hdap/network/zoo.hpp"

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace hdap::search::testing {

/// A chain of `genes` prunable 1 × 1 convolutions of `channels` channels each, with a classifier.
inline network::Network chain_network(std::size_t genes, std::int64_t channels) {
    network::Network network{"chain", {4, 4}, {}};
    const auto append = [&](network::Node node) {
        if (!network.nodes.empty()) node.inputs = {network.nodes.size() - 1};
        network.nodes.push_back(std::move(node));
    };
    network::Node input;
    input.name = "input";
    input.output_channels = 3;
    append(input);
    for (std::size_t g = 0; g < genes; ++g) {
        network::Node convolution;
        convolution.name = "conv" + std::to_string(g);
        convolution.op = network::Operator::conv2d;
        convolution.output_channels = channels;
        append(convolution);
    }
    network::Node pooling;
    pooling.name = "pool";
    pooling.op = network::Operator::global_average_pool;
    append(pooling);
    network::Node classifier;
    classifier.name = "classifier";
    classifier.op = network::Operator::linear;
    classifier.output_channels = 10;
    append(classifier);
    return network;
}

/// Every gene may be 8, 16, …, 64: 8 levels.
inline network::SearchSpace small_space(std::size_t genes) {
    return {chain_network(genes, 64), {.min_keep = 0.125, .divisor = 8}};
}

/// Bottlenecks of 48 and 64 inner channels between shortcuts of 32: of each one block, of all one
/// pruning group in no block.
inline network::Network bottleneck_network(std::size_t bottlenecks) {
    network::Network network{"bottlenecks", {4, 4}, {}};
    const auto append = [&](network::Operator op, const std::string& name,
                            std::vector<std::size_t> inputs, std::int64_t channels) {
        network::Node node;
        node.name = name;
        node.op = op;
        node.inputs = std::move(inputs);
        node.output_channels = channels;
        network.nodes.push_back(std::move(node));
        return network.nodes.size() - 1;
    };
    using network::Operator;
    append(Operator::input, "input", {}, 3);
    std::size_t last = append(Operator::conv2d, "stem", {0}, 32);
    for (std::size_t i = 0; i < bottlenecks; ++i) {
        const std::string name = "block" + std::to_string(i);
        std::size_t inner = append(Operator::conv2d, name + ".first", {last}, 48);
        inner = append(Operator::conv2d, name + ".second", {inner}, 64);
        inner = append(Operator::conv2d, name + ".third", {inner}, 32);
        last = append(Operator::add, name + ".add", {last, inner}, 0);
    }
    last = append(Operator::global_average_pool, "pool", {last}, 0);
    append(Operator::linear, "classifier", {last}, 10);
    return network;
}

inline network::SearchSpace mobilenet_space() {
    return {network::make_network({.name = "mobilenet_v1", .input_extent = {32, 32}}),
            {.min_keep = 0.2, .divisor = 8}};
}

/// Multiply-accumulates per pixel of a chain.
inline double cost_of(const network::Genome& genome) {
    double cost = 0;
    double inputs = 3;
    for (const std::int32_t channels : genome) {
        cost += inputs * channels;
        inputs = channels;
    }
    return cost + inputs * 10;
}

inline std::size_t distinct(const std::vector<network::Genome>& genomes) {
    return std::set<network::Genome>(genomes.begin(), genomes.end()).size();
}

} // namespace hdap::search::testing
