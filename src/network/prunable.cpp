#include "hdap/network/prunable.hpp"

#include "hdap/core/check.hpp"
#include "hdap/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

namespace hdap::network {
namespace {

/// Channels that stay, ascending. Null stands for all of them.
using Kept = const std::vector<std::int32_t>*;

/// Throws DataError unless `ranked` has each channel of `group` once.
void check_ranked(const PruningGroup& group, const std::vector<std::int32_t>& ranked) {
    std::vector<bool> seen(static_cast<std::size_t>(group.channels), false);
    bool permutation = ranked.size() == seen.size();
    for (const std::int32_t channel : ranked) {
        permutation = permutation && channel >= 0 && channel < group.channels &&
                      !seen[static_cast<std::size_t>(channel)];
        if (permutation) seen[static_cast<std::size_t>(channel)] = true;
    }
    if (!permutation)
        throw core::DataError(fmt::format(
            "the ranked channels of group '{}' are not a permutation of its {} channels",
            group.name, group.channels));
}

void check_ranked(const SearchSpace& space,
                  const std::vector<std::vector<std::int32_t>>& ranked_channels) {
    const std::vector<PruningGroup>& groups = space.groups();
    if (ranked_channels.size() != groups.size())
        throw core::DataError(
            fmt::format("channels are ranked for {} groups, the search space has {}",
                        ranked_channels.size(), groups.size()));
    for (std::size_t g = 0; g < groups.size(); ++g)
        check_ranked(groups[g], ranked_channels[g]);
}

/// [group][channel] whether it is one of the first `genome[group]` of `ranked_channels`.
std::vector<std::vector<bool>>
kept_channels(const std::vector<std::vector<std::int32_t>>& ranked_channels, const Genome& genome) {
    std::vector<std::vector<bool>> kept;
    for (std::size_t g = 0; g < genome.size(); ++g) {
        kept.emplace_back(ranked_channels[g].size(), false);
        for (std::int32_t rank = 0; rank < genome[g]; ++rank)
            kept[g][static_cast<std::size_t>(ranked_channels[g][static_cast<std::size_t>(rank)])] =
                true;
    }
    return kept;
}

/// The output channels of every node that stay, ascending. No value stands for all of them.
std::vector<std::optional<std::vector<std::int32_t>>>
kept_of_nodes(const PruningStructure& structure, const std::vector<std::vector<bool>>& kept) {
    std::vector<std::optional<std::vector<std::int32_t>>> result;
    for (const std::vector<GroupChannel>& channels : structure.channel_of) {
        std::vector<std::int32_t> stay;
        for (std::size_t c = 0; c < channels.size(); ++c)
            if (channels[c].group < 0 || kept[static_cast<std::size_t>(channels[c].group)]
                                             [static_cast<std::size_t>(channels[c].channel)])
                stay.push_back(static_cast<std::int32_t>(c));
        result.emplace_back();
        if (stay.size() != channels.size()) result.back() = std::move(stay);
    }
    return result;
}

/// The tensor with the kept rows (first dimension) and columns (second dimension) only.
Tensor select(const Tensor& tensor, Kept rows, Kept columns) {
    const std::int64_t row_count = tensor.shape[0];
    const std::int64_t row_size = static_cast<std::int64_t>(tensor.values.size()) / row_count;
    Tensor result{.shape = tensor.shape, .values = {}};
    if (rows != nullptr) result.shape[0] = static_cast<std::int64_t>(rows->size());
    if (columns != nullptr) result.shape[1] = static_cast<std::int64_t>(columns->size());
    const std::int64_t cell_size = columns == nullptr ? row_size : row_size / tensor.shape[1];
    const std::int64_t kept_row_size =
        columns == nullptr ? row_size : cell_size * static_cast<std::int64_t>(columns->size());
    result.values.resize(static_cast<std::size_t>(result.shape[0] * kept_row_size));
    float* output = result.values.data();
    for (std::int64_t i = 0; i < result.shape[0]; ++i) {
        const std::int64_t row = rows == nullptr ? i : (*rows)[static_cast<std::size_t>(i)];
        const float* input = tensor.values.data() + row * row_size;
        if (columns == nullptr) {
            output = std::copy_n(input, row_size, output);
            continue;
        }
        for (const std::int32_t column : *columns)
            output = std::copy_n(input + column * cell_size, cell_size, output);
    }
    HDAP_CHECK(output == result.values.data() + result.values.size(), result.values.size());
    return result;
}

/// Copies what is left of the parameters of `node`.
void select_parameters(const Node& node, const Weights& weights, Kept outputs, Kept inputs,
                       Weights& result) {
    const auto copy = [&](const char* suffix, Kept columns) {
        const std::string name = node.name + suffix;
        result.emplace(name, select(weights.at(name), outputs, columns));
    };
    if (has_weights(node.op)) {
        copy(".weight", inputs);
        if (node.bias) copy(".bias", nullptr);
    } else if (node.op == Operator::batch_norm) {
        for (const char* suffix : {".weight", ".bias", ".running_mean", ".running_var"})
            copy(suffix, nullptr);
    }
}

/// How many of `kept` are in [first, last).
std::int64_t count_in(const std::vector<std::int32_t>& kept, std::int64_t first,
                      std::int64_t last) {
    return std::lower_bound(kept.begin(), kept.end(), last) -
           std::lower_bound(kept.begin(), kept.end(), first);
}

/// Adapts the fields of a node that count channels.
void shrink(Node& node, Kept inputs, Kept outputs, std::int64_t input_channels,
            std::int64_t output_channels) {
    if (node.op == Operator::slice && inputs != nullptr)
        node.first_channel = count_in(*inputs, 0, node.first_channel);
    if (outputs == nullptr) return;
    const auto kept_outputs = static_cast<std::int64_t>(outputs->size());
    if (node.op == Operator::pad) {
        const std::int64_t after = output_channels - node.channels_after;
        node.channels_before = count_in(*outputs, 0, node.channels_before);
        node.channels_after = count_in(*outputs, after, output_channels);
    }
    if (!has_weights(node.op) && node.op != Operator::slice) return;
    // A convolution whose every channel has filters of its own keeps their number per channel.
    if (node.op == Operator::conv2d && node.groups > 1 && node.groups == input_channels)
        node.groups = kept_outputs / (node.output_channels / input_channels);
    node.output_channels = kept_outputs;
}

} // namespace

PrunedNetwork Prunable::prune(const Genome& genome) const {
    if (!weights)
        throw core::InternalError(
            fmt::format("'{}' is to be pruned, but has no weights", network.name));
    space.validate(genome);
    check_weights(network, *weights);
    const std::vector<TensorShape> shapes = infer_shapes(network);
    check_structure(network, shapes, space.structure());
    check_ranked(space, ranked_channels);
    const auto kept = kept_of_nodes(space.structure(), kept_channels(ranked_channels, genome));
    const auto kept_of = [&](std::size_t node) -> Kept {
        return kept[node] ? &*kept[node] : nullptr;
    };

    PrunedNetwork result{.network = network, .weights = {}};
    for (std::size_t i = 1; i < network.nodes.size(); ++i) {
        const Node& node = network.nodes[i];
        const std::size_t from = node.inputs[0];
        shrink(result.network.nodes[i], kept_of(from), kept_of(i), shapes[from].channels,
               shapes[i].channels);
        // A grouped convolution's filter reads its own group only: one channel, or channels that
        // are never pruned.
        const Kept inputs = node.groups > 1 ? nullptr : kept_of(from);
        select_parameters(node, *weights, kept_of(i), inputs, result.weights);
    }
    return result;
}

Prunable make_prunable(Network network, const SearchSpaceParameters& parameters) {
    SearchSpace space(network, parameters);
    CostModel costs(network, space.structure());
    return {.network = std::move(network), .space = std::move(space), .costs = std::move(costs)};
}

Prunable with_weights(Prunable prunable, Weights weights,
                      std::vector<std::vector<std::int32_t>> ranked_channels) {
    check_weights(prunable.network, weights);
    check_ranked(prunable.space, ranked_channels);
    prunable.weights = std::move(weights);
    prunable.ranked_channels = std::move(ranked_channels);
    return prunable;
}

Prunable with_inserted_norms(Prunable prunable, PrunedNetwork same,
                             const SearchSpaceParameters& parameters) {
    SearchSpace space(same.network, parameters);
    const auto same_group = [](const PruningGroup& a, const PruningGroup& b) {
        return a.name == b.name && a.channels == b.channels;
    };
    if (!std::equal(space.groups().begin(), space.groups().end(), prunable.space.groups().begin(),
                    prunable.space.groups().end(), same_group))
        throw core::InternalError(fmt::format(
            "the pruning groups of '{}' are others with batch norms inserted", same.network.name));
    prunable.network = std::move(same.network);
    prunable.space = std::move(space);
    prunable.weights = std::move(same.weights);
    prunable.ranked_channels.clear();
    return prunable;
}

Prunable with_weights(Prunable prunable, Weights weights, const ImportanceParameters& importance) {
    auto ranked = rank_channels(prunable.network, weights, prunable.space, importance);
    return with_weights(std::move(prunable), std::move(weights), std::move(ranked));
}

} // namespace hdap::network
