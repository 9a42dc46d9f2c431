#include "hdap/ablation/status.hpp"

#include "hdap/core/error.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "hdap/study/attempts.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

namespace hdap::ablation {
namespace {

namespace fs = std::filesystem;

constexpr int waiting = static_cast<int>(core::ExitCode::waiting);

bool has_failed(const study::Attempt& attempt) {
    constexpr int stopped = static_cast<int>(core::ExitCode::stopped);
    return attempt.exit_code && *attempt.exit_code != 0 && *attempt.exit_code != stopped &&
           *attempt.exit_code != waiting;
}

std::string times(int count) {
    return count == 1 ? "once" : std::to_string(count) + " times";
}

} // namespace

std::string name_of(CellState state) {
    constexpr std::array names{"complete", "running", "queued", "stopped",
                               "waiting",  "failed",  "missing"};
    return names[static_cast<std::size_t>(state)];
}

bool is_complete(const Folder& folder, const Cell& cell) {
    const fs::path file = folder.run_directory(cell) / "results.h5";
    if (!fs::exists(file)) return false;
    try {
        (void)storage::read_sealed(file);
        return true;
    } catch (const core::CorruptFileError&) {
        return false;
    }
}

CellStatus last_attempt(const Folder& folder, const Cell& cell) {
    const auto ours = study::read_attempts(folder.attempts(cell));
    // Without one of ours, the study was started by hand.
    const auto all = ours.empty() ? study::read_attempts(folder.run_directory(cell)) : ours;
    CellStatus status;
    status.failures = static_cast<int>(std::count_if(ours.begin(), ours.end(), has_failed));
    if (all.empty()) {
        if (!fs::exists(folder.run_directory(cell))) return status;
        status.state = CellState::stopped;
        status.reason = "was ended without a word";
        return status;
    }
    const study::Attempt& last = all.back();
    if (has_failed(last)) {
        status.state = CellState::failed;
        status.exit_code = *last.exit_code;
        status.reason =
            fmt::format("failed {}, exit code {}: {}", times(std::max(status.failures, 1)),
                        status.exit_code, last.message);
    } else if (!last.exit_code) {
        status.state = CellState::stopped;
        status.reason = "was killed";
    } else if (*last.exit_code == waiting) {
        status.state = CellState::waiting;
        status.exit_code = waiting;
        status.reason = last.message;
    } else {
        status.state = CellState::stopped;
        status.reason = *last.exit_code == 0 ? "its results.h5 is missing or damaged"
                                             : "was stopped; it goes on from its checkpoint";
    }
    return status;
}

bool is_settled(const CellStatus& status, int retries) {
    if (status.failures == 0) return false;
    const auto exit_code = static_cast<core::ExitCode>(status.exit_code);
    return status.failures > retries || exit_code == core::ExitCode::usage ||
           exit_code == core::ExitCode::infeasible;
}

CellStatus status_of(const Folder& folder, const Cell& cell, const std::set<std::string>& queued) {
    // In this order: a job that ends between the two looks has left its results.
    const bool taken = CellClaim::is_taken(folder, cell);
    if (is_complete(folder, cell)) return {.state = CellState::complete};
    if (taken) return {.state = CellState::running};
    if (queued.contains(cell.id)) return {.state = CellState::queued};
    return last_attempt(folder, cell);
}

void forget_failures(const Folder& folder, const Cell& cell) {
    const fs::path record = folder.attempts(cell) / "attempts.jsonl";
    std::error_code missing;
    fs::rename(record, folder.attempts(cell) / "attempts.previous.jsonl", missing);
}

} // namespace hdap::ablation
