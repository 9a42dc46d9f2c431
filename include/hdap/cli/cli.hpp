#pragma once

#include "hdap/core/error.hpp"

#include <functional>

namespace hdap::cli {

/// The arguments of main, which MPI_Init wants.
struct Arguments {
    int count = 0;
    char** values = nullptr;
};

/// What a subcommand does once the command line is parsed.
using Action = std::function<core::ExitCode(Arguments)>;

/// The program `hdap`: parses the command line, runs the subcommand, turns errors into one message
/// on stderr and an exit code (core::ExitCode). Results go to stdout, logs to stderr.
int run(int argc, char** argv);

} // namespace hdap::cli
