#pragma once

#include "hdap/core/environment.hpp"

#include <csignal>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace hdap::core {

/// How a program is started.
struct ChildOptions {
    int output = -1; ///< descriptor that its stdout goes to
    int errors = -1; ///< and its stderr; may be the same
    /// An open file that it gets under the same number.
    std::optional<int> inherited = std::nullopt;
    int death_signal = SIGKILL; ///< what it gets when this process ends
    /// A signal that does not end it until it has a handler.
    std::optional<int> ignored_signal = std::nullopt;
    /// Whether all processes of its group end with the object, also where it has ended itself;
    /// else the object ends the program alone.
    bool owns_group = true;
    Started started = Started::inside; ///< which environment it gets, see environment_of
};

/// A program that runs beside this process: without input, in a process group of its own, so that
/// Ctrl-C reaches this process alone. Its exit code is 127 where there is no such program. Killed
/// with this object.
class ChildProcess {
  public:
    /// Starts `command`, whose first word is looked for in PATH. Signals have their default effect
    /// in it, whatever this process does with them.
    /// Throws InternalError when no process can be made.
    ChildProcess(const std::vector<std::string>& command, const ChildOptions& options);
    ~ChildProcess();
    ChildProcess(ChildProcess&& other) noexcept;
    ChildProcess& operator=(ChildProcess&& other) noexcept;

    /// How it ended, once it has: the exit code, or 128 + the signal's number.
    std::optional<int> try_wait();

    /// Sends a signal to it, not to its group; nothing when it has ended.
    void signal(int number) const;

  private:
    void wait(int flags);

    pid_t id_ = -1;
    bool owns_group_ = true;
    std::optional<int> exit_code_;
};

} // namespace hdap::core
