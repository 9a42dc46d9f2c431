#include "hdap/network/pruning_structure.hpp"

#include "hdap/core/error.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <numeric>

namespace hdap::network {
namespace {

/// Disjoint sets of channels; the representative of a set is its first channel.
class DisjointSets {
  public:
    explicit DisjointSets(std::size_t count) : parent_(count) {
        std::iota(parent_.begin(), parent_.end(), std::uint32_t{0});
    }

    std::uint32_t find(std::uint32_t channel) {
        while (parent_[channel] != channel) {
            parent_[channel] = parent_[parent_[channel]];
            channel = parent_[channel];
        }
        return channel;
    }

    void unite(std::uint32_t a, std::uint32_t b) {
        a = find(a);
        b = find(b);
        parent_[std::max(a, b)] = std::min(a, b);
    }

  private:
    std::vector<std::uint32_t> parent_;
};

/// All channels of a node's output are never pruned, and with them what is tied to them.
struct Pin {
    std::size_t node;
    std::string reason;
};

/// Ties channels and pins them, node by node.
class Tracer {
  public:
    Tracer(const Network& network, const std::vector<TensorShape>& shapes)
        : network_(network), shapes_(shapes), first_(first_channels(shapes)), sets_(first_.back()) {
    }

    void trace() {
        pin_all(0, "input of the network");
        for (std::size_t i = 1; i < network_.nodes.size(); ++i)
            trace_node(i);
        for (const std::size_t output : output_nodes(network_))
            pin_all(output, "output of the network");
    }

    /// All channels of the output of `node`.
    void pin_all(std::size_t node, std::string reason) {
        pins_.push_back({node, std::move(reason)});
    }

    /// Puts every channel into a group or among those that are never pruned.
    PruningStructure structure();

  private:
    static std::vector<std::uint32_t> first_channels(const std::vector<TensorShape>& shapes) {
        std::vector<std::uint32_t> first{0};
        for (const TensorShape& shape : shapes)
            first.push_back(first.back() + static_cast<std::uint32_t>(shape.channels));
        return first;
    }

    [[nodiscard]] std::uint32_t id(std::size_t node, std::int64_t channel) const {
        return first_[node] + static_cast<std::uint32_t>(channel);
    }

    /// Ties channels [to_first, to_first + count) of `node` to those of `from`.
    void tie(std::size_t node, std::int64_t to_first, std::size_t from, std::int64_t from_first,
             std::int64_t count) {
        for (std::int64_t c = 0; c < count; ++c)
            sets_.unite(id(from, from_first + c), id(node, to_first + c));
    }

    void trace_node(std::size_t i);
    void trace_convolution(std::size_t i);
    void trace_elementwise(std::size_t i);
    void trace_concat(std::size_t i);
    void trace_flatten(std::size_t i);
    void mix(std::size_t i, const std::string& what);

    std::vector<std::int32_t> pins_of_classes();
    std::vector<std::vector<std::uint32_t>> nodes_of_classes();
    void list_unprunable(const std::vector<std::int32_t>& pin_of, PruningStructure& result);

    const Network& network_;
    const std::vector<TensorShape>& shapes_;
    std::vector<std::uint32_t> first_; ///< per node its first channel's id; then the total
    DisjointSets sets_;
    std::vector<Pin> pins_;
};

/// `node` mixes its channels in a fixed pattern: neither side can lose one.
void Tracer::mix(std::size_t i, const std::string& what) {
    const std::string reason = fmt::format("{} '{}'", what, network_.nodes[i].name);
    pin_all(network_.nodes[i].inputs[0], reason);
    pin_all(i, reason);
}

void Tracer::trace_convolution(std::size_t i) {
    const Node& node = network_.nodes[i];
    const std::int64_t inputs = shapes_[node.inputs[0]].channels;
    if (node.groups == 1) return;
    if (node.groups != inputs) return mix(i, "grouped convolution");
    const std::int64_t multiplier = node.output_channels / inputs;
    for (std::int64_t c = 0; c < node.output_channels; ++c)
        sets_.unite(id(node.inputs[0], c / multiplier), id(i, c));
}

void Tracer::trace_elementwise(std::size_t i) {
    const std::int64_t channels = shapes_[i].channels;
    for (const std::size_t input : network_.nodes[i].inputs)
        if (shapes_[input].channels == channels)
            tie(i, 0, input, 0, channels);
        else // one channel that acts on all of them
            pin_all(input,
                    fmt::format("repeated over the channels of '{}'", network_.nodes[i].name));
}

void Tracer::trace_concat(std::size_t i) {
    std::int64_t first = 0;
    for (const std::size_t input : network_.nodes[i].inputs) {
        tie(i, first, input, 0, shapes_[input].channels);
        first += shapes_[input].channels;
    }
}

void Tracer::trace_flatten(std::size_t i) {
    const TensorShape& input = shapes_[network_.nodes[i].inputs[0]];
    const std::int64_t pixels = input.extent.height * input.extent.width;
    for (std::int64_t c = 0; c < shapes_[i].channels; ++c)
        sets_.unite(id(network_.nodes[i].inputs[0], c / pixels), id(i, c));
}

void Tracer::trace_node(std::size_t i) {
    const Node& node = network_.nodes[i];
    switch (node.op) {
    case Operator::linear:
        return; // reads whatever there is
    case Operator::conv2d:
        return trace_convolution(i);
    case Operator::add:
    case Operator::multiply:
        return trace_elementwise(i);
    case Operator::concat:
        return trace_concat(i);
    case Operator::flatten:
        return trace_flatten(i);
    case Operator::slice:
        return tie(i, 0, node.inputs[0], node.first_channel, node.output_channels);
    case Operator::pad:
        return tie(i, node.channels_before, node.inputs[0], 0, shapes_[node.inputs[0]].channels);
    case Operator::channel_shuffle:
        return mix(i, "channel shuffle");
    case Operator::softmax:
        return mix(i, "softmax");
    default:
        return tie(i, 0, node.inputs[0], 0, shapes_[i].channels);
    }
}

/// For every channel that represents a set the index of the first pin that holds it, or -1.
std::vector<std::int32_t> Tracer::pins_of_classes() {
    std::vector<std::int32_t> result(first_.back(), -1);
    for (std::size_t p = 0; p < pins_.size(); ++p)
        for (std::int64_t c = 0; c < shapes_[pins_[p].node].channels; ++c) {
            std::int32_t& pin = result[sets_.find(id(pins_[p].node, c))];
            if (pin < 0) pin = static_cast<std::int32_t>(p);
        }
    return result;
}

/// For every channel that represents a set the nodes that the set passes through, ascending, once
/// for each of its channels; empty for the others.
std::vector<std::vector<std::uint32_t>> Tracer::nodes_of_classes() {
    std::vector<std::vector<std::uint32_t>> result(first_.back());
    for (std::size_t i = 0; i < shapes_.size(); ++i)
        for (std::int64_t c = 0; c < shapes_[i].channels; ++c)
            result[sets_.find(id(i, c))].push_back(static_cast<std::uint32_t>(i));
    return result;
}

void Tracer::list_unprunable(const std::vector<std::int32_t>& pin_of, PruningStructure& result) {
    for (std::size_t i = 0; i < shapes_.size(); ++i) {
        const Operator op = network_.nodes[i].op;
        if (op != Operator::conv2d && op != Operator::linear) continue;
        std::map<std::int32_t, std::int64_t> channels_of_pin;
        for (std::int64_t c = 0; c < shapes_[i].channels; ++c)
            ++channels_of_pin[pin_of[sets_.find(id(i, c))]];
        for (const auto& [pin, channels] : channels_of_pin)
            if (pin >= 0)
                result.unprunable.push_back(
                    {.node = i,
                     .channels = channels,
                     .reason = pins_[static_cast<std::size_t>(pin)].reason});
    }
}

PruningStructure Tracer::structure() {
    const std::vector<std::int32_t> pin_of = pins_of_classes();
    const std::vector<std::vector<std::uint32_t>> nodes_of = nodes_of_classes();
    PruningStructure result;
    std::vector<GroupChannel> of_class(first_.back());
    std::map<std::vector<std::uint32_t>, std::int32_t> group_of_nodes;
    std::map<std::string, int> used_names;
    for (std::uint32_t channel = 0; channel < first_.back(); ++channel) {
        const std::vector<std::uint32_t>& nodes = nodes_of[channel];
        if (nodes.empty() || pin_of[channel] >= 0) continue;
        const auto [found, is_new] =
            group_of_nodes.emplace(nodes, static_cast<std::int32_t>(result.groups.size()));
        if (is_new) {
            std::string name = network_.nodes[nodes.front()].name;
            const int uses = ++used_names[name];
            if (uses > 1) name += "#" + std::to_string(uses);
            PruningGroup group{.name = std::move(name), .channels = 0, .members = {}};
            std::unique_copy(nodes.begin(), nodes.end(), std::back_inserter(group.members));
            result.groups.push_back(std::move(group));
        }
        std::int64_t& channels = result.groups[static_cast<std::size_t>(found->second)].channels;
        of_class[channel] = {found->second, static_cast<std::int32_t>(channels++)};
    }
    for (std::size_t i = 0; i < shapes_.size(); ++i) {
        std::vector<GroupChannel>& channels = result.channel_of.emplace_back();
        for (std::int64_t c = 0; c < shapes_[i].channels; ++c)
            channels.push_back(of_class[sets_.find(id(i, c))]);
    }
    list_unprunable(pin_of, result);
    return result;
}

} // namespace

PruningStructure find_pruning_structure(const Network& network) {
    return find_pruning_structure(network, {});
}

PruningStructure find_pruning_structure(const Network& network,
                                        const std::vector<std::string>& pinned) {
    const std::vector<TensorShape> shapes = infer_shapes(network);
    Tracer tracer(network, shapes);
    tracer.trace();
    for (const std::string& name : pinned)
        tracer.pin_all(node_named(network, name), fmt::format("'{}' is pinned", name));
    return tracer.structure();
}

Genome unpruned_genome(const PruningStructure& structure) {
    Genome genome;
    for (const PruningGroup& group : structure.groups)
        genome.push_back(static_cast<std::int32_t>(group.channels));
    return genome;
}

std::vector<ChannelCount> channel_counts(const PruningStructure& structure) {
    std::vector<ChannelCount> result;
    for (const std::vector<GroupChannel>& channels : structure.channel_of) {
        ChannelCount count;
        std::map<std::int32_t, std::int64_t> of_group;
        for (const GroupChannel& channel : channels)
            channel.group < 0 ? ++count.fixed : ++of_group[channel.group];
        for (const auto& [group, members] : of_group)
            count.terms.emplace_back(
                group, members / structure.groups[static_cast<std::size_t>(group)].channels);
        result.push_back(std::move(count));
    }
    return result;
}

void check_structure(const Network& network, const std::vector<TensorShape>& shapes,
                     const PruningStructure& structure) {
    bool fits = structure.channel_of.size() == shapes.size();
    for (std::size_t i = 0; fits && i < shapes.size(); ++i)
        fits = static_cast<std::int64_t>(structure.channel_of[i].size()) == shapes[i].channels;
    for (const PruningGroup& group : structure.groups) {
        const std::size_t first = group.members.front();
        fits = fits && first < network.nodes.size() &&
               group.name.starts_with(network.nodes[first].name);
    }
    if (!fits)
        throw core::DataError(fmt::format(
            "the search space does not belong to network '{}'; make it from the same network",
            network.name));
}

} // namespace hdap::network
