#pragma once

#include "hdap/network/costs.hpp"
#include "hdap/network/importance.hpp"
#include "hdap/network/normalisation.hpp"
#include "hdap/network/pruned_network.hpp"
#include "hdap/network/search_space.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace hdap::network {

/// A network that is to be pruned, with all that belongs to it; see make_prunable.
struct Prunable {
    Network network;
    SearchSpace space;
    CostModel costs;
    /// Nothing where only latencies and costs are looked at.
    std::optional<Weights> weights = std::nullopt;
    /// [group] its channels, most important first (rank_channels); empty without weights.
    std::vector<std::vector<std::int32_t>> ranked_channels = {};
    /// Of the images that the weights were trained on, where a file tells it.
    std::optional<Normalisation> normalisation = std::nullopt;

    /// The network of a genome, with its weights: keeps the `genome[g]` most important channels of
    /// every group, in their original order, and drops the others from the weights of every layer
    /// that produces or consumes them. Tensors that the network does not use are dropped, too. If
    /// the dropped channels are zero wherever they are read, the smaller network computes the same
    /// function. Thread-safe. Complexity: O(weights kept).
    /// Throws DataError when `genome` is not one of the search space or the members do not belong
    /// together, InternalError where there are no weights.
    [[nodiscard]] PrunedNetwork prune(const Genome& genome) const;
};

/// The network without weights.
/// Throws as SearchSpace and CostModel.
Prunable make_prunable(Network network, const SearchSpaceParameters& parameters);

/// The same network with its weights and the order in which its channels stay.
/// Throws DataError when the weights are not the network's (check_weights), or a group's
/// `ranked_channels` are not a permutation of its channels.
Prunable with_weights(Prunable prunable, Weights weights,
                      std::vector<std::vector<std::int32_t>> ranked_channels);

/// The same as computed by another graph: `same` has batch norms inserted (insert_batch_norms), so
/// groups and genomes stay what they are. Costs stay, too: norms are folded where networks are
/// deployed. Weights become those of `same`; their channels are not ranked yet. `parameters`: those
/// that `prunable` was made with. Throws InternalError when the groups are others.
Prunable with_inserted_norms(Prunable prunable, PrunedNetwork same,
                             const SearchSpaceParameters& parameters);

/// The same with the channels in the order of rank_channels. Throws as that.
Prunable with_weights(Prunable prunable, Weights weights,
                      const ImportanceParameters& importance = {});

} // namespace hdap::network
