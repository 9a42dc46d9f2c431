// A job that is killed at any moment, without a warning, loses no more than the time since its
// last checkpoint, and nothing of its result.
#include "end_to_end/interruption.hpp"
#include "end_to_end/run_comparison.hpp"
#include "end_to_end/tiny_study.hpp"
#include "hdap/core/random.hpp"

#include <catch2/catch.hpp>

#include <csignal>

using namespace hdap;
using namespace hdap::test;
using Clock = std::chrono::steady_clock;
using Lines = std::vector<std::string>;

namespace {

const Arguments longer{"--set", "search.generations=8"};

} // namespace

TEST_CASE("a job that is killed again and again, all of it or one rank, and goes on with other "
          "numbers of ranks, ends in the undisturbed result",
          "[mpi]") {
    const TinyStudy study;
    const auto start = Clock::now();
    REQUIRE(study.run({.ranks = 2}, "undisturbed", longer).exit_code == 0);
    const std::chrono::duration<double> undisturbed = Clock::now() - start;

    // A rank that is lost takes its job with it.
    for (const std::size_t victim : {std::size_t{0}, std::size_t{1}}) {
        const Outcome outcome =
            interrupted_run(study, {.ranks = 2}, "killed-0", longer, [&](const Process& job) {
                const auto ranks = job.running(hdap_program());
                if (victim < ranks.size()) ::kill(ranks[victim], SIGKILL);
            });
        INFO(outcome.errors);
        CHECK(outcome.exit_code == 128 + SIGKILL);
    }
    // All ranks at a random moment. When a study completes before that, the next one begins.
    constexpr int wanted_kills = 5;
    core::RandomStream random(1, core::StreamId::testing);
    int kills = 0;
    int studies = 0;
    for (int calls = 0; kills < wanted_kills || studies == 0; ++calls) {
        REQUIRE(calls < 40);
        const std::string name = "killed-" + std::to_string(studies);
        Process job = study.start_run({.ranks = 1 + calls % 4}, name, longer);
        const auto life = kills < wanted_kills ? random.uniform() * undisturbed : 10 * undisturbed;
        const auto end = Clock::now() + life;
        if (job.wait_until([&] { return Clock::now() > end; })) {
            job.kill_all();
            ++kills;
            continue;
        }
        const Outcome outcome = job.wait();
        INFO(outcome.errors);
        REQUIRE(outcome.exit_code == 0);
        CHECK(differences(study / "undisturbed", study / name) == Lines{});
        CHECK_THAT(file_listing(study / name), !Catch::Contains(".tmp."));
        ++studies;
    }
}
