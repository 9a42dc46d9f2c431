#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

/// Programs that this process starts; private to the module.
namespace hdap::ablation {

/// A program that runs beside this process.
class ChildProcess {
  public:
    /// Starts `command`, whose first word is looked for in PATH. What it prints is appended to
    /// `log`. It inherits the open file `inherited`, gets SIGTERM when this process ends, and is
    /// in a process group of its own: Ctrl-C reaches this process alone, which passes it on once.
    /// Throws InternalError when no process can be made, DataError when `log` cannot be opened.
    ChildProcess(const std::vector<std::string>& command, const std::filesystem::path& log,
                 int inherited);
    /// Kills it when it still runs.
    ~ChildProcess();
    ChildProcess(ChildProcess&& other) noexcept : id_(std::exchange(other.id_, -1)) {}
    ChildProcess& operator=(ChildProcess&& other) noexcept {
        std::swap(id_, other.id_);
        return *this;
    }

    /// How it ended, once it has: the exit code, or 128 + the signal's number. To be called until
    /// it tells.
    std::optional<int> try_wait();

    void signal(int number) const;

  private:
    pid_t id_ = -1;
};

} // namespace hdap::ablation
