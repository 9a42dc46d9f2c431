#pragma once

#include "hdap/network/zoo.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace hdap::network::testing {

/// A network of the zoo for images of 32 × 32 and ten classes.
inline Network zoo(const std::string& name) {
    ZooRequest request;
    request.name = name;
    request.classes = 10;
    request.input_extent = {32, 32};
    return make_network(request);
}

inline Node node(Operator op, const std::string& name, std::vector<std::size_t> from) {
    Node result;
    result.name = name;
    result.op = op;
    result.inputs = std::move(from);
    return result;
}

inline Node conv(const std::string& name, std::size_t from, std::int64_t channels,
                 std::int64_t groups = 1) {
    Node result = node(Operator::conv2d, name, {from});
    result.output_channels = channels;
    result.groups = groups;
    return result;
}

/// `nodes` behind an input of 3 channels of 4 × 4.
inline Network network_of(std::vector<Node> nodes) {
    Node input = node(Operator::input, "input", {});
    input.output_channels = 3;
    nodes.insert(nodes.begin(), std::move(input));
    return {"sample", {4, 4}, std::move(nodes), {}};
}

} // namespace hdap::network::testing
