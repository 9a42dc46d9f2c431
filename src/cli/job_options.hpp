#pragma once

#include "hdap/parallel/communicator.hpp"
#include "hdap/parallel/walltime.hpp"

#include <CLI/CLI.hpp>

#include <string>

namespace hdap::cli {

/// The options of every command that runs on all ranks for long.
struct JobOptions {
    int threads = 0;
    bool quiet = false;
    std::string time_limit; ///< see parallel::parse_duration; empty: what Slurm says
};

/// --threads, --quiet, --time-limit.
void add_job_options(CLI::App& command, JobOptions& options);

/// The end of this job's time, on the root: the nearer one of what the user and Slurm say.
parallel::Walltime walltime_of(const std::string& time_limit, const parallel::Communicator& world);

} // namespace hdap::cli
