#pragma once

#include "hdap/core/random.hpp"
#include "hdap/fleet/random_networks.hpp"
#include "hdap/network/zoo.hpp"
#include "hdap/surrogate/surrogate.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
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

/// What a candidate takes on a cluster, without noise, in ms.
using Truth = std::function<double(const network::Genome& genome, std::size_t cluster)>;

/// A profile of random candidates of `network`.
inline fleet::Profile profile_of(const OwnedNetwork& network, const Truth& truth,
                                 std::size_t clusters, std::int64_t candidates,
                                 double noise_sigma = 0.003) {
    core::RandomStream random(9, core::StreamId::testing);
    fleet::Profile profile;
    profile.clusters = clusters;
    for (const auto& group : network.space.groups())
        profile.group_names.push_back(group.name);
    profile.genomes = fleet::profile_genomes(network.space, 3, candidates);
    for (std::size_t k = 0; k < clusters; ++k)
        for (const network::Genome& genome : profile.genomes)
            profile.latency_ms.push_back(truth(genome, k) *
                                         std::exp(noise_sigma * random.normal()));
    return profile;
}

/// The same of clusters that compute and move memory at different speeds, with 1 % of noise.
inline fleet::Profile profile_of_network(const OwnedNetwork& network, std::int64_t candidates,
                                         std::size_t clusters) {
    const Truth truth = [&](const network::Genome& genome, std::size_t cluster) {
        double latency = 0.1;
        for (const network::LayerCosts& layer : network.costs.layers(genome))
            latency += 1e-6 * static_cast<double>(1 + cluster) * static_cast<double>(layer.macs) +
                       1e-5 * static_cast<double>(layer.output_elements);
        return latency;
    };
    return profile_of(network, truth, clusters, candidates, 0.01);
}

} // namespace hdap::test
