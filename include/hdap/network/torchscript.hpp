#pragma once

#include "hdap/network/graph.hpp"
#include "hdap/network/weights.hpp"

#include <cstddef>
#include <filesystem>
#include <vector>

namespace hdap::network {

/// The bytes of a TorchScript archive that `torch::jit::load` and Python's `torch.jit.load` load.
///
/// Its `forward` takes images [N, C, H, W] in float and returns [N, classes] where the network's
/// output has an extent of 1 × 1, else [N, C, H, W]; a tuple where there are several outputs. N may
/// be any, C, H and W are those of `network`. Batch norms use their running statistics, in training
/// mode, too. The state dict has the names of `weights`; tensors that the network does not use are
/// left out. The input's shape is kept in the archive, so that read_torchscript need not be told.
/// Throws DataError when the weights do not fit, or a name cannot be one of a module's.
std::vector<std::byte> torchscript_bytes(const Network& network, const Weights& weights);

/// Writes torchscript_bytes atomically.
/// Throws as these, and InternalError when the disk is full or not writable.
void write_torchscript(const std::filesystem::path& path, const Network& network,
                       const Weights& weights);

} // namespace hdap::network
