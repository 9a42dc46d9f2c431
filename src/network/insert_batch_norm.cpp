#include "hdap/network/insert_batch_norm.hpp"

#include "hdap/core/error.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <span>
#include <string>
#include <utility>

namespace hdap::network {
namespace {

/// Whether a batch norm alone reads a convolution.
bool has_norms(const Network& network) {
    const std::vector<std::size_t> readers = count_readers(network);
    return std::any_of(network.nodes.begin(), network.nodes.end(), [&](const Node& node) {
        return node.op == Operator::batch_norm &&
               network.nodes[node.inputs[0]].op == Operator::conv2d && readers[node.inputs[0]] == 1;
    });
}

/// Per node, whether its tensor reaches an output without another layer that has weights.
std::vector<bool> nodes_of_outputs(const Network& network) {
    std::vector<bool> result(network.nodes.size(), false);
    for (const std::size_t output : output_nodes(network))
        result[output] = true;
    for (std::size_t i = network.nodes.size(); i-- > 1;)
        if (result[i] && !has_weights(network.nodes[i].op))
            for (const std::size_t input : network.nodes[i].inputs)
                result[input] = true;
    return result;
}

/// Per node, whether all that it is made of went through a global pooling.
std::vector<bool> nodes_behind_pooling(const Network& network) {
    std::vector<bool> result(network.nodes.size(), false);
    for (std::size_t i = 1; i < network.nodes.size(); ++i) {
        const Node& node = network.nodes[i];
        result[i] = node.op == Operator::global_average_pool ||
                    std::all_of(node.inputs.begin(), node.inputs.end(),
                                [&](std::size_t input) { return result[input]; });
    }
    return result;
}

std::string unique_name(std::string name, std::set<std::string>& names) {
    while (!names.insert(name).second)
        name += '_';
    return name;
}

/// Gives filter `c` of a layer the norm `strength`, and the batch norm what keeps the function: for
/// the layer's output y, before and without its bias, s·y is what the norm sees.
class LayerSplitter {
  public:
    LayerSplitter(const Node& layer, const Node& norm, const LayerStatistics& statistics,
                  Weights& weights)
        : epsilon_(norm.epsilon), statistics_(statistics),
          weight_(weights.at(layer.name + ".weight")), bias_(weights.at(layer.name + ".bias")),
          scale_(weights[norm.name + ".weight"]), offset_(weights[norm.name + ".bias"]),
          mean_(weights[norm.name + ".running_mean"]),
          variance_(weights[norm.name + ".running_var"]) {
        for (Tensor* tensor : {&scale_, &offset_, &mean_, &variance_})
            *tensor = bias_;
    }

    void split(std::size_t c) {
        const double s = factor(c);
        const double bias = static_cast<double>(bias_.values[c]);
        const double mean = statistics_.mean[c] - bias;
        const double variance = s * s * statistics_.variance[c];
        for (float& value : filter(c))
            value = static_cast<float>(s * static_cast<double>(value));
        mean_.values[c] = static_cast<float>(s * mean);
        variance_.values[c] = static_cast<float>(variance);
        scale_.values[c] = static_cast<float>(std::sqrt(variance + epsilon_) / s);
        offset_.values[c] = static_cast<float>(statistics_.mean[c]);
    }

  private:
    [[nodiscard]] std::span<float> filter(std::size_t c) const {
        const std::size_t size = weight_.values.size() / bias_.values.size();
        return std::span(weight_.values).subspan(c * size, size);
    }

    /// What the filter is multiplied by. A channel that no image stirred stays far from zero, where
    /// nothing could be told of it.
    [[nodiscard]] double factor(std::size_t c) const {
        double squares = 0.0;
        for (const float value : filter(c))
            squares += static_cast<double>(value) * static_cast<double>(value);
        if (squares == 0.0) return 1.0;
        return std::sqrt((statistics_.strength[c] * statistics_.strength[c] + epsilon_) / squares);
    }

    double epsilon_;
    const LayerStatistics& statistics_;
    Tensor& weight_;
    const Tensor& bias_;
    Tensor& scale_;
    Tensor& offset_;
    Tensor& mean_;
    Tensor& variance_;
};

void check_statistics(const Network& network, const std::vector<std::size_t>& layers,
                      const std::vector<LayerStatistics>& statistics) {
    if (statistics.size() != layers.size())
        throw core::InternalError(fmt::format("statistics of {} layers, expected those of {}",
                                              statistics.size(), layers.size()));
    for (std::size_t i = 0; i < layers.size(); ++i) {
        const Node& layer = network.nodes.at(layers[i]);
        const auto channels = static_cast<std::size_t>(layer.output_channels);
        for (const std::vector<double>* values :
             {&statistics[i].mean, &statistics[i].variance, &statistics[i].strength})
            if (!layer.bias || values->size() != channels)
                throw core::InternalError(fmt::format(
                    "statistics of {} channels for layer '{}' of {} channels{}", values->size(),
                    layer.name, channels, layer.bias ? "" : " without bias"));
    }
}

} // namespace

std::vector<std::size_t> layers_without_norm(const Network& network) {
    if (has_norms(network)) return {};
    const std::vector<bool> returned = nodes_of_outputs(network);
    const std::vector<bool> pooled = nodes_behind_pooling(network);
    std::vector<std::size_t> result;
    for (std::size_t i = 0; i < network.nodes.size(); ++i)
        if (network.nodes[i].op == Operator::conv2d && network.nodes[i].bias && !returned[i] &&
            !pooled[i])
            result.push_back(i);
    return result;
}

NetworkWithNorms with_norms_behind(const Network& network, const std::vector<std::size_t>& nodes) {
    NetworkWithNorms result{{network.name, network.input_extent, {}, {}}, {}};
    std::set<std::string> names;
    for (const Node& node : network.nodes)
        names.insert(node.name);
    std::vector<std::size_t> index_of; // where each node's tensor comes from now
    for (std::size_t i = 0; i < network.nodes.size(); ++i) {
        Node copy = network.nodes[i];
        for (std::size_t& input : copy.inputs)
            input = index_of[input];
        std::vector<Node>& made = result.network.nodes;
        made.push_back(std::move(copy));
        if (std::binary_search(nodes.begin(), nodes.end(), i)) {
            Node norm;
            norm.name = unique_name(network.nodes[i].name + ".norm", names);
            norm.op = Operator::batch_norm;
            norm.inputs = {made.size() - 1};
            result.norms.push_back(made.size());
            made.push_back(std::move(norm));
        }
        index_of.push_back(made.size() - 1);
    }
    for (const std::size_t output : network.outputs)
        result.network.outputs.push_back(index_of[output]);
    return result;
}

PrunedNetwork insert_batch_norms(const Network& network, const Weights& weights,
                                 const std::vector<std::size_t>& layers,
                                 const std::vector<LayerStatistics>& statistics) {
    check_weights(network, weights);
    check_statistics(network, layers, statistics);
    auto [graph, norms] = with_norms_behind(network, layers);
    PrunedNetwork result{std::move(graph), weights};
    for (std::size_t i = 0; i < layers.size(); ++i) {
        const Node& norm = result.network.nodes[norms[i]];
        Node& layer = result.network.nodes[norm.inputs[0]];
        LayerSplitter splitter(layer, norm, statistics[i], result.weights);
        for (std::size_t c = 0; c < statistics[i].mean.size(); ++c)
            splitter.split(c);
        layer.bias = false;
        result.weights.erase(layer.name + ".bias");
    }
    return result;
}

} // namespace hdap::network
