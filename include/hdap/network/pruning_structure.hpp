#pragma once

#include "hdap/network/graph.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace hdap::network {

/// Output channels of several layers that must go together. Dropping channel c of the group drops
/// one or more channels of every member's output.
struct PruningGroup {
    std::string name; ///< the first member's name; "conv#2" for the second group that begins there
    std::int64_t channels = 0;        ///< of the unpruned network
    std::vector<std::size_t> members; ///< every node whose output has channels of the group
};

/// Channels kept in each pruning group, in the order of PruningStructure::groups.
using Genome = std::vector<std::int32_t>;

/// What a channel of a node's output belongs to.
struct GroupChannel {
    std::int32_t group = -1;  ///< -1: it is never pruned
    std::int32_t channel = 0; ///< of the group
    bool operator==(const GroupChannel&) const = default;
};

/// Channels of a layer that are never pruned, and why.
struct UnprunableChannels {
    std::size_t node = 0; ///< a convolution or linear layer
    std::int64_t channels = 0;
    std::string reason; ///< "output of the network", "grouped convolution 'layer1.0.conv2'" …
};

/// How many output channels a node has for a genome:
/// fixed + Σ multiplicity · (channels kept in group).
struct ChannelCount {
    std::int64_t fixed = 0;
    std::vector<std::pair<std::int32_t, std::int64_t>> terms; ///< (group, multiplicity), ascending
};

/// Which channels of a network live and die together, found by tracing every channel through the
/// operators (the idea of DepGraph: Fang et al., CVPR 2023, but channel by channel, so that
/// concatenations, slices, zero-padded shortcuts and flattened images need no rules of their own).
struct PruningStructure {
    std::vector<PruningGroup> groups;                  ///< ordered by their first channel
    std::vector<std::vector<GroupChannel>> channel_of; ///< [node][output channel]
    std::vector<UnprunableChannels> unprunable;        ///< in the order of the nodes
};

/// Traces the channels of `network`.
///
/// Channels are tied by batch norm, activations, depthwise convolutions (with a depth multiplier,
/// too), pooling, resizing, addition, multiplication, concatenation, slicing, padding and
/// flattening. Never pruned are the input's and the outputs' channels, and channels that an
/// operator mixes in a fixed pattern: grouped convolutions on both sides, channel shuffles,
/// softmax, and operands that are repeated over the channels. Everything else may go: a convolution
/// or linear layer simply reads fewer.
///
/// Channels that pass through exactly the same nodes form one group.
/// Complexity: almost linear in the channels of all tensors together.
/// Throws DataError as infer_shapes does.
PruningStructure find_pruning_structure(const Network& network);

/// The same with the layers named in `pinned` left whole, and whatever is tied to them.
/// Throws ConfigError when a name is not a node's; says the nearest.
PruningStructure find_pruning_structure(const Network& network,
                                        const std::vector<std::string>& pinned);

/// All channels of every group.
Genome unpruned_genome(const PruningStructure& structure);

/// For every node its channel count as a function of the genome.
std::vector<ChannelCount> channel_counts(const PruningStructure& structure);

/// Throws DataError when `structure` was made from another network than one of these shapes.
void check_structure(const Network& network, const std::vector<TensorShape>& shapes,
                     const PruningStructure& structure);

} // namespace hdap::network
