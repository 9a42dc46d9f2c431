#pragma once

#include "hdap/parallel/communicator.hpp"
#include "hdap/study/study.hpp"

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace hdap::cli {

/// The options of every command that works on studies.
struct StudyOptions {
    std::string config;
    std::vector<std::string> overrides;
    std::string run_directory;
    int threads = 0;
    bool quiet = false;
};

/// --out, --threads, --quiet.
void add_run_options(CLI::App& command, StudyOptions& options);

/// Runs a study up to stage `last`, with a log on stderr. Collective.
core::ExitCode run_stages(const parallel::Communicator& world, const StudyOptions& options,
                          study::Stage last);

} // namespace hdap::cli
