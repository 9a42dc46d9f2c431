#include "hdap/core/log.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/provenance.hpp"

#include <fmt/core.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string_view>
#include <unistd.h>

namespace hdap::core {

std::string json_string(const std::string& text) {
    std::string result = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            result += {'\\', c};
        } else if (static_cast<unsigned char>(c) < 0x20) {
            std::array<char, 8> escape{};
            std::snprintf(escape.data(), escape.size(), "\\u%04x", c);
            result += escape.data();
        } else {
            result += c;
        }
    }
    return result + "\"";
}

struct Log::State {
    Options options;
    std::mutex mutex;
    std::shared_ptr<spdlog::logger> file;
    std::string status;
    bool status_shown = false;
    std::chrono::steady_clock::time_point last_status{};

    void erase_status_line() const {
        if (options.terminal && status_shown) std::fputs("\r\033[K", stderr);
    }
    void draw_status_line() const {
        if (options.terminal && status_shown) std::fputs(status.c_str(), stderr);
    }

    void write(std::string_view level, std::string_view prefix, const std::string& message,
               bool print) {
        const std::lock_guard lock(mutex);
        if (print) {
            erase_status_line();
            std::fprintf(stderr, "%.*s%s\n", static_cast<int>(prefix.size()), prefix.data(),
                         message.c_str());
            draw_status_line();
            std::fflush(stderr);
        }
        if (file)
            file->info("{{\"time\":\"{}\",\"level\":\"{}\",\"message\":{}}}", utc_now(), level,
                       json_string(message));
    }
};

Log::Log(const Options& options) : state_(std::make_unique<State>()) {
    state_->options = options;
}
Log::~Log() {
    if (state_) clear_status();
}
Log::Log(Log&&) noexcept = default;
Log& Log::operator=(Log&&) noexcept = default;

bool Log::stderr_is_terminal() {
    const char* kind = std::getenv("TERM");
    return isatty(STDERR_FILENO) == 1 && kind != nullptr && std::string_view(kind) != "dumb";
}

void Log::open_file(const std::filesystem::path& path) {
    try {
        auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path.string(), false);
        sink->set_pattern("%v");
        state_->file = std::make_shared<spdlog::logger>("file", std::move(sink));
        state_->file->flush_on(spdlog::level::info);
        // A full disk must not stop a search: the checkpoint reports that.
        state_->file->set_error_handler([](const std::string&) {});
    } catch (const spdlog::spdlog_ex& error) {
        throw DataError(fmt::format("cannot open the log {}: {}", path.string(), error.what()));
    }
}

void Log::info(const std::string& message) {
    state_->write("info", "", message, !state_->options.quiet);
}

void Log::warning(const std::string& message) {
    state_->write("warning", "warning: ", message, !state_->options.quiet);
}

void Log::error(const std::string& message) {
    state_->write("error", "error: ", message, true);
}

void Log::status(const std::string& text) {
    if (state_->options.quiet) return;
    const std::lock_guard lock(state_->mutex);
    if (state_->options.terminal) {
        state_->erase_status_line();
        state_->status = text;
        state_->status_shown = true;
        state_->draw_status_line();
        std::fflush(stderr);
        return;
    }
    state_->status = text;
    state_->status_shown = false;
    const auto now = std::chrono::steady_clock::now();
    if (now - state_->last_status < state_->options.status_interval) return;
    state_->last_status = now;
    state_->status_shown = true;
    std::fprintf(stderr, "%s\n", text.c_str());
    std::fflush(stderr);
}

void Log::clear_status() {
    const std::lock_guard lock(state_->mutex);
    if (state_->options.terminal)
        state_->erase_status_line();
    else if (!state_->status.empty() && !state_->status_shown && !state_->options.quiet)
        std::fprintf(stderr, "%s\n", state_->status.c_str());
    std::fflush(stderr);
    state_->status.clear();
    state_->status_shown = false;
}

} // namespace hdap::core
