#include "hdap/storage/file_lock.hpp"

#include "hdap/core/error.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace hdap::storage {
namespace {

/// Throws the present errno's error: a full disk is not the user's data's fault.
[[noreturn]] void fail_to_open(const std::filesystem::path& path) {
    const std::string message =
        fmt::format("cannot make {}: {}", path.string(), std::strerror(errno));
    if (errno == ENOSPC || errno == EDQUOT) throw core::InternalError(message);
    throw core::DataError(message);
}

/// Whether `file` could be locked: false when somebody else has it locked.
bool try_lock(const core::Descriptor& file, int operation, const std::filesystem::path& path) {
    if (::flock(file.number(), operation | LOCK_NB) == 0) return true;
    if (errno == EWOULDBLOCK) return false;
    throw core::DataError(
        fmt::format("cannot lock {}: {}; put its folder on a file system with locks", path.string(),
                    std::strerror(errno)));
}

/// Whether the file that is called `path` now is the one that was opened.
bool is_open_as(const std::filesystem::path& path, const core::Descriptor& file) {
    struct ::stat named = {};
    struct ::stat opened = {};
    return ::stat(path.c_str(), &named) == 0 && ::fstat(file.number(), &opened) == 0 &&
           named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
}

} // namespace

std::optional<FileLock> FileLock::try_acquire(const std::filesystem::path& path) {
    for (;;) {
        core::Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
        if (!file.is_open()) fail_to_open(path);
        if (!try_lock(file, LOCK_EX, path)) return std::nullopt;
        // Where its last owner removed the file meanwhile, the next one locks another file.
        if (is_open_as(path, file)) return FileLock(std::move(file));
    }
}

std::optional<FileLock> FileLock::try_acquire_shared(const std::filesystem::path& path) {
    core::Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.is_open() && errno != ENOENT)
        throw core::DataError(
            fmt::format("cannot lock {}: {}", path.string(), std::strerror(errno)));
    if (file.is_open() && !try_lock(file, LOCK_SH, path)) return std::nullopt;
    return FileLock(std::move(file));
}

std::optional<FileLock> FileLock::acquire(const std::filesystem::path& path,
                                          const std::function<bool()>& give_up) {
    for (;;) {
        if (auto lock = try_acquire(path)) return lock;
        if (give_up && give_up()) return std::nullopt;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
}

} // namespace hdap::storage
