#include "hdap/storage/sealed_stream.hpp"

#include "hdap/core/error.hpp"
#include "hdap/storage/file_lock.hpp"
#include "hdap/storage/sealed_file.hpp"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <string>
#include <sys/types.h>
#include <system_error>
#include <utility>

namespace hdap::storage {
namespace {

namespace fs = std::filesystem;

/// The process that wrote the temporary file `candidate` for `path`, or 0 when it is none.
pid_t writer_of(const fs::path& candidate, const fs::path& path) {
    const std::string name = candidate.filename().string();
    const std::string own = temporary_name(path.filename()).string();
    const std::size_t digits = own.rfind('.') + 1;
    pid_t process = 0;
    if (name.size() <= digits || name.compare(0, digits, own, 0, digits) != 0) return 0;
    const char* end = name.data() + name.size();
    return std::from_chars(name.data() + digits, end, process).ptr == end ? process : 0;
}

/// Removes what killed writers left, which may be most of the disk. A writer that is not dead runs
/// on this machine, or holds HDF5's lock on its file.
void remove_abandoned(const fs::path& path) {
    std::error_code ignored; // they are only in the way
    const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
        const pid_t process = writer_of(entry.path(), path);
        if (process <= 0 || ::kill(process, 0) == 0 || errno != ESRCH) continue;
        try {
            if (FileLock::try_acquire(entry.path())) fs::remove(entry.path(), ignored);
        } catch (const core::DataError&) {
            continue; // nobody can tell whether it is in use
        }
    }
}

/// An empty HDF5 file for which there is space on the disk.
Hdf5Writer make_file(const fs::path& path, const fs::path& temporary, std::uint64_t content_bytes) {
    // HDF5's tables of chunks, the last chunks' unused rows, and small things.
    const std::uint64_t bytes = content_bytes + content_bytes / 64 + (std::uint64_t{4} << 20);
    remove_abandoned(path);
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
