#pragma once

#include "hdap/network/costs.hpp"
#include "hdap/network/normalisation.hpp"
#include "hdap/network/prune.hpp"
#include "hdap/network/search_space.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace hdap::network {

/// A network that is to be pruned, with all that belongs to it.
struct Prunable {
    Network network;
    SearchSpace space;
    CostModel costs;
    /// Nothing where only latencies and costs are looked at.
    std::optional<Weights> weights;
    /// [group] its channels, most important first (rank_channels); empty without weights.
    std::vector<std::vector<std::int32_t>> ranked_channels;
    /// Of the images that the weights were trained on, where a file tells it.
    std::optional<Normalisation> normalisation;

    /// The network of a genome, with its weights. Throws as network::prune, and InternalError where
    /// there are no weights.
    [[nodiscard]] PrunedNetwork prune(const Genome& genome) const;
};

} // namespace hdap::network
