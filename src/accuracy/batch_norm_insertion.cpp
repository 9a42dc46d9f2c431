#include "hdap/accuracy/batch_norm_insertion.hpp"

#include "accuracy/engine/lane_kernels.hpp"
#include "accuracy/norm_statistics.hpp"
#include "hdap/accuracy/evaluation.hpp"
#include "hdap/accuracy/image_fit.hpp"
#include "hdap/network/insert_batch_norm.hpp"
#include "hdap/network/pruning_structure.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>
#include <vector>

namespace hdap::accuracy {
namespace {

using network::GroupChannel;
using network::Network;
using network::Node;
using network::PruningStructure;
using network::Weights;

/// Statistics of some nodes' tensors, per node.
using TensorStatistics = std::vector<BatchStatistics>;

/// Whether the layer mixes the channels that it reads, so that pruning may take some of them away.
bool mixes_channels(const Node& node) {
    return network::has_weights(node.op) && node.groups == 1 && node.inputs[0] != 0;
}

/// The layers, and the tensors that layers read.
std::vector<std::size_t> watched_nodes(const Network& network,
                                       const std::vector<std::size_t>& layers) {
    std::set<std::size_t> nodes(layers.begin(), layers.end());
    for (const Node& node : network.nodes)
        if (mixes_channels(node)) nodes.insert(node.inputs[0]);
    return {nodes.begin(), nodes.end()};
}

/// Norms that change nothing, to see by what a network computes.
void add_identity(const Node& norm, std::int64_t channels, Weights& weights) {
    const auto filled = [channels](double value) {
        return network::Tensor{
            {channels},
            std::vector<float>(static_cast<std::size_t>(channels), static_cast<float>(value))};
    };
    weights[norm.name + ".weight"] = filled(std::sqrt(1.0 + norm.epsilon));
    weights[norm.name + ".bias"] = filled(0.0);
    weights[norm.name + ".running_mean"] = filled(0.0);
    weights[norm.name + ".running_var"] = filled(1.0);
}

/// Of the tensors of `nodes`, which are ascending.
TensorStatistics watch(const Network& network, const Weights& weights,
                       const std::vector<std::size_t>& nodes, const ImageData& images,
                       std::int64_t batch) {
    const network::NetworkWithNorms watched = network::with_norms_behind(network, nodes);
    const std::vector<network::TensorShape> shapes = network::infer_shapes(watched.network);
    Weights with_norms = weights;
    for (const std::size_t norm : watched.norms)
        add_identity(watched.network.nodes[norm], shapes[norm].channels, with_norms);
    const auto found = norm_statistics(watched.network, with_norms, images, batch,
                                       NormMode::watching, lane_kernels(), {});
    TensorStatistics result(network.nodes.size());
    for (std::size_t i = 0; i < nodes.size(); ++i)
        result[nodes[i]] = found->at(watched.norms[i]);
    return result;
}

/// Σ w² over the weights that read channel `c`.
double squares_of_column(const network::Tensor& weight, std::size_t c) {
    const auto outputs = static_cast<std::size_t>(weight.shape[0]);
    const auto inputs = static_cast<std::size_t>(weight.shape[1]);
    const std::size_t taps = weight.values.size() / outputs / inputs;
    double sum = 0.0;
    for (std::size_t o = 0; o < outputs; ++o)
        for (std::size_t tap = 0; tap < taps; ++tap) {
            const auto w = static_cast<double>(weight.values[(o * inputs + c) * taps + tap]);
            sum += w * w;
        }
    return sum;
}

/// [group][channel] the mean square of what reaches the outputs of all layers that read the
/// channel, each of its values through each of its weights.
std::vector<std::vector<double>> energies(const Network& network, const Weights& weights,
                                          const PruningStructure& structure,
                                          const TensorStatistics& statistics) {
    std::vector<std::vector<double>> result;
    for (const network::PruningGroup& group : structure.groups)
        result.emplace_back(static_cast<std::size_t>(group.channels), 0.0);
    for (const Node& node : network.nodes) {
        if (!mixes_channels(node)) continue;
        const std::vector<GroupChannel>& channels = structure.channel_of[node.inputs[0]];
        const BatchStatistics& input = statistics[node.inputs[0]];
        const network::Tensor& weight = weights.at(node.name + ".weight");
        for (std::size_t c = 0; c < channels.size(); ++c) {
            if (channels[c].group < 0) continue;
            result[static_cast<std::size_t>(channels[c].group)]
                  [static_cast<std::size_t>(channels[c].channel)] +=
                squares_of_column(weight, c) * (input.variance[c] + input.mean[c] * input.mean[c]);
        }
    }
    return result;
}

/// Scaled to a mean square of one, about that of filters in training; all ones where all are zero.
void normalise(std::vector<double>& strength) {
    double squares = 0.0;
    for (const double value : strength)
        squares += value * value;
    const double root = std::sqrt(squares / static_cast<double>(strength.size()));
    for (double& value : strength)
        value = root > 0.0 ? value / root : 1.0;
}

network::LayerStatistics layer_statistics(const BatchStatistics& output,
                                          const std::vector<GroupChannel>& channels,
                                          const std::vector<std::vector<double>>& energies) {
    network::LayerStatistics result{output.mean, output.variance, {}};
    for (std::size_t c = 0; c < channels.size(); ++c) {
        const auto [group, channel] = channels[c];
        const double energy =
            group < 0
                ? output.variance[c]
                : energies[static_cast<std::size_t>(group)][static_cast<std::size_t>(channel)];
        result.strength.push_back(std::sqrt(energy));
    }
    normalise(result.strength);
    return result;
}

} // namespace

network::PrunedNetwork insert_batch_norms(const Network& network, const Weights& weights,
                                          const ImageData& images, std::int64_t batch) {
    network::check_weights(network, weights);
    check_evaluation({.batch = batch});
    check_fit(network, images, "images for batch norms");
    const std::vector<std::size_t> layers = network::layers_without_norm(network);
    if (layers.empty()) return {network, weights};
    const PruningStructure structure = network::find_pruning_structure(network);
    const TensorStatistics found =
        watch(network, weights, watched_nodes(network, layers), images, batch);
    const auto energy = energies(network, weights, structure, found);
    std::vector<network::LayerStatistics> statistics;
    for (const std::size_t layer : layers)
        statistics.push_back(layer_statistics(found[layer], structure.channel_of[layer], energy));
    return network::insert_batch_norms(network, weights, layers, statistics);
}

} // namespace hdap::accuracy
