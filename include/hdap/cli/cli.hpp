#pragma once

#include "hdap/core/error.hpp"

#include <functional>
#include <span>

namespace CLI {
class App;
}

namespace hdap::cli {

/// The arguments of main, which MPI_Init wants.
struct Arguments {
    int count = 0;
    char** values = nullptr;
};

/// What a subcommand does once the command line is parsed.
using Action = std::function<core::ExitCode(Arguments)>;

/// Adds a subcommand to `app`; when that is chosen, `action` becomes what it does.
using AddCommand = void (*)(CLI::App& app, Action& action);

/// The program `hdap`: parses the command line, runs the subcommand, turns errors into one message
/// on stderr and an exit code (core::ExitCode). Results go to stdout, logs to stderr.
/// `extra_commands` come after the module's own.
int run(int argc, char** argv, std::span<const AddCommand> extra_commands = {});

} // namespace hdap::cli
