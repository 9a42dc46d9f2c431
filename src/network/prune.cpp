#include "hdap/network/prune.hpp"

#include "hdap/core/error.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

namespace hdap::network {
namespace {

/// Channels that stay, ascending. Null stands for all of them.
using Kept = const std::vector<std::int32_t>*;

bool has_weight(const Node& node) {
    return node.op == Operator::conv2d || node.op == Operator::linear;
}

/// Adds, for every output channel of `node`, the squares of its weights.
void add_squares(const Node& node, const Weights& weights, std::vector<double>& importance) {
    const std::string name = node.name + ".weight";
    const std::vector<float>& values = weights.at(name).values;
    const std::size_t per_channel = values.size() / importance.size();
    for (std::size_t c = 0; c < importance.size(); ++c) {
        double sum = 0.0;
        for (std::size_t i = c * per_channel; i < (c + 1) * per_channel; ++i)
            sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
        if (!std::isfinite(sum))
            throw core::DataError("tensor '" + name +
                                  "' has a value that is not finite in channel " +
                                  std::to_string(c) + "; was its training stable?");
        importance[c] += sum;
    }
}

std::vector<std::int32_t> kept_channels(const PruningGroup& group,
                                        const std::vector<std::int32_t>& ranked,
                                        std::int32_t count) {
    std::vector<bool> seen(static_cast<std::size_t>(group.channels), false);
    bool permutation = ranked.size() == seen.size();
    for (const std::int32_t channel : ranked) {
        permutation = permutation && channel >= 0 && channel < group.channels &&
                      !seen[static_cast<std::size_t>(channel)];
        if (permutation) seen[static_cast<std::size_t>(channel)] = true;
    }
    if (!permutation)
        throw core::DataError("the ranked channels of group '" + group.name +
                              "' are not a permutation of its " + std::to_string(group.channels) +
                              " channels");
    std::vector<std::int32_t> kept(ranked.begin(), ranked.begin() + count);
    std::sort(kept.begin(), kept.end());
    return kept;
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
    return result;
}

/// Copies what is left of the parameters of `node`.
void select_parameters(const Node& node, const Weights& weights, Kept outputs, Kept inputs,
                       Weights& result) {
    const auto copy = [&](const char* suffix, Kept columns) {
        const std::string name = node.name + suffix;
        result.emplace(name, select(weights.at(name), outputs, columns));
    };
    if (has_weight(node)) {
        copy(".weight", inputs);
        if (node.bias) copy(".bias", nullptr);
    } else if (node.op == Operator::batch_norm) {
        for (const char* suffix : {".weight", ".bias", ".running_mean", ".running_var"})
            copy(suffix, nullptr);
    }
}

void shrink(Node& node, bool depthwise, Kept outputs) {
    if (!has_weight(node) || outputs == nullptr) return;
    node.output_channels = static_cast<std::int64_t>(outputs->size());
    if (depthwise) node.groups = node.output_channels;
}

} // namespace

std::vector<std::vector<std::int32_t>> rank_channels(const Network& network, const Weights& weights,
                                                     const SearchSpace& space) {
    check_weights(network, weights);
    (void)group_of_nodes(network, space.groups());
    std::vector<std::vector<std::int32_t>> ranked;
    for (const PruningGroup& group : space.groups()) {
        std::vector<double> importance(static_cast<std::size_t>(group.channels), 0.0);
        for (const std::size_t member : group.members)
            if (has_weight(network.nodes[member]))
                add_squares(network.nodes[member], weights, importance);
        std::vector<std::int32_t> order(importance.size());
        std::iota(order.begin(), order.end(), 0);
        // The root of the sum is monotone, so the squares give the norm's order.
        std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
            return importance[static_cast<std::size_t>(a)] >
                   importance[static_cast<std::size_t>(b)];
        });
        ranked.push_back(std::move(order));
    }
    return ranked;
}

PrunedNetwork prune(const Network& network, const Weights& weights, const SearchSpace& space,
                    const std::vector<std::vector<std::int32_t>>& ranked_channels,
                    const Genome& genome) {
    space.validate(genome);
    check_weights(network, weights);
    const std::vector<int> group_of = group_of_nodes(network, space.groups());
    if (ranked_channels.size() != genome.size())
        throw core::DataError("channels are ranked for " + std::to_string(ranked_channels.size()) +
                              " groups, the search space has " + std::to_string(genome.size()));
    std::vector<std::vector<std::int32_t>> kept;
    for (std::size_t g = 0; g < genome.size(); ++g)
        kept.push_back(kept_channels(space.groups()[g], ranked_channels[g], genome[g]));
    const auto kept_of = [&](std::size_t node) -> Kept {
        if (group_of[node] < 0) return nullptr;
        const auto g = static_cast<std::size_t>(group_of[node]);
        return genome[g] == space.groups()[g].channels ? nullptr : &kept[g];
    };

    PrunedNetwork result{.network = network, .weights = {}};
    const std::vector<TensorShape> shapes = infer_shapes(network);
    for (std::size_t i = 1; i < network.nodes.size(); ++i) {
        const Node& node = network.nodes[i];
        const bool depthwise = is_depthwise(node, shapes[node.inputs[0]].channels);
        shrink(result.network.nodes[i], depthwise, kept_of(i));
        // A depthwise filter has a single input, its own channel, whatever else is dropped.
        const Kept inputs = depthwise ? nullptr : kept_of(node.inputs[0]);
        select_parameters(node, weights, kept_of(i), inputs, result.weights);
    }
    return result;
}

} // namespace hdap::network
