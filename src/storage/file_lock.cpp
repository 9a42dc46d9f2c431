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

enum class Locked { yes, by_another, refused };

/// Tries to lock `file`; refused, with errno, where its file system has no locks.
Locked try_lock(const core::Descriptor& file, int operation, const std::filesystem::path& path) {
    if (::flock(file.number(), operation | LOCK_NB) == 0) return Locked::yes;
    if (errno == EWOULDBLOCK) return Locked::by_another;
    if (errno == ENOSYS || errno == ENOLCK || errno == EOPNOTSUPP) return Locked::refused;
    throw core::DataError(fmt::format("cannot lock {}: {}", path.string(), std::strerror(errno)));
}

std::filesystem::path owner_file(const std::filesystem::path& path) {
    return path.string() + ".owner";
}

/// Whether the file that is called `path` now is the one that was opened.
bool is_open_as(const std::filesystem::path& path, const core::Descriptor& file) {
    struct ::stat named = {};
    struct ::stat opened = {};
    return ::stat(path.c_str(), &named) == 0 && ::fstat(file.number(), &opened) == 0 &&
           named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
}

} // namespace

std::optional<FileLock> FileLock::try_acquire(const std::filesystem::path& path, bool ask_slurm) {
    for (;;) {
        core::Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
        if (!file.is_open()) fail_to_open(path);
        const Locked locked = try_lock(file, LOCK_EX, path);
        if (locked == Locked::by_another) return std::nullopt;
        FileLock lock(std::move(file));
        if (locked == Locked::refused) {
            lock.weakness_ = fmt::format(
                "the file system of {} has no locks ({}); the file {} keeps other jobs off instead",
                path.string(), std::strerror(errno), owner_file(path).filename().string());
            lock.owner_ = OwnerFile::try_make(owner_file(path), ask_slurm);
            if (!lock.owner_) return std::nullopt;
        }
        // Where its last owner removed the file meanwhile, the next one locks another file.
        if (is_open_as(path, lock.file_)) return lock;
    }
}

std::optional<FileLock> FileLock::try_acquire(const std::filesystem::path& path) {
    return try_acquire(path, true);
}

std::optional<FileLock> FileLock::try_acquire_shared(const std::filesystem::path& path) {
    core::Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.is_open() && errno != ENOENT)
        throw core::DataError(
            fmt::format("cannot lock {}: {}", path.string(), std::strerror(errno)));
    if (file.is_open()) {
        const Locked locked = try_lock(file, LOCK_SH, path);
        if (locked == Locked::by_another) return std::nullopt;
        if (locked == Locked::refused && OwnerFile::is_held(owner_file(path))) return std::nullopt;
    }
    return FileLock(std::move(file));
}

std::optional<FileLock> FileLock::acquire(const std::filesystem::path& path,
                                          const std::function<bool()>& give_up,
                                          const std::function<void(const std::string&)>& tell) {
    constexpr int tries_until_told = 200; // ten seconds
    constexpr int tries_until_asked = 100;
    for (int tries = 0;; ++tries) {
        if (auto lock = try_acquire(path, tries % tries_until_asked == 0)) return lock;
        if (give_up && give_up()) return std::nullopt;
        if (tell && tries == tries_until_told)
            tell(fmt::format("waiting for {}{}", path.string(), unlocked_owner(path)));
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
}

std::string FileLock::unlocked_owner(const std::filesystem::path& path) {
    const std::string owner = OwnerFile::owner_text(owner_file(path));
    if (owner.empty()) return "";
    return fmt::format("; it is held by {}: if that has ended, remove {}", owner,
                       owner_file(path).string());
}

} // namespace hdap::storage
