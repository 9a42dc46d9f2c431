#pragma once

#include "hdap/network/graph.hpp"
#include "hdap/network/pruning_structure.hpp"

#include <cstddef>
#include <vector>

namespace hdap::network {

/// The blocks of a network: [block] the pruning groups that one gene of the paper's layout prunes
/// together ("Hardware-Aware DNN Compression for Homogeneous Edge Devices", arXiv 2501.15240), as
/// ascending indices into `structure.groups`, in the order of their first groups. ResNet50 has 16
/// (of each bottleneck the inner channels), ResNet56 27, MobileNetV1 13 (the separable ones).
///
/// Found from the graph alone. The branches that an addition joins begin at its immediate
/// dominator, the last node that all paths to it pass; what lies between is the addition's region,
/// and a node belongs to the smallest region around it. Groups whose nodes all belong to one region
/// are a block. A group whose nodes all lie outside of regions is a block of its own, as in
/// networks without shortcuts. In no block is a group
/// - with an addition in it, such as a stage's residual stream, or with nodes of several regions;
/// - with a layer that reads the network's input, itself or padded, sliced or resized (the stem).
///
/// `structure` is that of `network`, maybe with pinned layers. Complexity: O(additions · nodes).
/// Throws ConfigError when there is no block.
std::vector<std::vector<std::size_t>> find_blocks(const Network& network,
                                                  const PruningStructure& structure);

} // namespace hdap::network
