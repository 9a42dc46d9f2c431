#pragma once

#include <chrono>
#include <filesystem>

namespace hdap::storage {

/// Holds a file against other processes for as long as it takes to read it and to write it anew.
///
/// A file that is replaced by renaming cannot be locked itself, so a file beside it, PATH.lock, is
/// locked with flock(2), on network file systems too, and removed at the end. The system drops the
/// lock when its owner ends in whatever way.
class FileLock {
  public:
    /// Waits until no other process holds the lock of `path`.
    /// Throws UsageError after `patience`, DataError when the lock file cannot be made.
    explicit FileLock(const std::filesystem::path& path,
                      std::chrono::milliseconds patience = std::chrono::seconds(60));
    ~FileLock();
    FileLock(const FileLock&) = delete;
    FileLock& operator=(const FileLock&) = delete;

  private:
    [[nodiscard]] bool try_lock();

    std::filesystem::path path_;
    int descriptor_ = -1;
};

} // namespace hdap::storage
