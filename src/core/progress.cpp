#include "hdap/core/progress.hpp"

#include "hdap/core/text.hpp"

#include <fmt/core.h>

namespace hdap::core {

std::string progress_line(const ProgressState& state, std::int64_t already_done,
                          double elapsed_seconds) {
    std::string line = state.stage;
    if (!state.position.empty()) line += "  " + state.position;
    line += "  " + std::to_string(state.done);
    if (state.total > 0) line += "/" + std::to_string(state.total);
    line += " " + state.unit;
    const auto here = static_cast<double>(state.done - already_done);
    if (here > 0.0 && elapsed_seconds > 0.0) {
        const double rate = here / elapsed_seconds;
        line += fmt::format("  {}/s", significant(rate, 3));
        if (!state.detail.empty()) line += "  " + state.detail;
        if (state.total > 0)
            line += "  ETA " + duration_text(static_cast<double>(state.total - state.done) / rate);
    } else if (!state.detail.empty()) {
        line += "  " + state.detail;
    }
    return line;
}

Progress::Progress(Log& log, std::int64_t already_done)
    : log_(log), already_done_(already_done), start_(std::chrono::steady_clock::now()) {}

Progress::~Progress() {
    log_.clear_status();
}

void Progress::show(const ProgressState& state) {
    using namespace std::chrono_literals;
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < 100ms && state.done != state.total) return;
    last_ = now;
    log_.status(
        progress_line(state, already_done_, std::chrono::duration<double>(now - start_).count()));
}

} // namespace hdap::core
