#pragma once

#include "hdap/parallel/communicator.hpp"
#include "hdap/study/study.hpp"
#include "job_options.hpp"

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace hdap::cli {

/// The options of every command that works on studies.
struct StudyOptions {
    std::string config;
    std::vector<std::string> overrides;
    std::string run_directory;
    JobOptions job;
    std::string store;              ///< folder; empty: none
    std::int64_t give_up_after = 0; ///< attempts without progress; 0: never
};

/// --set: "key=value", for study::load_settings_file.
void add_override_option(CLI::App& command, std::vector<std::string>& overrides);

/// --store: the folder.
void add_store_option(CLI::App& command, std::string& store);

/// --out, --threads, --quiet, --time-limit, --store, --give-up-after.
void add_run_options(CLI::App& command, StudyOptions& options);

/// Runs a study up to stage `last`, with a log on stderr. Collective.
core::ExitCode run_stages(const parallel::Communicator& world, const StudyOptions& options,
                          study::Stage last);

} // namespace hdap::cli
