#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <sys/types.h>

namespace hdap::storage {

/// A process, as other processes, on any machine, can know it.
struct Owner {
    std::string host;
    /// The running kernel and, within it, the numbering of processes: /proc/…/boot_id and the name
    /// of the PID namespace. Who has the same can look whether `process` is there.
    std::string machine;
    pid_t process = 0;
    std::string process_start; ///< tells it from a later process of the same number
    std::string job;           ///< SLURM_JOB_ID; empty outside Slurm
    std::string restart;       ///< SLURM_RESTART_COUNT
    std::string since;         ///< UTC

    /// This process.
    static Owner current();
    /// "host n1, process 17, Slurm job 5, since 2026-…"
    [[nodiscard]] std::string text() const;
};

/// Whether the owner has ended for certain. It is looked for on its own machine alone; a machine
/// of that name that was started anew has none of its processes. A job that was started again has
/// none of its earlier ones; with `ask_slurm`, squeue is asked for other jobs.
bool has_ended(const Owner& owner, bool ask_slurm);

/// The guard of what only one process may use, where a file system has no locks: a file that says
/// who uses it, made with O_EXCL. Unlike a lock it stays when its owner is killed. Then the next
/// one takes it over, if it can see that the owner has ended; else a person must remove it.
class OwnerFile {
  public:
    /// Makes the file for this process; nothing when a process has it that may still run.
    /// Throws DataError when it cannot be made, InternalError when the disk is full.
    static std::optional<OwnerFile> try_make(const std::filesystem::path& path, bool ask_slurm);

    /// Whether a process has the file that may still run.
    static bool is_held(const std::filesystem::path& path);

    /// Who has the file, in words; empty when there is none.
    static std::string owner_text(const std::filesystem::path& path);

    /// Removes the file.
    ~OwnerFile();
    OwnerFile(OwnerFile&& other) noexcept;
    OwnerFile& operator=(OwnerFile&& other) noexcept;

  private:
    explicit OwnerFile(std::filesystem::path path) : path_(std::move(path)) {}
    std::filesystem::path path_; ///< empty after a move
};

} // namespace hdap::storage
