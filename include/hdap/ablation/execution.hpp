#pragma once

#include "hdap/ablation/folder.hpp"
#include "hdap/ablation/plan.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/log.hpp"
#include "hdap/parallel/run_control.hpp"

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace hdap::ablation {

/// How the cells of an ablation are run on this machine.
struct ExecutionParameters {
    std::filesystem::path program;     ///< hdap
    std::vector<std::string> launcher; ///< put before it: "mpirun", "-n", "4"
    int workers = 1;                   ///< cells at a time, at least 1
    int threads = 1;                   ///< a rank of a cell
    int retries = 2;                   ///< times that a failed cell is tried again, in all jobs
    /// The end of this job: cells get what is left as their own --time-limit.
    std::optional<std::chrono::steady_clock::time_point> deadline;
};

/// A cell that could not be completed.
struct FailedCell {
    std::size_t cell = 0; ///< index of the plan's cell
    int exit_code = 0;
    std::string reason;
};

/// A cell that waits for measurements that somebody else makes.
struct WaitingCell {
    std::size_t cell = 0; ///< index of the plan's cell
    std::string reason;
};

struct ExecutionResult {
    std::size_t complete = 0;           ///< of the chosen cells
    bool stopped = false;               ///< ended early, by request: the same command goes on
    std::vector<FailedCell> failed{};   ///< in the order of the plan
    std::vector<WaitingCell> waiting{}; ///< likewise

    /// `stopped`; or the kind of the first failure; or `waiting` when a cell waits; or `complete`.
    [[nodiscard]] core::ExitCode exit_code() const;
};

/// The cells that a text chooses, as indices in the order of the plan: "3", "2-5" (numbers of the
/// manifest, from 1) or ids, separated by commas; all of them when it is empty.
/// Throws UsageError for anything else.
std::vector<std::size_t> choose_cells(const Plan& plan, const std::string& text);

/// Runs the chosen cells, each in a process `hdap run` of its own, some at a time. Cells that are
/// complete are left alone; cells that another job has are waited for, and taken over when it ends
/// before they are complete. A failing cell does not stop the others: it is tried again after them,
/// unless that is in vain (is_settled). A cell that waits for measurements (exit code 76) is
/// neither complete nor failed, and is tried once: measurements come from outside, and may take
/// days. The request to stop is passed on to the processes; a cell that stops by itself, as its
/// time is over, stops the rest, too. Processes end when this one is killed.
ExecutionResult execute(const Plan& plan, const Folder& folder,
                        const std::vector<std::size_t>& cells,
                        const ExecutionParameters& parameters, core::Log& log,
                        parallel::RunControl& control);

} // namespace hdap::ablation
