#pragma once

#include "hdap/network/normalisation.hpp"
#include "hdap/network/weights.hpp"

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace hdap::network {

/// The floating-point tensors of a safetensors file, given as its bytes: F64, F32, F16 and BF16,
/// all converted to float. Integers and booleans (PyTorch's counters "num_batches_tracked") are
/// skipped, and so is the file's metadata, see safetensors_normalisation. `name` stands for the
/// file in messages.
///
/// A file is 8 bytes with the length of the header (little-endian), the header, a JSON object
///
///     {"fc.bias": {"dtype": "F32", "shape": [10], "data_offsets": [0, 40]}, …}
///
/// and the values that the offsets count in, without holes.
/// Throws DataError, naming the tensor, for a header that is longer than the file or than 100 MB or
/// is not of this form, offsets that overlap, leave holes or do not fit the shape, and 8-bit
/// floats. Allocates only a small multiple of the file's size. Complexity: O(bytes).
Weights parse_safetensors(std::span<const std::byte> bytes, const std::string& name);

/// The normalisation in the metadata of such a file: normalisation_entries as texts. Nothing where
/// it has none. Throws DataError as parse_safetensors and parse_normalisation.
std::optional<Normalisation> safetensors_normalisation(std::span<const std::byte> bytes,
                                                       const std::string& name);

/// The bytes of a safetensors file that holds `weights` as F32, in the order of their names, and
/// the normalisation in its metadata.
/// Throws DataError when the values of a tensor do not fill its shape.
std::vector<std::byte>
safetensors_bytes(const Weights& weights,
                  const std::optional<Normalisation>& normalisation = std::nullopt);

/// Writes safetensors_bytes atomically.
/// Throws as these, and InternalError when the disk is full or not writable.
void write_safetensors(const std::filesystem::path& path, const Weights& weights,
                       const std::optional<Normalisation>& normalisation = std::nullopt);

} // namespace hdap::network
