#include "hdap/network/blocks.hpp"

#include "hdap/core/error.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <map>

namespace hdap::network {
namespace {

/// Of a node that is in no addition's region.
constexpr std::size_t no_region = std::numeric_limits<std::size_t>::max();

/// For every node the last one before it that all paths from the input pass (Cooper, Harvey and
/// Kennedy, "A simple, fast dominance algorithm", 2001: one pass does, as there are no cycles).
std::vector<std::size_t> immediate_dominators(const Network& network) {
    std::vector<std::size_t> dominator(network.nodes.size(), 0);
    const auto common = [&](std::size_t a, std::size_t b) {
        while (a != b)
            if (a > b)
                a = dominator[a];
            else
                b = dominator[b];
        return a;
    };
    for (std::size_t i = 1; i < network.nodes.size(); ++i) {
        const std::vector<std::size_t>& inputs = network.nodes[i].inputs;
        dominator[i] = inputs.front();
        for (const std::size_t input : inputs)
            dominator[i] = common(dominator[i], input);
    }
    return dominator;
}

/// The nodes on the paths from `fork`, which dominates `join`, to `join`, without these two.
std::vector<std::size_t> nodes_between(const Network& network, std::size_t fork, std::size_t join) {
    std::vector<std::size_t> found;
    std::vector<bool> seen(network.nodes.size(), false);
    seen[fork] = true;
    std::vector<std::size_t> open{join};
    while (!open.empty()) {
        const std::size_t node = open.back();
        open.pop_back();
        if (node != join) found.push_back(node);
        for (const std::size_t input : network.nodes[node].inputs)
            if (!seen[input]) {
                seen[input] = true;
                open.push_back(input);
            }
    }
    return found;
}

/// For every node the addition whose region it belongs to: the smallest, of equals the first.
std::vector<std::size_t> regions(const Network& network) {
    const std::vector<std::size_t> dominator = immediate_dominators(network);
    std::vector<std::size_t> region(network.nodes.size(), no_region);
    std::vector<std::size_t> size(network.nodes.size(), std::numeric_limits<std::size_t>::max());
    for (std::size_t join = 0; join < network.nodes.size(); ++join) {
        if (network.nodes[join].op != Operator::add) continue;
        const std::vector<std::size_t> nodes = nodes_between(network, dominator[join], join);
        for (const std::size_t node : nodes)
            if (nodes.size() < size[node]) {
                region[node] = join;
                size[node] = nodes.size();
            }
    }
    return region;
}

/// For every node whether it is a layer that reads nothing but the network's input. What has no
/// weights of its own and works on the input alone is the input still.
std::vector<bool> stem_layers(const Network& network) {
    std::vector<bool> is_input(network.nodes.size(), false);
    std::vector<bool> is_stem(network.nodes.size(), false);
    is_input.front() = true;
    for (std::size_t i = 1; i < network.nodes.size(); ++i) {
        const Node& node = network.nodes[i];
        const bool reads_input = std::ranges::all_of(
            node.inputs, [&](std::size_t input) { return bool{is_input[input]}; });
        (has_weights(node.op) ? is_stem : is_input)[i] = reads_input;
    }
    return is_stem;
}

} // namespace

std::vector<std::vector<std::size_t>> find_blocks(const Network& network,
                                                  const PruningStructure& structure) {
    const std::vector<std::size_t> region = regions(network);
    const std::vector<bool> is_stem = stem_layers(network);
    std::vector<std::vector<std::size_t>> blocks;
    std::map<std::size_t, std::size_t> block_of_region;
    for (std::size_t g = 0; g < structure.groups.size(); ++g) {
        const std::vector<std::size_t>& members = structure.groups[g].members;
        const std::size_t home = region[members.front()];
        const bool stays_whole = std::ranges::any_of(members, [&](std::size_t node) {
            return region[node] != home || network.nodes[node].op == Operator::add || is_stem[node];
        });
        if (stays_whole) continue;
        const auto known = block_of_region.find(home);
        if (home != no_region && known != block_of_region.end()) {
            blocks[known->second].push_back(g);
            continue;
        }
        block_of_region[home] = blocks.size();
        blocks.push_back({g});
    }
    if (blocks.empty())
        throw core::ConfigError(fmt::format(
            "network '{}' has no blocks, as its pruning groups all belong to its first layer or "
            "run through additions; prune each by itself: search.genes = \"group\"",
            network.name));
    return blocks;
}

} // namespace hdap::network
