#pragma once

#include "hdap/core/descriptor.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <utility>

namespace hdap::storage {

/// A lock that processes of one machine, or of all machines of a shared file system with locks,
/// take in turn: flock(2) on a file. The system drops it when the owner, and all processes that
/// inherited the open file, end in whatever way. The owner may remove the file while it holds the
/// lock.
class FileLock {
  public:
    /// The lock, or nothing when another process holds it now.
    /// Throws DataError when the file cannot be made or its file system has no locks, InternalError
    /// when the disk is full.
    static std::optional<FileLock> try_acquire(const std::filesystem::path& path);

    /// A lock that several may hold while nobody has one of try_acquire; nothing when somebody has.
    /// Where there is no file nobody has, and this holds nothing: no file is made.
    /// Throws DataError as try_acquire.
    static std::optional<FileLock> try_acquire_shared(const std::filesystem::path& path);

    /// Waits for the lock; nothing when `give_up` said true first. It is asked every 50 ms.
    static std::optional<FileLock> acquire(const std::filesystem::path& path,
                                           const std::function<bool()>& give_up);

    /// The open file; not open after a move, and for a lock of a file that was not there.
    [[nodiscard]] const core::Descriptor& file() const noexcept { return file_; }

  private:
    explicit FileLock(core::Descriptor file) : file_(std::move(file)) {}
    core::Descriptor file_;
};

} // namespace hdap::storage
