#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

namespace hdap::storage {

/// A sealed file is an HDF5 file with a user block of 512 bytes in front: a line of text with the
/// length and the SHA-256 of all that follows. HDF5 skips user blocks, so h5py and h5dump read it
/// as any other file. We check the seal before HDF5 looks at a single byte: a truncated or
/// bit-flipped file is found here, and never parsed.
inline constexpr std::size_t seal_bytes = 512;

/// Whether the seal must be there.
enum class Seal {
    required, ///< files that only hdap writes: checkpoints, stage outputs
    optional, ///< files that users may make with h5py: a fleet, weights, packed images
};

/// Writes `content` (an HDF5 image) sealed and atomically: to a temporary file in the same folder,
/// flushed, fsynced, renamed; then the folder is fsynced. When `previous` is not empty, the file
/// that was at `path` is kept there.
/// Throws InternalError when the disk is full or not writable; `path` is untouched then.
/// Complexity: linear in the bytes.
void write_sealed(const std::filesystem::path& path, std::span<const std::byte> content,
                  const std::filesystem::path& previous = {});

/// As write_sealed, of plain bytes or text (CSV, HTML, TOML), without a seal.
void write_atomically(const std::filesystem::path& path, std::span<const std::byte> content);
void write_atomically(const std::filesystem::path& path, std::string_view text);

/// The name of the temporary file that this process writes before it becomes the one at `path`.
std::filesystem::path temporary_name(const std::filesystem::path& path);

/// Makes `temporary` if it is not there, and takes disk space for its first `bytes`.
/// Throws InternalError, about `path`, when that cannot be done.
void reserve_space(const std::filesystem::path& temporary, std::uint64_t bytes,
                   const std::filesystem::path& path);

/// Cuts the finished HDF5 file `temporary`, which begins with seal_bytes free bytes, to its first
/// `bytes`, seals it, fsyncs it and renames it to `path`. Reads it once, piece by piece.
/// Throws InternalError when the disk is full or not writable; `path` is untouched then.
void seal_and_rename(const std::filesystem::path& temporary, std::uint64_t bytes,
                     const std::filesystem::path& path);

/// Removes the temporary files that killed writers left in `folder`. Nobody may be writing there.
void remove_temporary_files(const std::filesystem::path& folder);

/// Reads a whole file and returns its HDF5 image, without the seal.
/// Throws DataError when the file cannot be read, CorruptFileError when the seal does not fit.
std::vector<std::byte> read_sealed(const std::filesystem::path& path, Seal seal = Seal::required);

/// As read_sealed, but reads the file piece by piece and keeps none of it; Hdf5Reader::open may
/// follow. Returns whether there is a seal.
bool check_sealed(const std::filesystem::path& path, Seal seal = Seal::required);

} // namespace hdap::storage
