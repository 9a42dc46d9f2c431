#pragma once

#include "hdap/network/zoo.hpp"
#include "hdap/surrogate/surrogate.hpp"

#include <cstdint>
#include <string>
#include <utility>

namespace hdap::test {

/// A network of the zoo whose candidates are predicted.
struct OwnedNetwork {
    network::Network network;
    network::SearchSpace space;
    network::CostModel costs;
    std::int64_t batch = 1;

    explicit OwnedNetwork(const std::string& name = "mobilenet_v1", std::int64_t divisor = 8,
                          double width = 0.5, std::int64_t side = 32)
        : network(
              network::make_network({.name = name, .width = width, .input_extent = {side, side}})),
          space(network, {.divisor = divisor}), costs(network, space.structure()) {}

    [[nodiscard]] surrogate::PredictedNetwork view() const { return {space, costs, batch}; }
};

} // namespace hdap::test
