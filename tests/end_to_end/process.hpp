#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace hdap::test {

/// How a process ended, and what it printed.
struct Outcome {
    /// The exit code; 128 + the signal's number when a signal ended it, as shells say it.
    int exit_code = -1;
    std::string output; ///< stdout
    std::string errors; ///< stderr
};

/// A program that runs beside the test, in a session of its own, so that everything that it starts
/// (mpirun starts the ranks) can be found and ended. What it prints goes to files: a killed job
/// leaves no pipe behind that someone still holds open.
class Process {
  public:
    using Environment = std::vector<std::pair<std::string, std::string>>;

    /// Starts `command`; `environment` is added to the test's own.
    explicit Process(std::vector<std::string> command, const Environment& environment = {});
    /// Kills whatever still runs.
    ~Process();
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    /// Sends a signal to the program itself.
    void signal(int number) const;

    /// All running processes of the session whose executable is `program`, in the order of their
    /// process numbers: the ranks, as mpirun starts them one by one.
    [[nodiscard]] std::vector<pid_t> running(const std::filesystem::path& program) const;

    /// Ends the program and all that it started with SIGKILL, at once.
    void kill_all();

    /// What stderr says so far.
    [[nodiscard]] std::string errors() const;

    /// Waits until `condition` holds or the program has ended; returns whether it holds.
    /// Throws std::runtime_error after `timeout`, with what was printed.
    bool wait_until(const std::function<bool()>& condition,
                    std::chrono::seconds timeout = std::chrono::seconds(300));

    /// Waits for the end.
    /// Throws std::runtime_error after `timeout`, with what was printed; the program is killed.
    Outcome wait(std::chrono::seconds timeout = std::chrono::seconds(300));

  private:
    bool has_ended();
    [[noreturn]] void fail(const std::string& what);

    std::vector<std::string> command_;
    std::filesystem::path output_file_;
    std::filesystem::path errors_file_;
    pid_t id_ = -1;
    int exit_code_ = -1;
    bool ended_ = false;
};

/// The whole of a file; empty when there is none.
std::string text_of(const std::filesystem::path& file);

} // namespace hdap::test
