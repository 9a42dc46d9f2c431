#include "hdap/core/command.hpp"

#include "hdap/core/child_process.hpp"
#include "hdap/core/descriptor.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <string_view>
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

std::string shell_word(const std::string& text) {
    std::string result = "'";
    for (const char c : text)
        result += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return result + "'";
}

std::string with_text(std::string command, const std::string& placeholder,
                      const std::string& text) {
    for (std::size_t at = command.find(placeholder); at != std::string::npos;
         at = command.find(placeholder, at + text.size()))
        command.replace(at, placeholder.size(), text);
    return command;
}

std::string with_word(std::string command, const std::string& placeholder,
                      const std::string& value) {
    return with_text(std::move(command), placeholder, shell_word(value));
}

std::string last_line(const std::string& text) {
    constexpr const char* blanks = " \t\r\n";
    const std::size_t last = text.find_last_not_of(blanks);
    if (last == std::string::npos) return "";
    const std::size_t before = text.find_last_of('\n', last);
    const std::size_t first =
        text.find_first_not_of(blanks, before == std::string::npos ? 0 : before);
    return text.substr(first, last - first + 1);
}

std::string quotable(const std::string& line) {
    constexpr std::size_t most_bytes = 200;
    std::string text;
    for (std::size_t at = 0; at < line.size() && text.size() < most_bytes;) {
        const std::size_t length = character_bytes(std::string_view(line).substr(at));
        text += length == 0 ? "?" : line.substr(at, length);
        at += std::max<std::size_t>(length, 1);
    }
    return printable(text);
}

std::string printed_by(const CommandOutcome& outcome) {
    constexpr std::size_t most = 64U << 10U;
    const std::string& output = outcome.output;
    const std::size_t skipped = output.size() - std::min(output.size(), most);
    return fmt::format("stdout:{}\n{}\nstderr:\n{}\n",
                       skipped == 0 ? "" : fmt::format(" (without its first {} bytes)", skipped),
                       output.substr(skipped), outcome.errors);
}

} // namespace hdap::core
