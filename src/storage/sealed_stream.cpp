#include "hdap/storage/sealed_stream.hpp"

#include "hdap/storage/sealed_file.hpp"

#include <system_error>
#include <utility>

namespace hdap::storage {
namespace {

namespace fs = std::filesystem;

/// An empty HDF5 file for which there is space on the disk.
Hdf5Writer make_file(const fs::path& path, const fs::path& temporary, std::uint64_t content_bytes) {
    // HDF5's tables of chunks, the last chunks' unused rows, and small things.
    const std::uint64_t bytes = content_bytes + content_bytes / 64 + (std::uint64_t{4} << 20);
    try {
        // Making the file gives the space back, but it must have been there.
        reserve_space(temporary, bytes, path);
        Hdf5Writer writer = Hdf5Writer::on_disk(temporary.string(), seal_bytes);
        reserve_space(temporary, bytes, path);
        return writer;
    } catch (...) {
        std::error_code ignored;
        fs::remove(temporary, ignored);
        throw;
    }
}

} // namespace

SealedStream::SealedStream(fs::path path, std::uint64_t content_bytes)
    : path_(std::move(path)), temporary_(temporary_name(path_)),
      content_(make_file(path_, temporary_, content_bytes)) {}

SealedStream::~SealedStream() {
    std::error_code ignored; // after commit there is none
    fs::remove(temporary_, ignored);
}

void SealedStream::commit() {
    seal_and_rename(temporary_, content_.close(), path_);
}

} // namespace hdap::storage
