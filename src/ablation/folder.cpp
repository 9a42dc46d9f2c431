#include "hdap/ablation/folder.hpp"

#include "hdap/core/error.hpp"
#include "hdap/storage/sealed_file.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <set>
#include <span>
#include <sys/file.h>
#include <unistd.h>
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

void write_text(const fs::path& file, const std::string& text) {
    storage::write_atomically(file, std::as_bytes(std::span(text)));
}

constexpr int no_such_file = -1;

/// Locks `file` for this process. Returns its descriptor, `no_such_file`, or nothing when somebody
/// else has it locked.
std::optional<int> try_lock(const fs::path& file, int open_flags, int operation) {
    const int descriptor = ::open(file.c_str(), open_flags | O_CLOEXEC, 0644);
    if (descriptor < 0 && errno == ENOENT) return no_such_file;
    if (descriptor >= 0 && ::flock(descriptor, operation | LOCK_NB) == 0) return descriptor;
    const int why = errno;
    if (descriptor >= 0) ::close(descriptor);
    if (why == EWOULDBLOCK) return std::nullopt;
    throw core::DataError("cannot lock " + file.string() + ": " + std::strerror(why));
}

fs::path claim_file(const Folder& folder, const Cell& cell) {
    return folder.attempts(cell) / "claim";
}

/// Whether a job uses a run directory. Its lock file is there for as long as one does, and stays
/// when that is killed.
bool is_run_directory_in_use(const fs::path& run_directory) {
    const auto descriptor = try_lock(run_directory / "run.lock", O_RDONLY, LOCK_SH);
    if (descriptor && *descriptor != no_such_file) ::close(*descriptor);
    return !descriptor;
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
    write_text(folder.root / "plan.toml", {std::istreambuf_iterator<char>(stream), {}});
    write_text(folder.root / "manifest.csv", manifest_csv(plan));
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
    const auto descriptor = try_lock(claim_file(folder, cell), O_RDWR | O_CREAT, LOCK_EX);
    if (!descriptor) return std::nullopt;
    CellClaim claim(*descriptor);
    if (is_run_directory_in_use(folder.run_directory(cell))) return std::nullopt;
    return claim;
}

bool CellClaim::is_taken(const Folder& folder, const Cell& cell) {
    const auto descriptor = try_lock(claim_file(folder, cell), O_RDONLY, LOCK_SH);
    if (!descriptor) return true;
    // For as long as this holds the claim, no job of ours can meet the short lock that follows.
    const CellClaim claim(*descriptor);
    return is_run_directory_in_use(folder.run_directory(cell));
}

CellClaim::~CellClaim() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

CellClaim::CellClaim(CellClaim&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

CellClaim& CellClaim::operator=(CellClaim&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
}

} // namespace hdap::ablation
