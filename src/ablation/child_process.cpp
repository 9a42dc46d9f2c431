#include "child_process.hpp"

#include "hdap/core/command.hpp"
#include "hdap/core/error.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <string_view>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace hdap::ablation {
namespace {

constexpr int no_such_program = 127;

[[noreturn]] void fail(const std::string& what) {
    throw core::InternalError(what + ": " + std::strerror(errno));
}

/// Waits for a process; nothing while it runs and `options` is WNOHANG.
std::optional<int> wait_for(pid_t id, int options) {
    int status = 0;
    pid_t ended = 0;
    do {
        ended = ::waitpid(id, &status, options);
    } while (ended < 0 && errno == EINTR);
    if (ended == 0) return std::nullopt;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/// Becomes another program, in the child after fork: only calls that are safe there.
[[noreturn]] void become(char* const* command, int output) {
    const int input = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (::dup2(input, STDIN_FILENO) >= 0 && ::dup2(output, STDOUT_FILENO) >= 0 &&
        ::dup2(output, STDERR_FILENO) >= 0)
        ::execvp(command[0], command);
    constexpr std::string_view message = "hdap: error: cannot start the program\n";
    [[maybe_unused]] const auto written = ::write(output, message.data(), message.size());
    ::_exit(no_such_program);
}

} // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& command,
                           const std::filesystem::path& log, int inherited) {
    const std::vector<char*> arguments = core::argument_pointers(command);
    const int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (output < 0)
        throw core::DataError("cannot open " + log.string() + ": " + std::strerror(errno));
    const pid_t parent = ::getpid();
    id_ = ::fork();
    if (id_ == 0) {
        ::setpgid(0, 0);
        ::prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (::getppid() != parent) ::_exit(no_such_program); // it ended before the line above
        ::fcntl(inherited, F_SETFD, 0);
        // Until it has a handler, a request for a checkpoint must not end it.
        ::signal(SIGUSR1, SIG_IGN);
        become(arguments.data(), output);
    }
    const int why = errno;
    ::close(output);
    errno = why;
    if (id_ < 0) fail("cannot start a process");
}

ChildProcess::~ChildProcess() {
    if (id_ < 0) return;
    ::kill(id_, SIGKILL);
    wait_for(id_, 0);
}

std::optional<int> ChildProcess::try_wait() {
    const std::optional<int> code = wait_for(id_, WNOHANG);
    if (code) id_ = -1;
    return code;
}

void ChildProcess::signal(int number) const {
    ::kill(id_, number);
}

} // namespace hdap::ablation
