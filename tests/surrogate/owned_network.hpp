#pragma once

#include "hdap/core/random.hpp"
#include "hdap/fleet/random_networks.hpp"
#include "hdap/network/zoo.hpp"
#include "hdap/surrogate/surrogate.hpp"

#include <cstddef>
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

/// A profile of random candidates of `network`: clusters that compute and move memory at different
/// speeds, with 1 % of noise.
inline fleet::Profile profile_of_network(const OwnedNetwork& network, std::int64_t candidates,
                                         std::size_t clusters) {
    core::RandomStream random(23, core::StreamId::testing);
    fleet::Profile profile;
    profile.clusters = clusters;
    for (const auto& group : network.space.groups())
        profile.group_names.push_back(group.name);
    profile.genomes = fleet::profile_genomes(network.space, 5, candidates);
    for (std::size_t k = 0; k < clusters; ++k)
        for (const network::Genome& genome : profile.genomes) {
            double latency = 0.1;
            for (const network::LayerCosts& layer : network.costs.layers(genome))
                latency += 1e-6 * static_cast<double>(1 + k) * static_cast<double>(layer.macs) +
                           1e-5 * static_cast<double>(layer.output_elements);
            profile.latency_ms.push_back(latency * (1.0 + 0.01 * random.normal()));
        }
    return profile;
}

} // namespace hdap::test
