#pragma once

#include "hdap/ablation/folder.hpp"
#include "hdap/ablation/plan.hpp"

#include <cstddef>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace hdap::ablation {

/// How cells become tasks of a Slurm job array.
struct SubmissionParameters {
    std::filesystem::path program;           ///< hdap
    std::filesystem::path script;            ///< slurm/ablation.sbatch, or one like it
    int throttle = 8;                        ///< tasks that run at the same time
    int cells_per_task = 1;                  ///< one after the other in a task
    int retries = 2;                         ///< cells that failed more often are left out
    std::vector<std::string> sbatch_options; ///< win over those of the script
};

/// A job array.
struct JobArray {
    std::vector<std::vector<std::string>> tasks; ///< ids of cells
    std::filesystem::path cells_file;            ///< array-N.txt: one line a task, ids with commas
    std::vector<std::string> command{};          ///< sbatch and its arguments
    std::string job{};                           ///< Slurm's id; empty: not submitted
};

/// What is submitted at a time.
struct Submission {
    /// In as many arrays as the cluster needs (its MaxArraySize). Each waits for the end of the one
    /// before, so that the throttle holds for all of them together.
    std::vector<JobArray> arrays;
    std::size_t complete = 0;          ///< cells that need nothing any more
    std::size_t elsewhere = 0;         ///< cells that jobs have, or arrays will do
    std::vector<std::string> given_up; ///< ids of cells that failed too often, or in vain

    [[nodiscard]] std::size_t tasks() const;
};

/// The ids of the cells that the job arrays of the folder will do: those in tasks that Slurm still
/// has waiting or running. Asks squeue, unless there never was an array.
/// Throws UsageError when squeue does not answer, ConfigError when a record is damaged.
std::set<std::string> queued_cells(const Folder& folder);

/// What would be submitted now: everything that is neither complete, nor running, nor queued, nor
/// settled as failed. Asks scontrol how many tasks an array may have; where it does not answer
/// there is one array, and sbatch says whether that is too long. Writes nothing. Throws UsageError
/// when the cluster has no job arrays.
Submission plan_submission(const Plan& plan, const Folder& folder,
                           const std::filesystem::path& plan_file,
                           const SubmissionParameters& parameters);

/// The same, submitted. Task T (from 1) does line T of the file HDAP_CELLS_FILE; HDAP_PLAN,
/// HDAP_ABLATION (the folder) and HDAP_PROGRAM are in its environment, too. The job is noted in
/// array-N.toml beside that file. One submission at a time.
/// Throws UsageError when sbatch is missing or refuses an array, with what it said and the arrays
/// that it took before (they stay submitted), or does not say which job it made, and when another
/// submission is under way.
Submission submit(const Plan& plan, const Folder& folder, const std::filesystem::path& plan_file,
                  const SubmissionParameters& parameters);

} // namespace hdap::ablation
