#pragma once

#include <limits>
#include <stop_token>
#include <string>
#include <vector>

namespace hdap::core {

/// How a program ended, and what it printed.
struct CommandOutcome {
    enum class End { exited, timed_out, cancelled } end = End::exited;
    int exit_code = 0;  ///< 128 + the signal's number for a signal; 127: there is no such program
    std::string output; ///< stdout; of more than 16 MB the end
    std::string errors; ///< stderr; of more than 4 kB the end
};

/// Runs `command`, whose first word is looked for in PATH, to its end: without input, in a process
/// group of its own. When it takes longer than `timeout_seconds` or `cancelled` is requested, the
/// whole group is killed; and it is when this process ends.
/// Throws InternalError when no process can be made.
CommandOutcome run_command(const std::vector<std::string>& command,
                           double timeout_seconds = std::numeric_limits<double>::infinity(),
                           const std::stop_token& cancelled = {});

/// The same for a program that submits jobs or asks about them, such as sbatch: it learns nothing
/// of the job that this process is in, so that it does the same in and outside of one.
CommandOutcome run_job_command(const std::vector<std::string>& command,
                               double timeout_seconds = std::numeric_limits<double>::infinity());

/// `text` as one word of the shell.
std::string shell_word(const std::string& text);

/// `command` with `text` as it is wherever it has `placeholder`.
std::string with_text(std::string command, const std::string& placeholder, const std::string& text);

/// `command` with `value` as a word of the shell wherever it has `placeholder`.
std::string with_word(std::string command, const std::string& placeholder,
                      const std::string& value);

/// The last line of `text` that is not blank, without blanks around it.
std::string last_line(const std::string& text);

/// A line as a message quotes it: not long, and of UTF-8 without control characters.
std::string quotable(const std::string& line);

/// The ends of both streams, as a text.
std::string printed_by(const CommandOutcome& outcome);

} // namespace hdap::core
