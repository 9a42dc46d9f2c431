// SIGTERM and SIGUSR2 end a job with a checkpoint and exit code 75, SIGUSR1 asks for a
// checkpoint; whichever rank they reach.
#include "end_to_end/interruption.hpp"
#include "end_to_end/run_comparison.hpp"
#include "end_to_end/tiny_study.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <csignal>

using namespace hdap::test;
using Lines = std::vector<std::string>;

namespace {

/// Long enough to be met by a signal.
const Arguments longer{"--set", "search.generations=40"};
/// The same, with no checkpoints but the last one and those that are asked for.
const Arguments without_timer{"--set", "search.generations=40", "--set",
                              "run.checkpoint_seconds=3600"};

using Send = std::function<void(const Process&)>;

/// Sends `number` to ranks [first, last).
Send to_ranks(int number, std::size_t first, std::size_t last) {
    return [=](const Process& job) {
        const auto ranks = job.running(hdap_program());
        for (std::size_t i = first; i < std::min(last, ranks.size()); ++i)
            ::kill(ranks[i], number);
    };
}

Send to_job(int number) {
    return [=](const Process& job) { job.signal(number); };
}

struct Signal {
    std::string name;
    int ranks;
    Send send;
};

void check_stopped(const TinyStudy& study, const Outcome& outcome) {
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 75);
    CHECK_THAT(outcome.errors, Catch::Contains("run the same command again to go on"));
    CHECK_THAT(outcome.errors, !Catch::Contains("error"));
    CHECK_FALSE(std::filesystem::exists(study / "run/run.lock"));
    CHECK_NOTHROW(is_complete_search(study / "run/search.h5"));
}

/// A run that gets a signal when its search begins, and goes on. A search that was complete before
/// the signal could reach it proves nothing, so it is begun anew.
Outcome asked_run(const TinyStudy& study, const Signal& signal) {
    constexpr int attempts = 3;
    Outcome outcome;
    for (int i = 0; i < attempts; ++i) {
        std::filesystem::remove_all(study / signal.name);
        Process job = study.start_run({.ranks = signal.ranks}, signal.name, without_timer);
        job.wait_until([&] { return job.errors().find("surrogates: ") != std::string::npos; });
        signal.send(job);
        outcome = job.wait();
        if (std::filesystem::exists(study / signal.name / "search.prev.h5")) break;
    }
    return outcome;
}

} // namespace

TEST_CASE("signals to stop end the job with 75 and a checkpoint, and the same command completes "
          "the study",
          "[mpi]") {
    const TinyStudy study;
    REQUIRE(study.run({.ranks = 2}, "undisturbed", longer).exit_code == 0);
    for (const Signal& signal :
         {Signal{"SIGTERM to all ranks", 2, to_ranks(SIGTERM, 0, 2)},
          Signal{"SIGTERM to one that is not the root", 2, to_ranks(SIGTERM, 1, 2)},
          // The second one cuts short what is being evaluated.
          Signal{"SIGUSR2, then SIGTERM", 2,
                 [](const Process& job) {
                     to_ranks(SIGUSR2, 0, 2)(job);
                     to_ranks(SIGTERM, 0, 2)(job);
                 }},
          // What mpirun hands on to its ranks.
          Signal{"SIGUSR2 to mpirun", 2, to_job(SIGUSR2)},
          Signal{"SIGTERM without mpirun", 0, to_job(SIGTERM)}}) {
        INFO(signal.name);
        check_stopped(study,
                      interrupted_run(study, {.ranks = signal.ranks}, "run", longer, signal.send));
    }
    // mpirun hands SIGTERM on, too, but then ends with a code of its own.
    const Outcome outcome = interrupted_run(study, {.ranks = 2}, "run", longer, to_job(SIGTERM));
    CHECK(outcome.exit_code != 0);

    const Outcome continued = study.run({.ranks = 2}, "run", longer);
    INFO(continued.errors);
    CHECK(continued.exit_code == 0);
    CHECK(differences(study / "undisturbed", study / "run") == Lines{});
}

TEST_CASE("SIGUSR1 to any rank, or to mpirun, writes a checkpoint and the job goes on", "[mpi]") {
    const TinyStudy study;
    REQUIRE(study.run({.ranks = 2}, "undisturbed", without_timer).exit_code == 0);
    // The last state is the first that is written then, so there is no previous one.
    CHECK_FALSE(std::filesystem::exists(study / "undisturbed" / "search.prev.h5"));
    for (const Signal& signal :
         {Signal{"mpirun", 2, to_job(SIGUSR1)}, Signal{"other", 2, to_ranks(SIGUSR1, 1, 2)}}) {
        INFO(signal.name);
        const Outcome outcome = asked_run(study, signal);
        INFO(outcome.errors);
        REQUIRE(outcome.exit_code == 0);
        const auto previous = study / signal.name / "search.prev.h5";
        REQUIRE(std::filesystem::exists(previous));
        CHECK_FALSE(is_complete_search(previous));
        CHECK(differences(study / "undisturbed", study / signal.name) == Lines{});
    }
}
