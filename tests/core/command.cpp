#include "hdap/core/command.hpp"

#include <catch2/catch.hpp>

#include <chrono>

using hdap::core::CommandOutcome;
using hdap::core::run_command;

namespace {

CommandOutcome shell(const std::string& text) {
    return run_command({"/bin/sh", "-c", text});
}

} // namespace

TEST_CASE("a command's exit code, output and errors come back apart") {
    const CommandOutcome outcome = shell("echo out; echo err >&2; exit 5");
    CHECK(outcome.end == CommandOutcome::End::exited);
    CHECK(outcome.exit_code == 5);
    CHECK(outcome.output == "out\n");
    CHECK(outcome.errors == "err\n");
    CHECK(shell("kill -TERM $$").exit_code == 128 + 15);
    CHECK(run_command({"no-such-program-of-hdap"}).exit_code == 127);
}

TEST_CASE("arguments reach the program as they are, and it has no input") {
    CHECK(run_command({"printf", "%s|", "a b", "'$HOME'", ""}).output == "a b|'$HOME'||");
    CHECK(shell("cat").output.empty());
}

TEST_CASE("of much output the end is kept, and neither stream can block the other") {
    const CommandOutcome outcome =
        shell("yes error | head -c 1000000 >&2; yes | head -c 40000000; echo last");
    CHECK(outcome.exit_code == 0);
    CHECK(outcome.output.ends_with("y\nlast\n"));
    CHECK(outcome.output.size() >= 16U << 20U);
    CHECK(outcome.output.size() <= 33U << 20U);
    CHECK(outcome.errors.size() <= 16U << 10U);
}

TEST_CASE("what a command leaves running in the background neither holds it up nor outlives it") {
    const auto start = std::chrono::steady_clock::now();
    const CommandOutcome outcome = shell("sleep 600 & echo $!");
    CHECK(outcome.exit_code == 0);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(60));
    const std::string state =
        "/proc/" + outcome.output.substr(0, outcome.output.find('\n')) + "/stat";
    // Killed, it is gone, or a zombie until init looks.
    CHECK(shell("for i in $(seq 600); do [ -e " + state + " ] && grep -vq ') [ZX] ' " + state +
                " || exit 0; sleep 0.05; done; exit 1")
              .exit_code == 0);
}

TEST_CASE("a command that takes too long is killed") {
    const CommandOutcome outcome = run_command({"sleep", "600"}, 0.1);
    CHECK(outcome.end == CommandOutcome::End::timed_out);
}
