#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace hdap::study {

/// One job's work on a run directory.
struct Attempt {
    std::string started; ///< ISO 8601, UTC
    std::string ended;   ///< empty: it still runs, or was killed
    std::string job;     ///< Slurm's job id with the restart count, "1234.1"; else empty
    std::string host;
    int ranks = 0;
    int threads = 0;                 ///< a rank
    std::int64_t progress_start = 0; ///< see progress_of
    std::int64_t progress_end = 0;
    std::optional<int> exit_code; ///< none when there is no end
    std::string message;          ///< of the error that ended it
};

/// Everything that was ever started in a run directory, oldest first: its attempts.jsonl. Lines
/// that cannot be read (a job was killed while it wrote one) are left out.
/// Throws DataError when the file is there and cannot be read.
std::vector<Attempt> read_attempts(const std::filesystem::path& run_directory);

/// Appends a start. The line is on the disk when the call returns.
/// Throws InternalError when it cannot be written.
void append_attempt_start(const std::filesystem::path& run_directory, const Attempt& attempt);

/// Appends the end of the last start.
void append_attempt_end(const std::filesystem::path& run_directory, const Attempt& attempt);

/// Why another attempt is in vain, in words, when the last `most` (≥ 1) attempts began at
/// `progress` and none of them completed what it was asked for, or waited for measurements that
/// others make; else nothing.
std::optional<std::string> lack_of_progress(const std::vector<Attempt>& attempts,
                                            std::int64_t progress, std::int64_t most);

/// How far the study in a run directory has come: stage outputs, candidates that devices measured
/// (where these lie in it), evaluated candidates and fine-tuned networks, counted. Grows with
/// everything that a later job need not do again. A damaged file counts nothing.
std::int64_t progress_of(const std::filesystem::path& run_directory);

} // namespace hdap::study
