#include "failed_candidates.hpp"

#include "hdap/storage/sealed_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace hdap::study {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view stem = "candidate-";

/// The row that a file of the folder is about; nothing for files of others.
std::optional<std::size_t> row_of(const fs::path& file) {
    const std::string name = file.stem().string();
    if (!name.starts_with(stem)) return std::nullopt;
    std::size_t row = 0;
    const char* const end = name.data() + name.size();
    const auto [rest, error] = std::from_chars(name.data() + stem.size(), end, row);
    return error == std::errc() && rest == end ? std::optional(row) : std::nullopt;
}

std::vector<fs::path> files_of(const fs::path& folder) {
    std::vector<fs::path> files;
    if (fs::exists(folder))
        for (const fs::directory_entry& entry : fs::directory_iterator(folder))
            files.push_back(entry.path());
    return files;
}

} // namespace

FailedCandidates::FailedCandidates(fs::path folder, core::Log& log)
    : folder_(std::move(folder)), log_(log) {
    if (fs::exists(folder_)) storage::remove_temporary_files(folder_);
}

void FailedCandidates::forget_from(std::size_t row) {
    kept_ = 0;
    for (const fs::path& file : files_of(folder_)) {
        const auto found = row_of(file);
        if (!found) continue;
        if (*found >= row)
            fs::remove(file);
        else if (file.extension() == ".txt")
            ++kept_;
    }
}

void FailedCandidates::keep(std::size_t row, const network::Genome& genome,
                            const accuracy::FailureEvidence& evidence) {
    if (kept_ == most_kept) return;
    fs::create_directories(folder_);
    const fs::path base = folder_ / fmt::format("{}{:05}", stem, row);
    const std::string channels = fmt::format("[{}]\n", fmt::join(genome, ", "));
    storage::write_atomically(base.string() + "." + evidence.format, evidence.network);
    storage::write_atomically(base.string() + ".json", channels);
    // Last, as it is what is counted.
    storage::write_atomically(
        base.string() + ".txt",
        fmt::format("{}\n\ngenome: {}\n{}", evidence.reason, channels, evidence.output));
    ++kept_;
    log_.warning(fmt::format("candidate {} failed and counts as the worst: {} (kept as {}.*)", row,
                             evidence.reason, base.string()));
    if (kept_ == most_kept)
        log_.warning(fmt::format("no more than {} failed candidates are kept, or told one by one",
                                 most_kept));
}

} // namespace hdap::study
