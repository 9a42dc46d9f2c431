#pragma once

namespace hdap::cli {

/// The program `hdap`: parses the command line, runs the subcommand, turns errors into one message
/// on stderr and an exit code (core::ExitCode). Results go to stdout, logs to stderr.
int run(int argc, char** argv);

} // namespace hdap::cli
