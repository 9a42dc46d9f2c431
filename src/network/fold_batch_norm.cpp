#include "hdap/network/fold_batch_norm.hpp"

#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

namespace hdap::network {
namespace {

/// w·(x − mean)/√(var + ε) + b as a factor and an offset of the layer before it.
void fold(const Node& norm, Node& layer, Weights& weights) {
    Tensor& weight = weights.at(layer.name + ".weight");
    const std::size_t channels = static_cast<std::size_t>(weight.shape[0]);
    Tensor& bias = weights[layer.name + ".bias"];
    if (!layer.bias) bias = {{weight.shape[0]}, std::vector<float>(channels, 0.0F)};
    layer.bias = true;
    const std::size_t row = weight.values.size() / channels;
    for (std::size_t c = 0; c < channels; ++c) {
        const auto value = [&](const char* suffix) {
            return static_cast<double>(weights.at(norm.name + suffix).values[c]);
        };
        const double factor = value(".weight") / std::sqrt(value(".running_var") + norm.epsilon);
        for (std::size_t i = c * row; i < (c + 1) * row; ++i)
            weight.values[i] = static_cast<float>(static_cast<double>(weight.values[i]) * factor);
        const double before = static_cast<double>(bias.values[c]);
        bias.values[c] =
            static_cast<float>((before - value(".running_mean")) * factor + value(".bias"));
    }
}

} // namespace

PrunedNetwork fold_batch_norms(const Network& network, const Weights& weights) {
    check_weights(network, weights);
    const std::vector<std::size_t> readers = count_readers(network);
    PrunedNetwork result{{network.name, network.input_extent, {}, {}}, weights};
    std::vector<std::size_t> index_of; // where each node's tensor comes from now
    for (const Node& node : network.nodes) {
        Node copy = node;
        for (std::size_t& input : copy.inputs)
            input = index_of[input];
        if (node.op == Operator::batch_norm && readers[node.inputs[0]] == 1) {
            Node& before = result.network.nodes[copy.inputs[0]];
            const Operator producer = network.nodes[node.inputs[0]].op;
            if (has_weights(producer)) {
                fold(node, before, result.weights);
                index_of.push_back(copy.inputs[0]);
                continue;
            }
        }
        index_of.push_back(result.network.nodes.size());
        result.network.nodes.push_back(std::move(copy));
    }
    for (const std::size_t output : output_nodes(network))
        result.network.outputs.push_back(index_of[output]);
    // As the other networks have it.
    if (result.network.outputs == std::vector{result.network.nodes.size() - 1})
        result.network.outputs.clear();
    const auto used = expected_shapes(result.network);
    std::erase_if(result.weights,
                  [&used](const auto& tensor) { return !used.contains(tensor.first); });
    return result;
}

} // namespace hdap::network
