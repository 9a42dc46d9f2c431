#pragma once

#include "hdap/storage/file_lock.hpp"

#include <filesystem>
#include <string>

namespace hdap::storage {

/// Marks a run directory as in use, so that two jobs never write to the same study.
///
/// The file run.lock holds host, process and job id of the owner and has a FileLock, on network
/// file systems too. The system drops the lock when the owner ends in whatever way, so a lock file
/// without a lock is stale and taken over. Where a file system has no locks see FileLock.
class RunLock {
  public:
    /// Throws UsageError, naming the owner, when another job holds the directory.
    /// Throws DataError when the lock file cannot be made, InternalError when the disk is full.
    explicit RunLock(const std::filesystem::path& run_directory);
    ~RunLock();
    RunLock(RunLock&& other) noexcept = default;
    RunLock& operator=(RunLock&&) = delete;

    /// Who left a stale lock here, in words; empty when nobody did.
    [[nodiscard]] const std::string& stale_owner() const noexcept { return stale_owner_; }

    /// What to warn of when the file system has no locks; else empty.
    [[nodiscard]] const std::string& weakness() const noexcept { return lock_.weakness(); }

  private:
    std::filesystem::path path_;
    FileLock lock_;
    std::string stale_owner_;
};

} // namespace hdap::storage
