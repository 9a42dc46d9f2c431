#include "network_assembly.hpp"

#include "hdap/core/error.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace hdap::network {

NetworkAssembly::NetworkAssembly(std::string name, const TensorShape& input,
                                 std::size_t weight_budget)
    : network_{.name = std::move(name), .input_extent = input.extent, .nodes = {}, .outputs = {}},
      weight_budget_(weight_budget) {
    Node node;
    node.name = "input";
    node.output_channels = input.channels;
    append(std::move(node), {});
}

std::size_t NetworkAssembly::append(Node node, std::vector<std::size_t> inputs) {
    std::replace(node.name.begin(), node.name.end(), '/', '_');
    node.name = free_name(node.name);
    node.inputs = std::move(inputs);
    names_.insert(node.name);
    network_.nodes.push_back(std::move(node));
    shapes_.push_back(infer_shape(network_, last(), shapes_));
    return last();
}

std::string NetworkAssembly::numbered_name(const std::string& word) {
    std::string name;
    do
        name = word + std::to_string(++numbers_[word]);
    while (names_.contains(name));
    return name;
}

std::size_t NetworkAssembly::append_affine(std::string name, std::size_t input,
                                           std::vector<float> scale, std::vector<float> offset) {
    const std::int64_t channels = shape(input).channels;
    const bool offset_only =
        std::all_of(scale.begin(), scale.end(), [](float factor) { return factor == 1.0F; });
    Node node;
    node.name = std::move(name);
    node.op = Operator::conv2d;
    node.output_channels = channels;
    node.groups = channels;
    node.bias = true;
    const std::size_t made = append(std::move(node), {input});
    set_weight(made, ".weight", {{channels, 1, 1, 1}, std::move(scale)});
    set_weight(made, ".bias", {{channels}, std::move(offset)});
    if (offset_only) offsets_.insert(made);
    return made;
}

void NetworkAssembly::set_weight(std::size_t node, const char* suffix, Tensor tensor) {
    if (tensor.values.size() > weight_budget_)
        throw core::DataError(
            fmt::format("network '{}', node '{}': its weights are used by so many layers that "
                        "copies of them would be many times the file",
                        network_.name, network_.nodes[node].name));
    weight_budget_ -= tensor.values.size();
    weights_.insert_or_assign(network_.nodes[node].name + suffix, std::move(tensor));
}

void NetworkAssembly::add_bias_to_last(Tensor bias) {
    network_.nodes.back().bias = true;
    set_weight(last(), ".bias", std::move(bias));
}

std::string NetworkAssembly::free_name(const std::string& wanted) const {
    if (!names_.contains(wanted)) return wanted;
    std::size_t number = 2;
    while (names_.contains(wanted + "_" + std::to_string(number)))
        ++number;
    return wanted + "_" + std::to_string(number);
}

/// How many nodes and outputs read each node, without nodes that nothing depends on.
std::vector<std::size_t>
NetworkAssembly::count_readers(const std::vector<std::size_t>& outputs) const {
    std::vector<std::size_t> readers(network_.nodes.size(), 0);
    for (const std::size_t output : outputs)
        ++readers[output];
    for (std::size_t i = readers.size(); i-- > 0;)
        if (readers[i] > 0)
            for (const std::size_t input : network_.nodes[i].inputs)
                ++readers[input];
    return readers;
}

/// Whether node `index`, the only one that reads what `input` makes, is done by that from now on.
bool NetworkAssembly::merge_into_input(std::size_t index, std::size_t input) {
    const Node& node = network_.nodes[index];
    Node& before = network_.nodes[input];
    if (offsets_.contains(index) && has_weights(before.op) && !before.bias) {
        before.bias = true;
        weights_[before.name + ".bias"] = weights_.at(node.name + ".bias");
        return true;
    }
    const auto subsamples = [](const Node& pool) {
        return pool.op == Operator::max_pool && pool.kernel == Extent{1, 1} &&
               pool.padding == Extent{0, 0} && !pool.ceil_mode;
    };
    if (!subsamples(node) || !subsamples(before)) return false;
    before.stride.height *= node.stride.height;
    before.stride.width *= node.stride.width;
    return true;
}

PrunedNetwork NetworkAssembly::finish(std::vector<std::size_t> outputs) && {
    const std::vector<std::size_t> readers = count_readers(outputs);
    PrunedNetwork result{.network = {.name = network_.name,
                                     .input_extent = network_.input_extent,
                                     .nodes = {},
                                     .outputs = {}},
                         .weights = {}};
    std::vector<std::size_t> done_by(readers.size()); // the node that stands for each in the end
    std::vector<bool> stays(readers.size(), false);
    for (std::size_t i = 0; i < readers.size(); ++i) {
        done_by[i] = i;
        if (i > 0 && readers[i] == 0) continue;
        const bool only_reader = i > 0 && readers[network_.nodes[i].inputs[0]] == 1;
        for (std::size_t& input : network_.nodes[i].inputs)
            input = done_by[input];
        stays[i] = !only_reader || !merge_into_input(i, network_.nodes[i].inputs[0]);
        if (!stays[i]) done_by[i] = network_.nodes[i].inputs[0];
    }
    std::vector<std::size_t> place(readers.size(), 0);
    for (std::size_t i = 0; i < readers.size(); ++i) {
        if (!stays[i]) continue;
        place[i] = result.network.nodes.size();
        Node node = std::move(network_.nodes[i]);
        for (std::size_t& input : node.inputs)
            input = place[input];
        for (const char* suffix : {".weight", ".bias", ".running_mean", ".running_var"})
            if (auto entry = weights_.extract(node.name + suffix))
                result.weights.insert(std::move(entry));
        result.network.nodes.push_back(std::move(node));
    }
    for (const std::size_t output : outputs)
        result.network.outputs.push_back(place[done_by[output]]);
    if (result.network.outputs == std::vector{result.network.nodes.size() - 1})
        result.network.outputs.clear(); // the default
    check_weights(result.network, result.weights);
    return result;
}

} // namespace hdap::network
