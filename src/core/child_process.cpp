#include "hdap/core/child_process.hpp"

#include "hdap/core/error.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string_view>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace hdap::core {
namespace {

constexpr int no_such_program = 127;

/// `words` as exec(3) wants them, with the null pointer at the end. They point into `words`.
std::vector<char*> pointers_to(const std::vector<std::string>& words) {
    std::vector<char*> pointers;
    for (const std::string& word : words)
        pointers.push_back(const_cast<char*>(word.c_str()));
    pointers.push_back(nullptr);
    return pointers;
}

/// Signals as a program expects them. In the child after fork, here and below: only calls that are
/// safe there.
void reset_signals(const ChildOptions& options) {
    // Handlers of ours are gone after exec, but what we ignore stays ignored.
    for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGPIPE})
        ::signal(signal, SIG_DFL);
    if (options.ignored_signal) ::signal(*options.ignored_signal, SIG_IGN);
}

/// Becomes another program.
[[noreturn]] void become(char* const* command, char* const* environment,
                         const ChildOptions& options, pid_t parent) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, options.death_signal);
    if (::getppid() != parent) ::_exit(no_such_program); // it ended before the line above
    if (options.inherited) ::fcntl(*options.inherited, F_SETFD, 0);
    reset_signals(options);
    const int input = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (::dup2(input, STDIN_FILENO) >= 0 && ::dup2(options.output, STDOUT_FILENO) >= 0 &&
        ::dup2(options.errors, STDERR_FILENO) >= 0)
        ::execvpe(command[0], command, environment);
    constexpr std::string_view message = "hdap: error: cannot start the program\n";
    [[maybe_unused]] const auto written = ::write(options.errors, message.data(), message.size());
    ::_exit(no_such_program);
}

} // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& command, const ChildOptions& options)
    : owns_group_(options.owns_group) {
    const std::vector<char*> arguments = pointers_to(command);
    const std::vector<std::string> variables = environment_of(options.started);
    const std::vector<char*> environment = pointers_to(variables);
    const pid_t parent = ::getpid();
    id_ = ::fork();
    if (id_ == 0) become(arguments.data(), environment.data(), options, parent);
    if (id_ < 0)
        throw InternalError(fmt::format("cannot start a process: {}", std::strerror(errno)));
    ::setpgid(id_, id_); // whoever of both comes first
}

ChildProcess::~ChildProcess() {
    if (id_ < 0) return;
    if (owns_group_) ::kill(-id_, SIGKILL);
    if (exit_code_) return;
    ::kill(id_, SIGKILL);
    wait(0);
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : id_(std::exchange(other.id_, -1)), owns_group_(other.owns_group_),
      exit_code_(other.exit_code_) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(owns_group_, other.owns_group_);
    std::swap(exit_code_, other.exit_code_);
    return *this;
}

std::optional<int> ChildProcess::try_wait() {
    if (!exit_code_) wait(WNOHANG);
    return exit_code_;
}

void ChildProcess::signal(int number) const {
    if (!exit_code_) ::kill(id_, number);
}

void ChildProcess::wait(int flags) {
    int status = 0;
    pid_t ended = 0;
    do {
        ended = ::waitpid(id_, &status, flags);
    } while (ended < 0 && errno == EINTR);
    if (ended == 0) return;
    exit_code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

} // namespace hdap::core
