// What ends a job by itself: its time, and a lack of progress.
#include "end_to_end/interruption.hpp"
#include "end_to_end/run_comparison.hpp"
#include "end_to_end/tiny_study.hpp"
#include "hdap/study/attempts.hpp"

#include <catch2/catch.hpp>

#include <csignal>

using namespace hdap::test;
using Lines = std::vector<std::string>;

TEST_CASE("a job stops before its time limit with 75, and the same command completes the study",
          "[mpi]") {
    const TinyStudy study;
    const Arguments longer{"--set", "search.generations=40"};
    REQUIRE(study.run({.ranks = 2}, "undisturbed", longer).exit_code == 0);
    Arguments limited = longer;
    // Above, the reserve of one second is all of it: the job stops as soon as it can.
    limited.insert(limited.end(), {"--time-limit", "1s"});
    const Outcome stopped = study.run({.ranks = 2}, "run", limited);
    INFO(stopped.errors);
    CHECK(stopped.exit_code == 75);
    CHECK_THAT(stopped.errors, Catch::Contains("time left for this job"));
    CHECK_THAT(stopped.errors, Catch::Contains("stopped early during the search"));
    CHECK(study.run({.ranks = 2}, "run", longer).exit_code == 0);
    CHECK(differences(study / "undisturbed", study / "run") == Lines{});
}

TEST_CASE("a time limit that cannot be read ends with 2") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const Outcome refused = study.run({.ranks = 0}, "run", {"--time-limit", "soon"});
    CHECK(refused.exit_code == 2);
    CHECK_THAT(refused.errors, Catch::Contains("'soon' is no duration"));
}

TEST_CASE("a study whose attempts bring nothing is given up with 1, and goes on when asked to",
          "[mpi]") {
    const TinyStudy study;
    // A job that is killed as soon as it has begun brings nothing.
    for (std::size_t killed = 1; killed <= 2; ++killed) {
        Process job =
            study.start_run({.ranks = 0}, "run",
                            {"--give-up-after", "2", "--set", "fleet.synthetic.devices=2000000"});
        REQUIRE(job.wait_until(
            [&] { return hdap::study::read_attempts(study / "run").size() == killed; }));
        job.kill_all();
    }
    const Arguments again{"--give-up-after", "2", "--set", "fleet.synthetic.devices=2000000"};
    const Outcome given_up = study.run({.ranks = 2}, "run", again);
    INFO(given_up.errors);
    CHECK(given_up.exit_code == 1);
    CHECK_THAT(given_up.errors, Catch::Contains("the last 2 attempts brought no progress"));
    CHECK_THAT(given_up.errors, Catch::Contains("was killed"));
    CHECK(hdap::study::read_attempts(study / "run").size() == 2);
}
