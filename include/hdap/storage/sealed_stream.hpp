#pragma once

#include "hdap/storage/hdf5.hpp"

#include <cstdint>
#include <filesystem>

namespace hdap::storage {

/// Builds a sealed HDF5 file on the disk, for contents that need not fit into memory.
///
/// The file grows beside `path` under a temporary name; commit seals it and renames it to `path`.
/// Without commit nothing is left of it, and what was at `path` stays. A kill leaves the temporary
/// file behind, whose name ends in ".tmp." and the process id; the next stream to `path` removes
/// it.
class SealedStream {
  public:
    /// Takes disk space for `content_bytes` of data sets at once: HDF5 may crash where a write
    /// fails, so it must not find out later that the disk is full.
    /// Throws InternalError when the temporary file cannot be made or there is less space.
    SealedStream(std::filesystem::path path, std::uint64_t content_bytes);
    ~SealedStream();
    SealedStream(const SealedStream&) = delete;
    SealedStream& operator=(const SealedStream&) = delete;

    [[nodiscard]] Hdf5Writer& content() noexcept { return content_; }

    /// Gives back the space that was not needed, and makes the file appear at its path. Ends this
    /// object's use. Throws InternalError when the disk fails; `path` is untouched then.
    /// Complexity: reads the file once, for its SHA-256.
    void commit();

  private:
    std::filesystem::path path_;
    std::filesystem::path temporary_;
    Hdf5Writer content_;
};

} // namespace hdap::storage
