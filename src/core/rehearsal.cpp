#include "hdap/core/rehearsal.hpp"

#include "hdap/core/descriptor.hpp"
#include "hdap/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <new>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace hdap::core {
namespace {

constexpr std::size_t longest_message = 65'536;

/// How the copy's process ends.
enum Ending : int { done = 0, failed = 1, out_of_memory = 2, unknown_exception = 3 };

/// Bytes of address space that this process takes.
std::uint64_t address_space() {
    std::uint64_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

void limit(decltype(RLIMIT_CPU) resource, std::uint64_t most) {
    rlimit both{};
    if (::getrlimit(resource, &both) != 0) return;
    both.rlim_cur = std::min<rlim_t>(most, both.rlim_max);
    ::setrlimit(resource, &both);
}

void set_limits(const RehearsalLimits& limits) {
    const auto seconds = static_cast<unsigned>(limits.time.count());
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, seconds);
    ::alarm(10 * seconds);   // for what waits instead of working
#ifndef __SANITIZE_ADDRESS__ // which takes terabytes of address space
    limit(RLIMIT_AS, address_space() + limits.memory_bytes);
#endif
}

/// Alone, silent, and with signals that end it.
void detach_from(pid_t parent) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(done); // it ended before the line above
    for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGSEGV, SIGBUS, SIGFPE, SIGILL,
                             SIGABRT, SIGXCPU, SIGALRM})
        ::signal(signal, SIG_DFL);
    const Descriptor nothing(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    ::dup2(nothing.number(), STDOUT_FILENO);
    ::dup2(nothing.number(), STDERR_FILENO);
}

/// The error's kind and message, for the other process.
void send(int pipe, const Error& error) {
    std::string text(1, static_cast<char>(error.kind()));
    text += std::string_view(error.what()).substr(0, longest_message);
    for (std::string_view rest = text; !rest.empty();) {
        const ssize_t written = ::write(pipe, rest.data(), rest.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) break;
        rest.remove_prefix(static_cast<std::size_t>(written));
    }
}

Ending do_in_copy(const std::function<void()>& work, int pipe) {
    try {
        work();
        return done;
    } catch (const Error& error) {
        send(pipe, error);
        return failed;
    } catch (const std::bad_alloc&) {
        return out_of_memory;
    } catch (const std::length_error&) { // of a container
        return out_of_memory;
    } catch (...) {
        return unknown_exception;
    }
}

/// All that comes until the other end is closed.
std::string receive(int pipe) {
    std::string text;
    char block[4096];
    while (true) {
        const ssize_t read = ::read(pipe, block, sizeof block);
        if (read < 0 && errno == EINTR) continue;
        if (read <= 0) return text;
        text.append(block, static_cast<std::size_t>(read));
    }
}

int status_of(pid_t process) {
    int status = 0;
    while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

/// Why the copy did not get to its end; "" when it did. `sent`: the error that it ended with.
std::string what_ended(int status, const std::string& sent, const RehearsalLimits& limits) {
    if (WIFEXITED(status)) {
        const int code = WEXITSTATUS(status);
        if (code == out_of_memory)
            return fmt::format("needs more than {} MiB of memory", limits.memory_bytes >> 20U);
        const bool is_ours =
            code == done || code == unknown_exception || (code == failed && !sent.empty());
        return is_ours ? "" : fmt::format("ends the process with {}", code);
    }
    const int signal = WTERMSIG(status);
    if (signal == SIGXCPU || signal == SIGALRM)
        return fmt::format("does not end within {} s", limits.time.count());
    return fmt::format("crashes ({})", ::strsignal(signal));
}

} // namespace

void rehearse(const std::string& what, const RehearsalLimits& limits,
              const std::function<void()>& work) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
        throw InternalError(fmt::format("cannot make a pipe: {}", std::strerror(errno)));
    const Descriptor input(ends[0]);
    std::optional<Descriptor> output(std::in_place, ends[1]);
    const pid_t parent = ::getpid();
    const pid_t copy = ::fork();
    if (copy < 0)
        throw InternalError(fmt::format("cannot start a process: {}", std::strerror(errno)));
    if (copy == 0) {
        detach_from(parent);
        set_limits(limits);
        ::_exit(do_in_copy(work, output->number()));
    }
    output.reset();
    const std::string sent = receive(input.number());
    const int status = status_of(copy);
    const std::string end = what_ended(status, sent, limits);
    if (!end.empty())
        throw DataError(
            fmt::format("{}: is damaged, or not what it should be: reading it {}; get it "
                        "anew",
                        what, end));
    if (!sent.empty()) throw_error(static_cast<ErrorKind>(sent.front()), sent.substr(1));
}

} // namespace hdap::core
