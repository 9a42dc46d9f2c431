#include "hdap/parallel/run_control.hpp"

#include <catch2/catch.hpp>

#include <csignal>

using hdap::parallel::RunControl;

TEST_CASE("USR1 asks for a checkpoint once and does not stop") {
    RunControl control;
    CHECK_FALSE(control.take_checkpoint_request());
    std::raise(SIGUSR1);
    CHECK(control.take_checkpoint_request());
    CHECK_FALSE(control.take_checkpoint_request());
    CHECK_FALSE(control.stop_requested());
}

TEST_CASE("TERM, USR2 and INT each ask to stop") {
    for (const int signal : {SIGTERM, SIGUSR2, SIGINT}) {
        const RunControl control;
        CHECK_FALSE(control.stop_requested());
        std::raise(signal);
        CHECK(control.stop_requested());
        CHECK_FALSE(control.stop_now_requested());
    }
}

TEST_CASE("a second request to stop asks to stop now, of whichever signals") {
    const RunControl control;
    std::raise(SIGUSR2);
    CHECK_FALSE(control.stop_now_requested());
    std::raise(SIGUSR1);
    CHECK_FALSE(control.stop_now_requested());
    std::raise(SIGTERM);
    CHECK(control.stop_now_requested());
}

TEST_CASE("a job whose time is nearly over stops as if it was asked to") {
    using hdap::parallel::Walltime;
    using namespace std::chrono_literals;
    const auto now = Walltime::Clock::now();
    CHECK_FALSE(RunControl(Walltime(now, 1h)).stop_requested());
    const RunControl late(Walltime(now - 1h, 1h));
    CHECK(late.stop_requested());
    CHECK_FALSE(late.stop_now_requested());
}
