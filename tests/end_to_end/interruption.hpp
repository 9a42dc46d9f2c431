#pragma once

#include "end_to_end/tiny_study.hpp"

#include <functional>
#include <string>

namespace hdap::test {

/// Starts or continues the study in `run_directory`, calls `interrupt` once the job has written a
/// checkpoint, and returns how it ended. A job that was complete before the interruption could
/// reach it proves nothing, so it is done again, from the same run directory as before.
/// Throws std::runtime_error when that happens again and again.
Outcome interrupted_run(const TinyStudy& study, const Launch& launch,
                        const std::string& run_directory, const Arguments& more,
                        const std::function<void(Process&)>& interrupt);

/// Whether the search whose state a file holds is complete.
bool is_complete_search(const std::filesystem::path& search_file);

} // namespace hdap::test
