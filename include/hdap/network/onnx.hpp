#pragma once

#include "hdap/network/graph.hpp"
#include "hdap/network/normalisation.hpp"
#include "hdap/network/weights.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace hdap::network {

/// How a network is written as ONNX.
struct OnnxExportParameters {
    std::int64_t opset = 13;      ///< version of the standard operators; [13, 17]
    bool fold_batch_norm = false; ///< into the layers before them, see fold_batch_norms
    /// Kept as the metadata "normalize_mean" and "normalize_std", JSON lists of a number per
    /// channel: what a user's program must do with images before the model sees them.
    std::optional<Normalisation> normalisation = {};
};

/// Writes `network` as an ONNX model of standard operators, atomically.
///
/// The batch is left open ("N"). Tensors are named as our nodes and initialisers as our weights
/// ("layer1.0.conv1.weight"). Images are [N, C, H, W]; what linear layers and flattening make is
/// [N, C]. Where an operator of ours has no counterpart, a few stand for it, which read_onnx puts
/// together again: silu is Sigmoid and Mul; channel_shuffle is Reshape, Transpose, Reshape.
/// Throws ConfigError for an opset out of range, DataError when the weights do not fit the network
/// or the file would exceed 2 GB, InternalError when it cannot be written.
void write_onnx(const std::filesystem::path& path, const Network& network, const Weights& weights,
                const OnnxExportParameters& parameters = {});

/// The bytes that write_onnx writes. The same network gives the same bytes.
std::vector<std::byte> encode_onnx(const Network& network, const Weights& weights,
                                   const OnnxExportParameters& parameters = {});

/// What an ONNX file may leave open.
struct OnnxImportParameters {
    /// Height and width of the input where the file does not fix them.
    std::optional<Extent> input_extent = {};
    /// Names of ONNX tensors to be the network's outputs instead of the file's: to stop before the
    /// decoding of a detector. What they do not need is left out, supported or not. Empty: the
    /// file's.
    std::vector<std::string> outputs = {};
};

/// Reads an ONNX model of opset 7 or newer as a network with its weights.
///
/// Computations of shapes are carried out, and chains of operators that mean one of ours are put
/// together: x·Sigmoid(x) is silu, Clip(x + 3, 0, 6)/6 hard_sigmoid, and so on. Constants that are
/// added to or multiplied with whole tensors or channels become a layer's bias or a batch norm.
/// Weights in half and double precision become float; so does all arithmetic. What no output needs
/// is left out; so are Identity, Dropout, and the flattening of 1 × 1 images.
///
/// A layer is named as its weights' tensor without ".weight", so that names of PyTorch's state
/// dicts survive; others as the ONNX node, with '.' for '/'; made unique by "_2", "_3" …
///
/// The batch may be open or any number, and the network works with any. External data must lie in
/// the folder of the file. Memory: a small multiple of the file's bytes.
/// The normalisation is that of the metadata which write_onnx makes.
/// Throws DataError, naming the file, the ONNX node and its operator, for what cannot be read or is
/// not supported, and says what to do about it.
NetworkWithWeights read_onnx(const std::filesystem::path& path,
                             const OnnxImportParameters& parameters = {});

/// The same from memory; `name` stands for the file in messages. External data is refused.
NetworkWithWeights decode_onnx(std::span<const std::byte> bytes, const std::string& name,
                               const OnnxImportParameters& parameters = {});

} // namespace hdap::network
