#include "cell_end.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fstream>
#include <string_view>

namespace hdap::ablation {
namespace {

/// What a program said at its end.
struct LastWords {
    std::string error; ///< its last error message, or what it waits for
    std::string line;  ///< its last line that is not blank
};

LastWords last_words(const std::filesystem::path& log, std::uintmax_t begin) {
    constexpr std::uintmax_t most_bytes = 1U << 16U;
    constexpr std::size_t most_characters = 500;
    constexpr std::string_view error = "hdap: error: ";
    constexpr std::string_view waiting = "hdap: waiting for ";
    std::error_code missing;
    const std::uintmax_t size = std::filesystem::file_size(log, missing);
    if (missing) return {};
    std::ifstream stream(log, std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(std::max(begin, size - std::min(size, most_bytes))));
    LastWords words;
    for (std::string line; std::getline(stream, line);) {
        if (line.starts_with(error)) words.error = line.substr(error.size(), most_characters);
        if (line.starts_with(waiting))
            words.error = line.substr(waiting.find("waiting"), most_characters);
        if (line.find_first_not_of(" \t\r") != std::string::npos)
            words.line = line.substr(0, most_characters);
    }
    return words;
}

/// Programs may choose numbers above 128 themselves: not each is a signal's.
std::optional<int> signal_of(int exit_code) {
    const int signal = exit_code - 128;
    return signal >= 1 && signal < NSIG ? std::optional(signal) : std::nullopt;
}

std::string signal_text(int signal, bool memory_ran_out) {
    if (signal == SIGKILL && memory_ran_out)
        return "killed by the kernel for want of memory (signal 9): give it more, or use fewer "
               "workers, threads or ranks";
    const char* const hint = signal == SIGKILL ? ", often for want of memory" : "";
    return fmt::format("ended by signal {} ({}){}", signal, ::strsignal(signal), hint);
}

} // namespace

std::optional<std::uint64_t> kills_for_memory() {
    std::ifstream counters("/proc/vmstat");
    std::string name;
    for (std::uint64_t count = 0; counters >> name >> count;)
        if (name == "oom_kill") return count;
    return std::nullopt;
}

std::string reason_of_end(int exit_code, const std::filesystem::path& log, std::uintmax_t log_begin,
                          bool memory_ran_out) {
    const LastWords words = last_words(log, log_begin);
    if (const auto signal = signal_of(exit_code)) {
        const std::string text = signal_text(*signal, memory_ran_out);
        return words.line.empty() ? text : fmt::format("{}; its log ends: {}", text, words.line);
    }
    if (!words.error.empty()) return words.error;
    return words.line.empty() ? "no message" : words.line;
}

} // namespace hdap::ablation
