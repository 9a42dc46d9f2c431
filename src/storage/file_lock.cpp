#include "hdap/storage/file_lock.hpp"

#include "hdap/core/error.hpp"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace hdap::storage {

namespace {

/// Whether the file that is called `path` now is the one that was opened.
bool is_open_as(const std::filesystem::path& path, int descriptor) {
    struct ::stat named = {};
    struct ::stat opened = {};
    return ::stat(path.c_str(), &named) == 0 && ::fstat(descriptor, &opened) == 0 &&
           named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
}

} // namespace

std::optional<FileLock> FileLock::try_acquire(const std::filesystem::path& path) {
    const auto fail = [&](const char* what) {
        throw core::DataError(std::string("cannot ") + what + " " + path.string() + ": " +
                              std::strerror(errno));
    };
    for (;;) {
        const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (descriptor < 0) fail("make");
        FileLock lock(descriptor);
        if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) {
            if (is_open_as(path, descriptor)) return lock;
            continue; // an owner removed it meanwhile; the next one locks another file
        }
        if (errno != EWOULDBLOCK) fail("lock");
        return std::nullopt;
    }
}

std::optional<FileLock> FileLock::acquire(const std::filesystem::path& path,
                                          const std::function<bool()>& give_up) {
    for (;;) {
        if (auto lock = try_acquire(path)) return lock;
        if (give_up && give_up()) return std::nullopt;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
}

FileLock::FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock::~FileLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

} // namespace hdap::storage
