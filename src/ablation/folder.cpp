#include "hdap/ablation/folder.hpp"

#include "hdap/core/error.hpp"
#include "hdap/storage/file_lock.hpp"
#include "hdap/storage/sealed_file.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <utility>

namespace hdap::ablation {
namespace {

namespace fs = std::filesystem;

void make_folder(const fs::path& path) {
    std::error_code error;
    fs::create_directories(path, error);
    if (error)
        throw core::DataError(
            fmt::format("cannot make the folder {}: {}", path.string(), error.message()));
}

fs::path claim_file(const Folder& folder, const Cell& cell) {
    return folder.attempts(cell) / "claim";
}

/// Whether a job uses a run directory. Its lock file is there for as long as one does, and stays
/// when that is killed.
bool is_run_directory_in_use(const fs::path& run_directory) {
    return !storage::FileLock::try_acquire_shared(run_directory / "run.lock");
}

} // namespace

Folder folder_of(const Plan& plan, const fs::path& out) {
    return {fs::absolute(out.empty() ? fs::path("runs") / plan.name : out).lexically_normal()};
}

std::vector<std::string> write_plan(const Folder& folder, const Plan& plan,
                                    const fs::path& plan_file) {
    for (const char* part : {"cells", "store", "logs", "attempts"})
        make_folder(folder.root / part);
    std::ifstream stream(plan_file, std::ios::binary);
    storage::write_atomically(folder.root / "plan.toml",
                              std::string(std::istreambuf_iterator<char>(stream), {}));
    storage::write_atomically(folder.root / "manifest.csv", manifest_csv(plan));
    std::set<std::string> planned;
    for (const Cell& cell : plan.cells)
        planned.insert(cell.id);
    std::vector<std::string> others;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder.root / "cells"))
        if (const std::string id = entry.path().filename().string(); !planned.contains(id))
            others.push_back(id);
    std::sort(others.begin(), others.end());
    return others;
}

std::optional<CellClaim> CellClaim::take(const Folder& folder, const Cell& cell) {
    make_folder(folder.attempts(cell));
    auto lock = storage::FileLock::try_acquire(claim_file(folder, cell));
    if (!lock || is_run_directory_in_use(folder.run_directory(cell))) return std::nullopt;
    return CellClaim(std::move(*lock));
}

bool CellClaim::is_taken(const Folder& folder, const Cell& cell) {
    // For as long as this holds the claim, no job of ours can meet the short lock that follows.
    const auto lock = storage::FileLock::try_acquire_shared(claim_file(folder, cell));
    return !lock || is_run_directory_in_use(folder.run_directory(cell));
}

} // namespace hdap::ablation
