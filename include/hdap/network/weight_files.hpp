#pragma once

#include "hdap/network/graph.hpp"
#include "hdap/network/normalisation.hpp"
#include "hdap/network/weights.hpp"
#include "hdap/storage/hdf5.hpp"

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace hdap::network {

/// What a file of weights holds.
struct WeightFile {
    std::string format; ///< "HDF5", "safetensors", …
    Weights weights;
    std::optional<Normalisation> normalisation; ///< where the file tells it
};

/// The normalisation that the root attributes "normalize_mean", "normalize_std" and
/// "normalize_channels" (may be missing) of an HDF5 file tell, or nothing. Throws DataError when
/// they cannot be used.
std::optional<Normalisation> read_normalisation(const storage::Hdf5Reader& file);

/// Writes these attributes.
void write_normalisation(storage::Hdf5Writer& file, const Normalisation& normalisation);

/// Reads weights from the bytes of a file of any format that we know, recognised by its content,
/// whatever its name:
///
/// - HDF5, ours (hdap-weights/1, hdap-network/1: "/parameters/NAME") or a plain state dict with a
///   data set for each tensor, by PyTorch's names, at the file's root. The root attributes
///   "normalize_mean" and "normalize_std", lists of a number per channel, and "normalize_channels"
///   tell the normalisation.
/// - safetensors; see parse_safetensors and safetensors_normalisation.
/// - TorchScript archives; see parse_torchscript_weights, and its warning.
/// - ONNX models, whose weights are named as read_onnx names them. Those of write_onnx and
///   write_torchscript tell the normalisation that they were given.
///
/// Integers (PyTorch's counters "num_batches_tracked") are skipped. Whether the tensors fit a
/// network is for fit_weights to say.
/// `name` stands for the file in messages.
/// Throws DataError for a file that is of no known format, holds no tensors or is damaged; says
/// which formats there are. Complexity: O(bytes).
WeightFile parse_weights(std::vector<std::byte> bytes, const std::string& name);

/// Reads the file at `path`; see parse_weights. A sealed file's seal must fit.
/// Throws as parse_weights, and CorruptFileError when the seal does not fit.
WeightFile load_weights(const std::filesystem::path& path);

/// The tensors of `weights` that `network` uses. Where they do not fit by their names, and all
/// names begin with "module.", "model." or "_orig_mod.", as wrappers of PyTorch leave them, they
/// are tried without. `source` stands for the file in messages. Throws DataError when a tensor is
/// missing or has another shape: names the first, and says how many fit; and as check_values.
Weights fit_weights(const Network& network, Weights weights, const std::string& source);

} // namespace hdap::network
