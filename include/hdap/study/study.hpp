#pragma once

#include "hdap/core/error.hpp"
#include "hdap/parallel/job.hpp"
#include "hdap/study/settings.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace hdap::study {

/// The stages of a study, in their order. Each reads the outputs of those before it.
enum class Stage { fleet, clusters, profile, surrogates, search, finetune, report };

/// "fleet", "clusters", …
std::string name_of(Stage stage);

/// The folder in the run directory of what was measured on real devices.
inline constexpr const char* measurements_folder = "measurements";

/// What is to be measured of a study's networks on the devices of its fleet.
struct VerifyRequest {
    std::int64_t devices = 0; ///< so many, evenly spread; 0: all
    bool whole_front = false; ///< all of the front, not only what was fine-tuned
    std::int64_t rounds = 3;  ///< through all networks on a device; their medians count
};

/// What is asked of a study.
struct StudyRequest {
    const Settings& settings;
    std::filesystem::path run_directory;
    /// Folder of stage outputs and accuracies that studies share; empty: none.
    std::filesystem::path store;
    /// Ends with InternalError when the last so many attempts brought no progress; 0: never.
    std::int64_t give_up_after = 0;
    /// Measure what the study ended with, too; its search must be complete.
    std::optional<VerifyRequest> verify = std::nullopt;
};

/// Walks the stages from the first to `last`. A stage whose output is there and was made from the
/// same inputs is skipped; a search goes on from its checkpoint. Returns `complete`, or `stopped`
/// when a signal, or the end of its time, ended it early. Every attempt is written to the run
/// directory's attempts.jsonl. The final table goes to stdout. Collective.
/// Throws what the stages throw; see docs/architecture.md, "Exit codes".
core::ExitCode run_study(const parallel::Job& job, const StudyRequest& request,
                         Stage last = Stage::report);

} // namespace hdap::study
