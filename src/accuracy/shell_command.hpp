#pragma once

#include <stop_token>
#include <string>

namespace hdap::accuracy {

/// How a command for the shell ended.
struct ShellOutcome {
    enum class End { exited, timed_out, cancelled } end = End::exited;
    int exit_code = 0;  ///< 128 + the signal's number when a signal ended it
    std::string output; ///< the last 64 kB of what it printed
    std::string errors; ///< the last 4 kB of what it wrote to stderr
};

/// Runs `command` with /bin/sh, without input, in a process group of its own. When it takes longer
/// than `timeout_seconds` or `cancelled` is requested, the whole group is killed.
/// Throws InternalError when no process can be made.
ShellOutcome run_shell_command(const std::string& command, double timeout_seconds,
                               const std::stop_token& cancelled);

} // namespace hdap::accuracy
