#pragma once

#include "hdap/ablation/plan.hpp"
#include "hdap/storage/file_lock.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace hdap::ablation {

/// Where everything of an ablation lies. Made by the first job that uses it; any number of jobs may
/// use it at the same time.
///
///     plan.toml  manifest.csv                the plan as read last, and its cells
///     cells/ID/                              each the run directory of one study
///     store/                                 what the cells share, also what devices measured
///     logs/ID.log                            what the cell's jobs printed
///     attempts/ID/{attempts.jsonl,claim}     when and how they ended; see CellClaim
///     array-N.txt  array-N.toml              job arrays; see submission.hpp
struct Folder {
    std::filesystem::path root;

    [[nodiscard]] std::filesystem::path run_directory(const Cell& cell) const {
        return root / "cells" / cell.id;
    }
    [[nodiscard]] std::filesystem::path log(const Cell& cell) const {
        return root / "logs" / (cell.id + ".log");
    }
    /// Holds attempts.jsonl of everything that `hdap ablate` started for the cell. It does not lie
    /// in the run directory, as a job that is refused makes none.
    [[nodiscard]] std::filesystem::path attempts(const Cell& cell) const {
        return root / "attempts" / cell.id;
    }
    [[nodiscard]] std::filesystem::path store() const { return root / "store"; }
};

/// runs/NAME, unless `out` names another folder; absolute.
Folder folder_of(const Plan& plan, const std::filesystem::path& out = {});

/// Makes the folder and writes plan.toml and manifest.csv. Cells that an earlier plan had are left
/// alone; returns their ids, sorted.
/// Throws DataError when the folder cannot be made, InternalError when the disk is full.
std::vector<std::string> write_plan(const Folder& folder, const Plan& plan,
                                    const std::filesystem::path& plan_file);

/// The right to work on a cell. It belongs to one job and to the processes that this starts: it is
/// free again when all of them have ended, in whatever way, as the system then drops the lock on
/// the file `claim`.
class CellClaim {
  public:
    /// Nothing when another job has the cell. Throws DataError when the lock cannot be tried.
    static std::optional<CellClaim> take(const Folder& folder, const Cell& cell);

    /// Whether a job has the cell: one that took a claim, or one that uses the run directory
    /// without one.
    static bool is_taken(const Folder& folder, const Cell& cell);

    /// The open file. A process that is started with it shares the claim.
    [[nodiscard]] int descriptor() const noexcept { return lock_.file().number(); }

  private:
    explicit CellClaim(storage::FileLock lock) : lock_(std::move(lock)) {}
    storage::FileLock lock_;
};

} // namespace hdap::ablation
