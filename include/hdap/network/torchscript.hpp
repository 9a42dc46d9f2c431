#pragma once

#include "hdap/network/graph.hpp"
#include "hdap/network/normalisation.hpp"
#include "hdap/network/weights.hpp"

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace hdap::network {

/// The bytes of a TorchScript archive that `torch::jit::load` and Python's `torch.jit.load` load.
///
/// Its `forward` takes images [N, C, H, W] in float and returns [N, classes] where the network's
/// output has an extent of 1 × 1, else [N, C, H, W]; a tuple where there are several outputs. N may
/// be any, C, H and W are those of `network`. Batch norms use their running statistics, in training
/// mode, too. The state dict has the names of `weights`; tensors that the network does not use are
/// left out. The input's shape is kept in the archive, so that read_torchscript need not be told,
/// and so is the normalisation: extra files "normalize_mean" and "normalize_std", JSON lists of a
/// number per channel.
/// Throws DataError when the weights do not fit, or a name cannot be one of a module's.
std::vector<std::byte>
torchscript_bytes(const Network& network, const Weights& weights,
                  const std::optional<Normalisation>& normalisation = std::nullopt);

/// Writes torchscript_bytes atomically.
/// Throws as these, and InternalError when the disk is full or not writable.
void write_torchscript(const std::filesystem::path& path, const Network& network,
                       const Weights& weights,
                       const std::optional<Normalisation>& normalisation = std::nullopt);

/// The network of a TorchScript archive, with its weights: what torch.jit.trace or torch.jit.script
/// made of a network in evaluation mode, frozen by torch.jit.freeze or not. `name` stands for the
/// file in messages; the network is called what it is without folder and ending.
///
/// The program is run on shapes. What does not depend on the images (training or not, loops, sizes)
/// is evaluated as LibTorch would; operators on what does depend on them become nodes:
/// convolutions, linear layers, batch norms, activations, pooling, sums, products, concatenations,
/// slices, resizing and so on, and reshapes that amount to a flattening or a channel shuffle.
/// Dropout disappears. Sums and products with constants become depthwise convolutions of 1 × 1.
/// Layers are called as the modules of their parameters ("layer1.0.conv1"), so weights have the
/// state dict's names; a frozen program has lost these, and there layers are "conv1", "bn1", "fc1"
/// … in their order. A layer that is used twice is there twice, with copies of its weights.
///
/// A TorchScript file does not tell the shape of an image: `input` does. Files of write_torchscript
/// do; for others without it DataError says so.
///
/// **TorchScript files are programs.** Loading one executes code of the file, and LibTorch does not
/// defend itself against hostile ones. Unlike HDF5, ONNX and safetensors files they must come from
/// a source that you trust. What can be checked before is checked: the archive's structure and
/// sizes.
///
/// Throws DataError, naming operator, module and source line, for an operator that networks here do
/// not have, and says what to do instead; for files that are damaged or have another structure; and
/// as infer_shapes and check_values do.
NetworkWithWeights parse_torchscript(std::span<const std::byte> bytes, const std::string& name,
                                     const std::optional<TensorShape>& input);

/// Reads the file at `path`; see parse_torchscript.
NetworkWithWeights read_torchscript(const std::filesystem::path& path,
                                    const std::optional<TensorShape>& input = std::nullopt);

/// The weights in a TorchScript archive, and the normalisation that torchscript_bytes keeps there.
struct TorchscriptWeights {
    Weights weights;
    std::optional<Normalisation> normalisation;
};

/// The floating-point parameters, buffers and other tensors of the module in a TorchScript archive,
/// by their names in its state dict; without "module." where all names begin with it. `name` stands
/// for the file in messages. The same warning as for parse_torchscript holds.
/// Throws DataError.
TorchscriptWeights parse_torchscript_weights(std::span<const std::byte> bytes,
                                             const std::string& name);

} // namespace hdap::network
