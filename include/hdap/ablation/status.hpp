#pragma once

#include "hdap/ablation/folder.hpp"
#include "hdap/ablation/plan.hpp"

#include <set>
#include <string>
#include <vector>

namespace hdap::ablation {

enum class CellState {
    complete, ///< its results.h5 is there, undamaged
    running,  ///< a job has it
    queued,   ///< a job array that waits or runs will do it
    stopped,  ///< its last job ended early, by request or by a kill; it goes on from there
    waiting, ///< its last job ended for want of measurements that others make; it goes on with them
    failed,  ///< its last job ended with an error
    missing, ///< never started
};

/// "complete", "running", …
std::string name_of(CellState state);

/// How far one cell is.
struct CellStatus {
    CellState state = CellState::missing;
    int failures = 0;     ///< jobs that ended with an error since the last forget_failures
    int exit_code = 0;    ///< of the last job, when it failed or waits
    std::string reason{}; ///< stopped, waiting or failed: why, in words
};

/// Whether the study of a cell is complete.
bool is_complete(const Folder& folder, const Cell& cell);

/// What the record of a cell's jobs says: stopped, waiting, failed or missing.
CellStatus last_attempt(const Folder& folder, const Cell& cell);

/// Whether another try is in vain: the cell failed more than `retries` times, or last in a way that
/// stays as it is, with a wrong configuration (exit code 2) or constraints that cannot be met (4).
bool is_settled(const CellStatus& status, int retries);

/// How far a cell is; `queued` are the ids of the cells that job arrays will do.
/// Throws DataError when the folder cannot be read.
CellStatus status_of(const Folder& folder, const Cell& cell, const std::set<std::string>& queued);

/// Sets the record of a cell's jobs aside, so that it is tried again. Does nothing without one.
void forget_failures(const Folder& folder, const Cell& cell);

} // namespace hdap::ablation
