#include "hdap/core/command.hpp"

#include "hdap/core/error.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace hdap::core {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int no_such_program = 127;
constexpr std::size_t most_output = 16U << 20U;
constexpr std::size_t most_errors = 4U << 10U;

[[noreturn]] void fail(const std::string& what) {
    throw InternalError(what + ": " + std::strerror(errno));
}

/// Both ends of a pipe.
class Pipe {
  public:
    Pipe() {
        if (::pipe2(ends_.data(), O_CLOEXEC) != 0) fail("cannot make a pipe");
    }
    ~Pipe() {
        close(0);
        close(1);
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;

    [[nodiscard]] int reading() const { return ends_[0]; }
    [[nodiscard]] int writing() const { return ends_[1]; }
    void close_writing() { close(1); }

    /// Appends what is there to `text`, of which the last `most` bytes stay; false at the end.
    bool read_into(std::string& text, std::size_t most) {
        std::array<char, 4096> buffer{};
        const ssize_t count = ::read(ends_[0], buffer.data(), buffer.size());
        if (count < 0) return errno == EINTR;
        text.append(buffer.data(), static_cast<std::size_t>(count));
        if (text.size() > 2 * most) text.erase(0, text.size() - most);
        return count > 0;
    }

  private:
    void close(std::size_t end) {
        if (ends_[end] >= 0) ::close(ends_[end]);
        ends_[end] = -1;
    }

    std::array<int, 2> ends_{-1, -1};
};

/// In the child after fork: only calls that are safe there.
[[noreturn]] void become(char* const* command, int output, int errors, pid_t parent) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    // Handlers of ours are gone after exec, but what we ignore stays ignored.
    for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGPIPE})
        ::signal(signal, SIG_DFL);
    const int input = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (::getppid() == parent && ::dup2(input, STDIN_FILENO) >= 0 &&
        ::dup2(output, STDOUT_FILENO) >= 0 && ::dup2(errors, STDERR_FILENO) >= 0)
        ::execvp(command[0], command);
    ::_exit(no_such_program);
}

/// A program whose whole process group dies with this object.
class Program {
  public:
    Program(const std::vector<std::string>& command, Pipe& output, Pipe& errors) {
        const std::vector<char*> arguments = argument_pointers(command);
        const pid_t parent = ::getpid();
        id_ = ::fork();
        if (id_ == 0) become(arguments.data(), output.writing(), errors.writing(), parent);
        if (id_ < 0) fail("cannot start a process");
        ::setpgid(id_, id_); // whoever of both comes first
        output.close_writing();
        errors.close_writing();
    }
    ~Program() {
        ::kill(-id_, SIGKILL);
        if (!exit_code_) wait(0);
    }
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    /// The exit code, once it has ended.
    std::optional<int> try_wait() {
        if (!exit_code_) wait(WNOHANG);
        return exit_code_;
    }

  private:
    void wait(int options) {
        int status = 0;
        pid_t ended = 0;
        do {
            ended = ::waitpid(id_, &status, options);
        } while (ended < 0 && errno == EINTR);
        if (ended == 0) return;
        exit_code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }

    pid_t id_ = -1;
    std::optional<int> exit_code_;
};

} // namespace

std::vector<char*> argument_pointers(const std::vector<std::string>& command) {
    std::vector<char*> pointers;
    for (const std::string& argument : command)
        pointers.push_back(const_cast<char*>(argument.c_str()));
    pointers.push_back(nullptr);
    return pointers;
}

CommandOutcome run_command(const std::vector<std::string>& command, double timeout_seconds,
                           const std::stop_token& cancelled) {
    const auto start = Clock::now();
    const auto too_long = [&] {
        return std::chrono::duration<double>(Clock::now() - start).count() > timeout_seconds;
    };
    CommandOutcome outcome;
    Pipe output;
    Pipe errors;
    Program program(command, output, errors);
    while (true) {
        if (cancelled.stop_requested()) {
            outcome.end = CommandOutcome::End::cancelled;
            return outcome;
        }
        if (too_long()) {
            outcome.end = CommandOutcome::End::timed_out;
            return outcome;
        }
        // What it left behind in the background may keep the pipes open; its own end counts.
        const std::optional<int> ended = program.try_wait();
        std::array<pollfd, 2> ready{{{output.reading(), POLLIN, 0}, {errors.reading(), POLLIN, 0}}};
        constexpr int look_every_ms = 50;
        ::poll(ready.data(), ready.size(), ended ? 0 : look_every_ms);
        bool read = false;
        if ((ready[0].revents & POLLIN) != 0)
            read = output.read_into(outcome.output, most_output) || read;
        if ((ready[1].revents & POLLIN) != 0)
            read = errors.read_into(outcome.errors, most_errors) || read;
        if (ended && !read) {
            outcome.exit_code = *ended;
            return outcome;
        }
        // Both pipes closed before the end: nothing to wait for but the end.
        const bool closed = ((ready[0].revents | ready[1].revents) & POLLHUP) != 0 && !read;
        if (closed && !ended) ::poll(nullptr, 0, 1);
    }
}

} // namespace hdap::core
