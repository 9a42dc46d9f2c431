#include "hdap/core/command.hpp"

#include "hdap/core/child_process.hpp"
#include "hdap/core/descriptor.hpp"
#include "hdap/core/error.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <unistd.h>

namespace hdap::core {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t most_output = 16U << 20U;
constexpr std::size_t most_errors = 4U << 10U;

/// Both ends of a pipe.
struct Pipe {
    Descriptor reading;
    Descriptor writing;
};

Pipe make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        throw InternalError(fmt::format("cannot make a pipe: {}", std::strerror(errno)));
    return {Descriptor(ends[0]), Descriptor(ends[1])};
}

/// Appends what is there to `text`, of which the last `most` bytes stay; false at the end.
bool read_into(const Descriptor& from, std::string& text, std::size_t most) {
    std::array<char, 4096> buffer{};
    const ssize_t count = ::read(from.number(), buffer.data(), buffer.size());
    if (count < 0) return errno == EINTR;
    text.append(buffer.data(), static_cast<std::size_t>(count));
    if (text.size() > 2 * most) text.erase(0, text.size() - most);
    return count > 0;
}

/// A program with what it prints.
class Program {
  public:
    Program(const std::vector<std::string>& command, Started started)
        : output_(make_pipe()), errors_(make_pipe()),
          process_(command, {.output = output_.writing.number(),
                             .errors = errors_.writing.number(),
                             .started = started}) {
        output_.writing.close();
        errors_.writing.close();
    }

    /// Waits a moment for more to read; returns whether it has ended and all is read.
    bool step(CommandOutcome& outcome) {
        // What it left behind in the background may keep the pipes open; its own end counts.
        const std::optional<int> ended = process_.try_wait();
        std::array<pollfd, 2> ready{
            {{output_.reading.number(), POLLIN, 0}, {errors_.reading.number(), POLLIN, 0}}};
        constexpr int look_every_ms = 50;
        ::poll(ready.data(), ready.size(), ended ? 0 : look_every_ms);
        bool read = false;
        if ((ready[0].revents & POLLIN) != 0)
            read = read_into(output_.reading, outcome.output, most_output) || read;
        if ((ready[1].revents & POLLIN) != 0)
            read = read_into(errors_.reading, outcome.errors, most_errors) || read;
        if (read) return false;
        if (ended) outcome.exit_code = *ended;
        // Both pipes closed before the end: nothing to wait for but the end.
        const bool closed = ((ready[0].revents | ready[1].revents) & POLLHUP) != 0;
        if (closed && !ended) ::poll(nullptr, 0, 1);
        return ended.has_value();
    }

  private:
    Pipe output_;
    Pipe errors_;
    ChildProcess process_;
};

CommandOutcome run(const std::vector<std::string>& command, Started started, double timeout_seconds,
                   const std::stop_token& cancelled) {
    const auto start = Clock::now();
    const auto too_long = [&] {
        return std::chrono::duration<double>(Clock::now() - start).count() > timeout_seconds;
    };
    CommandOutcome outcome;
    Program program(command, started);
    do {
        if (cancelled.stop_requested())
            outcome.end = CommandOutcome::End::cancelled;
        else if (too_long())
            outcome.end = CommandOutcome::End::timed_out;
    } while (outcome.end == CommandOutcome::End::exited && !program.step(outcome));
    return outcome;
}

} // namespace

CommandOutcome run_command(const std::vector<std::string>& command, double timeout_seconds,
                           const std::stop_token& cancelled) {
    return run(command, Started::inside, timeout_seconds, cancelled);
}

CommandOutcome run_job_command(const std::vector<std::string>& command, double timeout_seconds) {
    return run(command, Started::job, timeout_seconds, {});
}

} // namespace hdap::core
