#include "hdap/parallel/run_control.hpp"

#include <csignal>
#include <initializer_list>

namespace hdap::parallel {
namespace {

/// A signal handler can reach nothing but objects of static storage duration.
volatile std::sig_atomic_t stop_signals = 0;
volatile std::sig_atomic_t checkpoint_signal = 0;

void on_stop(int /*signal*/) {
    if (stop_signals < 2) stop_signals = stop_signals + 1;
}

void on_checkpoint(int /*signal*/) {
    checkpoint_signal = 1;
}

void install(int signal, void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(signal, &action, nullptr);
}

} // namespace

RunControl::RunControl(Walltime walltime) : walltime_(walltime) {
    stop_signals = 0;
    checkpoint_signal = 0;
    for (const int signal : {SIGTERM, SIGUSR2, SIGINT})
        install(signal, on_stop);
    install(SIGUSR1, on_checkpoint);
}

RunControl::~RunControl() {
    for (const int signal : {SIGTERM, SIGUSR2, SIGINT, SIGUSR1})
        install(signal, SIG_DFL);
}

bool RunControl::stop_requested() const noexcept {
    return stop_signals > 0 || walltime_.is_near(Walltime::Clock::now());
}

bool RunControl::stop_now_requested() const noexcept {
    return stop_signals > 1;
}

bool RunControl::take_checkpoint_request() noexcept {
    const bool requested = checkpoint_signal != 0;
    checkpoint_signal = 0;
    return requested;
}

} // namespace hdap::parallel
