#include "hdap/network/costs.hpp"

#include "hdap/core/error.hpp"

#include <algorithm>

namespace hdap::network {
namespace {

constexpr std::size_t no_layer = ~std::size_t{0};

std::int64_t pixels(const TensorShape& shape) {
    return shape.extent.height * shape.extent.width;
}

bool is_layer(Operator op) {
    return op == Operator::conv2d || op == Operator::linear || op == Operator::add ||
           op == Operator::global_average_pool;
}

LayerKind kind_of(const Node& node, std::int64_t input_channels) {
    switch (node.op) {
    case Operator::linear:
        return LayerKind::linear;
    case Operator::add:
        return LayerKind::addition;
    case Operator::global_average_pool:
        return LayerKind::pooling;
    default:
        return is_depthwise(node, input_channels) ? LayerKind::depthwise : LayerKind::convolution;
    }
}

} // namespace

CostModel::CostModel(const Network& network, const SearchSpace& space)
    : groups_(space.groups().size()) {
    const std::vector<TensorShape> shapes = infer_shapes(network);
    const std::vector<int> group_of = group_of_nodes(network, space.groups());
    std::vector<std::size_t> layer_of(network.nodes.size(), no_layer);
    for (std::size_t i = 1; i < network.nodes.size(); ++i) {
        const Node& node = network.nodes[i];
        const std::size_t from = node.inputs[0];
        layer_of[i] = layer_of[from];
        if (node.op == Operator::batch_norm) {
            if (layer_of[from] == no_layer)
                image_parameters_ += 2 * shapes[i].channels;
            else
                layers_[layer_of[from]].channel_parameters += 2;
        }
        if (!is_layer(node.op)) continue;
        const bool convolves = node.op == Operator::conv2d;
        const bool has_weights = convolves || node.op == Operator::linear;
        const std::int64_t area = convolves ? node.kernel.height * node.kernel.width : 1;
        layer_of[i] = layers_.size();
        layers_.push_back(
            {.name = node.name,
             .kind = kind_of(node, shapes[from].channels),
             .input_group = group_of[from],
             .output_group = group_of[i],
             .input_channels = shapes[from].channels,
             .output_channels = shapes[i].channels,
             .input_pixels = pixels(shapes[from]) * static_cast<std::int64_t>(node.inputs.size()),
             .output_pixels = pixels(shapes[i]),
             .kernel_area = has_weights ? area : 0,
             .groups = convolves ? node.groups : 1,
             .channel_parameters = has_weights && node.bias ? 1 : 0});
    }
    check_overflow(network, space.unpruned());
}

void CostModel::check_overflow(const Network& network, const Genome& unpruned) const {
    // infer_shapes bounds every layer far below 2^62; only the sum can grow beyond.
    constexpr std::int64_t limit = std::int64_t{1} << 62;
    std::int64_t sum = 0;
    for (const Layer& layer : layers_) {
        const Counts counts = count(layer, unpruned);
        for (const std::int64_t cost : {counts.macs, counts.parameters}) {
            if (cost > limit - sum)
                throw core::DataError("network '" + network.name +
                                      "' is too large: its costs exceed 2^62");
            sum += cost;
        }
    }
}

void CostModel::check_length(const Genome& genome) const {
    if (genome.size() != groups_)
        throw core::DataError("the genome has " + std::to_string(genome.size()) +
                              " counts, the cost model has " + std::to_string(groups_) +
                              " pruning groups");
}

CostModel::Counts CostModel::count(const Layer& layer, const Genome& genome) noexcept {
    const auto channels = [&genome](int group, std::int64_t unpruned) -> std::int64_t {
        return group < 0 ? unpruned : genome[static_cast<std::size_t>(group)];
    };
    const std::int64_t inputs = channels(layer.input_group, layer.input_channels);
    const std::int64_t outputs = channels(layer.output_group, layer.output_channels);
    std::int64_t inputs_of_filter = inputs;
    if (layer.kind == LayerKind::depthwise)
        inputs_of_filter = 1;
    else if (layer.groups > 1)
        inputs_of_filter = inputs / layer.groups;
    const std::int64_t weights = layer.kernel_area * inputs_of_filter * outputs;
    return {.input_channels = inputs,
            .output_channels = outputs,
            .macs = weights * layer.output_pixels,
            .parameters = weights + layer.channel_parameters * outputs,
            .input_elements = inputs * layer.input_pixels,
            .output_elements = outputs * layer.output_pixels};
}

NetworkCosts CostModel::total(const Genome& genome) const {
    check_length(genome);
    NetworkCosts sum{.macs = 0, .parameters = image_parameters_, .peak_activation_elements = 0};
    for (const Layer& layer : layers_) {
        const Counts counts = count(layer, genome);
        sum.macs += counts.macs;
        sum.parameters += counts.parameters;
        sum.peak_activation_elements =
            std::max(sum.peak_activation_elements, counts.input_elements + counts.output_elements);
    }
    return sum;
}

std::vector<LayerCosts> CostModel::layers(const Genome& genome) const {
    check_length(genome);
    std::vector<LayerCosts> result;
    result.reserve(layers_.size());
    for (const Layer& layer : layers_) {
        const Counts counts = count(layer, genome);
        result.push_back({.name = layer.name,
                          .kind = layer.kind,
                          .input_channels = counts.input_channels,
                          .output_channels = counts.output_channels,
                          .macs = counts.macs,
                          .parameters = counts.parameters,
                          .input_elements = counts.input_elements,
                          .output_elements = counts.output_elements});
    }
    return result;
}

} // namespace hdap::network
