#include "hdap/storage/run_lock.hpp"

#include "hdap/core/error.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace hdap::storage {
namespace {

std::string read_owner(const core::Descriptor& file) {
    std::array<char, 512> text{};
    const ssize_t count = ::pread(file.number(), text.data(), text.size() - 1, 0);
    std::string owner(text.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
    while (!owner.empty() && owner.back() == '\n')
        owner.pop_back();
    return owner;
}

/// The lock of the file at `path`. Throws UsageError, naming the owner, when another job has it.
FileLock lock_of(const std::filesystem::path& path) {
    for (;;) {
        if (auto lock = FileLock::try_acquire(path)) return std::move(*lock);
        const core::Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        if (!file.is_open() && errno == ENOENT) continue; // the owner has just ended
        throw core::UsageError(fmt::format("{} is in use by another job ({}); wait for it, stop "
                                           "it, or choose another --out{}",
                                           path.parent_path().string(), read_owner(file),
                                           FileLock::unlocked_owner(path)));
    }
}

bool write_owner(const core::Descriptor& file) {
    const std::string owner = Owner::current().text() + "\n";
    return ::ftruncate(file.number(), 0) == 0 && ::pwrite(file.number(), owner.data(), owner.size(),
                                                          0) == static_cast<ssize_t>(owner.size());
}

} // namespace

RunLock::RunLock(const std::filesystem::path& run_directory)
    : path_(run_directory / "run.lock"), lock_(lock_of(path_)),
      stale_owner_(read_owner(lock_.file())) {
    if (write_owner(lock_.file())) return;
    const int why = errno;
    ::unlink(path_.c_str());
    const std::string message =
        fmt::format("cannot write {}: {}", path_.string(), std::strerror(why));
    // A full disk is not the user's data's fault.
    if (why == ENOSPC || why == EDQUOT) throw core::InternalError(message);
    throw core::DataError(message);
}

RunLock::~RunLock() {
    if (lock_.file().is_open()) ::unlink(path_.c_str());
}

} // namespace hdap::storage
