#pragma once

#include "hdap/core/descriptor.hpp"
#include "hdap/storage/owner_file.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>

namespace hdap::storage {

/// A lock that processes of one machine, or of all machines of a shared file system with locks,
/// take in turn: flock(2) on a file. The system drops it when the owner, and all processes that
/// inherited the open file, end in whatever way. The owner may remove the file while it holds the
/// lock.
///
/// Where the file system refuses flock, an OwnerFile beside the file, "PATH.owner", is the lock. It
/// belongs to this process alone, and outlasts a killed one until the next one sees that.
class FileLock {
  public:
    /// The lock, or nothing when another process holds it now.
    /// Throws DataError when the file cannot be made or locked, InternalError when the disk is
    /// full.
    static std::optional<FileLock> try_acquire(const std::filesystem::path& path);

    /// A lock that several may hold while nobody has one of try_acquire; nothing when somebody has.
    /// Where there is no file nobody has, and this holds nothing: no file is made. Without flock it
    /// holds nothing either.
    /// Throws DataError as try_acquire.
    static std::optional<FileLock> try_acquire_shared(const std::filesystem::path& path);

    /// Waits for the lock; nothing when `give_up` said true first. It is asked every 50 ms. After
    /// ten seconds `tell`, where there is one, learns what is waited for.
    static std::optional<FileLock>
    acquire(const std::filesystem::path& path, const std::function<bool()>& give_up,
            const std::function<void(const std::string&)>& tell = {});

    /// Who holds the lock of a file that the file system refuses to lock, and what to remove if
    /// that one is gone, in words: "; it is held by …". Empty where flock works or nobody holds it.
    static std::string unlocked_owner(const std::filesystem::path& path);

    /// The open file; not open after a move, and for a lock of a file that was not there.
    [[nodiscard]] const core::Descriptor& file() const noexcept { return file_; }

    /// What to warn of when the file system refuses flock; else empty.
    [[nodiscard]] const std::string& weakness() const noexcept { return weakness_; }

  private:
    explicit FileLock(core::Descriptor file) : file_(std::move(file)) {}
    static std::optional<FileLock> try_acquire(const std::filesystem::path& path, bool ask_slurm);

    core::Descriptor file_;
    std::optional<OwnerFile> owner_;
    std::string weakness_;
};

} // namespace hdap::storage
