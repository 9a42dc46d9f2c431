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
    }
}
