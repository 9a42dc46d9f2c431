#include "hdap/network/costs.hpp"

#include "hdap/core/error.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

namespace hdap::network {
namespace {

constexpr std::size_t no_layer = ~std::size_t{0};

std::int64_t pixels_of(const TensorShape& shape) {
    return shape.extent.height * shape.extent.width;
}

/// Whether the node is done with the layer before it, in the memory of its input where that can be.
bool belongs_to_input(Operator op) {
    return op == Operator::batch_norm || op == Operator::flatten || is_activation(op);
}

LayerKind kind_of(const Node& node, std::int64_t input_channels) {
    switch (node.op) {
    case Operator::linear:
        return LayerKind::linear;
    case Operator::add:
    case Operator::multiply:
    case Operator::softmax:
        return LayerKind::elementwise;
    case Operator::max_pool:
    case Operator::average_pool:
    case Operator::global_average_pool:
        return LayerKind::pooling;
    case Operator::conv2d:
        return is_depthwise(node, input_channels) ? LayerKind::depthwise : LayerKind::convolution;
    default:
        return LayerKind::copy;
    }
}

/// The tensors that a network's nodes are in.
struct Tensors {
    std::vector<std::size_t> of;          ///< per node, the one that made the tensor
    std::vector<std::size_t> last_reader; ///< per node that made one
};

/// A batch norm or an activation overwrites its input where nothing reads that afterwards.
/// Flattening only looks at it in another way.
Tensors find_tensors(const Network& network) {
    const std::size_t end = network.nodes.size();
    std::vector<std::size_t> last_reader(end, 0); // of the node's value
    for (std::size_t i = 1; i < end; ++i)
        for (const std::size_t input : network.nodes[i].inputs)
            last_reader[input] = i;
    for (const std::size_t output : output_nodes(network))
        last_reader[output] = end;
    Tensors tensors{std::vector<std::size_t>(end, 0), std::vector<std::size_t>(end, 0)};
    for (std::size_t i = 0; i < end; ++i) {
        const Node& node = network.nodes[i];
        tensors.of[i] = i;
        if (i > 0 && belongs_to_input(node.op)) {
            const std::size_t tensor = tensors.of[node.inputs[0]];
            if (node.op == Operator::flatten || tensors.last_reader[tensor] <= i)
                tensors.of[i] = tensor;
        }
        std::size_t& last = tensors.last_reader[tensors.of[i]];
        last = std::max(last, last_reader[i]);
    }
    return tensors;
}

/// Elements in memory as a function of the genome: group → coefficient; group -1: constant.
using Form = std::map<std::int32_t, std::int64_t>;

/// Whether `a` is never more than `b`, whatever the genome.
bool never_exceeds(const Form& a, const Form& b) {
    for (const auto& [group, coefficient] : a) {
        const auto found = b.find(group);
        if (found == b.end() || found->second < coefficient) return false;
    }
    return true;
}

} // namespace

std::string_view layer_kind_name(LayerKind kind) noexcept {
    constexpr std::array<std::string_view, 6> names{"convolution", "depthwise",   "linear",
                                                    "pooling",     "elementwise", "copy"};
    return names[static_cast<std::size_t>(kind)];
}

CostModel::CostModel(const Network& network, const PruningStructure& structure)
    : groups_(structure.groups.size()) {
    const std::vector<TensorShape> shapes = infer_shapes(network);
    check_structure(network, shapes, structure);
    counts_ = channel_counts(structure);
    for (const TensorShape& shape : shapes)
        pixels_.push_back(pixels_of(shape));
    find_layers(network, shapes);
    find_live_tensors(network);
    check_overflow(network, unpruned_genome(structure));
    collect_terms(image_parameters_);
    collect_moments();
}

void CostModel::find_layers(const Network& network, const std::vector<TensorShape>& shapes) {
    std::vector<std::size_t> layer_of(network.nodes.size(), no_layer);
    for (std::size_t i = 1; i < network.nodes.size(); ++i) {
        const Node& node = network.nodes[i];
        const std::size_t from = node.inputs[0];
        layer_of[i] = layer_of[from];
        if (node.op == Operator::batch_norm) {
            if (layer_of[from] == no_layer)
                image_parameters_ += 2 * shapes[i].channels;
            else
                layers_[layer_of[from]].norms.push_back(i);
        }
        if (belongs_to_input(node.op)) continue;
        const bool convolves = node.op == Operator::conv2d;
        layer_of[i] = layers_.size();
        Layer layer;
        layer.name = node.name;
        layer.kind = kind_of(node, shapes[from].channels);
        layer.input = from;
        layer.output = i;
        layer.inputs = node.inputs;
        if (has_weights(node.op)) layer.kernel_area = node.kernel.height * node.kernel.width;
        if (convolves && node.groups > 1)
            layer.fixed_filter_inputs = shapes[from].channels / node.groups;
        layer.bias = has_weights(node.op) && node.bias;
        layers_.push_back(std::move(layer));
    }
}

void CostModel::find_live_tensors(const Network& network) {
    const Tensors tensors = find_tensors(network);
    std::vector<std::size_t> live{0};
    auto layer = layers_.begin();
    for (std::size_t i = 1; i < network.nodes.size(); ++i) {
        if (tensors.of[i] != i) continue;
        // Tensors that the nodes before were the last to read are gone.
        std::erase_if(live, [&](std::size_t tensor) { return tensors.last_reader[tensor] < i; });
        live.push_back(i);
        if (layer != layers_.end() && layer->output == i)
            (layer++)->live = live;
        else
            copies_.push_back(live);
    }
}

void CostModel::collect_terms(std::int64_t image_parameters) {
    std::map<std::pair<std::int32_t, std::int32_t>, std::pair<std::int64_t, std::int64_t>> terms;
    const auto add = [&terms](std::int32_t a, std::int32_t b, std::int64_t macs,
                              std::int64_t parameters) {
        auto& [sum_of_macs, sum_of_parameters] = terms[std::minmax(a, b)];
        sum_of_macs += macs;
        sum_of_parameters += parameters;
    };
    const auto terms_of = [this](std::size_t node) {
        auto result = counts_[node].terms;
        if (counts_[node].fixed > 0) result.emplace_back(-1, counts_[node].fixed);
        return result;
    };
    add(-1, -1, 0, image_parameters);
    for (const Layer& layer : layers_) {
        auto inputs = terms_of(layer.input);
        if (layer.fixed_filter_inputs > 0) inputs = {{-1, layer.fixed_filter_inputs}};
        for (const auto& [output, output_channels] : terms_of(layer.output)) {
            if (layer.bias) add(-1, output, 0, output_channels);
            if (layer.kernel_area == 0) continue;
            for (const auto& [input, input_channels] : inputs) {
                const std::int64_t weights = layer.kernel_area * input_channels * output_channels;
                add(input, output, weights * pixels_[layer.output], weights);
            }
        }
        for (const std::size_t norm : layer.norms)
            for (const auto& [group, channels] : terms_of(norm))
                add(-1, group, 0, 2 * channels);
    }
    for (const auto& [groups, sums] : terms) {
        const auto [first, second] = groups; // first is -1 for what is at most linear
        const auto [macs, parameters] = sums;
        if (second < 0)
            constant_ = {.macs = macs, .parameters = parameters};
        else if (first < 0)
            linear_terms_.push_back({second, macs, parameters});
        else
            pair_terms_.push_back({first, second, macs, parameters});
    }
}

void CostModel::collect_moments() {
    std::vector<std::vector<std::size_t>> moments = copies_;
    for (const Layer& layer : layers_)
        moments.push_back(layer.live);
    std::vector<Form> forms;
    for (const std::vector<std::size_t>& live : moments) {
        Form form;
        for (const std::size_t tensor : live) {
            if (counts_[tensor].fixed > 0) form[-1] += counts_[tensor].fixed * pixels_[tensor];
            for (const auto& [group, multiplicity] : counts_[tensor].terms)
                form[group] += multiplicity * pixels_[tensor];
        }
        if (std::any_of(forms.begin(), forms.end(),
                        [&](const Form& other) { return never_exceeds(form, other); }))
            continue;
        std::erase_if(forms, [&](const Form& other) { return never_exceeds(other, form); });
        forms.push_back(std::move(form));
    }
    for (const Form& form : forms) {
        Moment moment{.constant = 0, .first = memory_terms_.size(), .last = 0};
        for (const auto& [group, elements] : form)
            if (group < 0)
                moment.constant = elements;
            else
                memory_terms_.push_back({group, elements});
        moment.last = memory_terms_.size();
        moments_.push_back(moment);
    }
}

void CostModel::check_overflow(const Network& network, const Genome& unpruned) const {
    // infer_shapes bounds every layer far below 2^62; only the sum can grow beyond.
    constexpr std::int64_t limit = std::int64_t{1} << 62;
    std::int64_t sum = 0;
    for (const Layer& layer : layers_) {
        const LayerCosts costs = count(layer, unpruned);
        for (const std::int64_t cost : {costs.macs, costs.parameters}) {
            if (cost > limit - sum)
                throw core::DataError(
                    fmt::format("network '{}' is too large: its costs exceed 2^62", network.name));
            sum += cost;
        }
    }
}

void CostModel::check_length(const Genome& genome) const {
    if (genome.size() != groups_)
        throw core::DataError(
            fmt::format("the genome has {} counts, the cost model has {} pruning groups",
                        genome.size(), groups_));
}

std::int64_t CostModel::channels(std::size_t node, const Genome& genome) const noexcept {
    std::int64_t sum = counts_[node].fixed;
    for (const auto& [group, multiplicity] : counts_[node].terms)
        sum += multiplicity * genome[static_cast<std::size_t>(group)];
    return sum;
}

LayerCosts CostModel::count(const Layer& layer, const Genome& genome) const {
    LayerCosts costs;
    costs.name = layer.name;
    costs.kind = layer.kind;
    costs.input_channels = channels(layer.input, genome);
    costs.output_channels = channels(layer.output, genome);
    const std::int64_t filter_inputs =
        layer.fixed_filter_inputs > 0 ? layer.fixed_filter_inputs : costs.input_channels;
    const std::int64_t weights = layer.kernel_area * filter_inputs * costs.output_channels;
    costs.macs = weights * pixels_[layer.output];
    costs.parameters = weights + (layer.bias ? costs.output_channels : 0);
    for (const std::size_t norm : layer.norms)
        costs.parameters += 2 * channels(norm, genome);
    for (const std::size_t input : layer.inputs)
        costs.input_elements += channels(input, genome) * pixels_[input];
    costs.output_elements = costs.output_channels * pixels_[layer.output];
    for (const std::size_t tensor : layer.live)
        costs.live_elements += channels(tensor, genome) * pixels_[tensor];
    return costs;
}

NetworkCosts CostModel::total(const Genome& genome) const {
    check_length(genome);
    const std::int32_t* const counts = genome.data();
    NetworkCosts sum = constant_;
    for (const LinearTerm& term : linear_terms_) {
        const std::int64_t channels = counts[term.group];
        sum.macs += term.macs * channels;
        sum.parameters += term.parameters * channels;
    }
    for (const PairTerm& term : pair_terms_) {
        const std::int64_t product = std::int64_t{counts[term.first]} * counts[term.second];
        sum.macs += term.macs * product;
        sum.parameters += term.parameters * product;
    }
    for (const Moment& moment : moments_) {
        std::int64_t elements = moment.constant;
        for (std::size_t t = moment.first; t < moment.last; ++t)
            elements += memory_terms_[t].elements * counts[memory_terms_[t].group];
        sum.peak_activation_elements = std::max(sum.peak_activation_elements, elements);
    }
    return sum;
}

std::vector<LayerCosts> CostModel::layers(const Genome& genome) const {
    check_length(genome);
    std::vector<LayerCosts> result;
    result.reserve(layers_.size());
    for (const Layer& layer : layers_)
        result.push_back(count(layer, genome));
    return result;
}

LayerCosts CostModel::layer(std::size_t index, const Genome& genome) const {
    check_length(genome);
    return count(layers_.at(index), genome);
}

std::vector<std::vector<std::int32_t>> CostModel::genes_of_layers() const {
    std::vector<std::vector<std::int32_t>> genes;
    for (const Layer& layer : layers_) {
        std::set<std::int32_t> of_layer;
        const auto add = [&](std::size_t node) {
            for (const auto& [group, multiplicity] : counts_[node].terms)
                of_layer.insert(group);
        };
        add(layer.input);
        add(layer.output);
        std::ranges::for_each(layer.inputs, add);
        std::ranges::for_each(layer.norms, add);
        genes.emplace_back(of_layer.begin(), of_layer.end());
    }
    return genes;
}

} // namespace hdap::network
