#pragma once

#include <filesystem>
#include <functional>
#include <optional>

namespace hdap::storage {

/// An exclusive lock that processes of one machine, or of all machines of a shared file system
/// with locks, take in turn: flock(2) on a file. The system drops it when the owner ends in
/// whatever way. The owner may remove the file while it holds the lock.
class FileLock {
  public:
    /// The lock, or nothing when another process holds it now.
    /// Throws DataError when the file cannot be made or its file system has no locks.
    static std::optional<FileLock> try_acquire(const std::filesystem::path& path);

    /// Waits for the lock; nothing when `give_up` said true first. It is asked every 50 ms.
    static std::optional<FileLock> acquire(const std::filesystem::path& path,
                                           const std::function<bool()>& give_up);

    ~FileLock();
    FileLock(FileLock&& other) noexcept;
    FileLock& operator=(FileLock&&) = delete;

  private:
    explicit FileLock(int descriptor) : descriptor_(descriptor) {}
    int descriptor_ = -1;
};

} // namespace hdap::storage
