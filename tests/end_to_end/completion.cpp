// What happens when a study is complete, or another job works on it.
#include "end_to_end/run_comparison.hpp"
#include "end_to_end/tiny_study.hpp"
#include "hdap/study/attempts.hpp"

#include <catch2/catch.hpp>

#include <csignal>

using namespace hdap::test;

TEST_CASE("a second call says that the study is complete and changes no file but the logs",
          "[mpi]") {
    const TinyStudy study;
    REQUIRE(study.run({.ranks = 2}, "run").exit_code == 0);
    const std::string before = file_listing(study / "run");
    const auto log_size = std::filesystem::file_size(study / "run" / "log.jsonl");
    const Outcome again = study.run({.ranks = 3}, "run");
    INFO(again.errors);
    CHECK(again.exit_code == 0);
    CHECK_THAT(again.output, Catch::Contains("study tiny is complete"));
    CHECK(file_listing(study / "run") == before);
    CHECK(std::filesystem::file_size(study / "run" / "log.jsonl") > log_size);
    const auto attempts = hdap::study::read_attempts(study / "run");
    REQUIRE(attempts.size() == 2);
    CHECK(attempts[0].exit_code == 0);
    CHECK(attempts[1].exit_code == 0);
    CHECK(attempts[0].ranks == 2);
    CHECK(attempts[1].progress_start == attempts[0].progress_end);
}

TEST_CASE("a run directory that another job works in is refused and left as it is", "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    Process first = study.start_run({.ranks = 0}, "run", {"--set", "search.generations=100000"});
    REQUIRE(first.wait_until([&] { return !text_of(study / "run/run.lock").empty(); }));
    const Outcome second = study.run({.ranks = 2}, "run");
    INFO(second.errors);
    CHECK(second.exit_code == 2);
    CHECK_THAT(second.errors, Catch::Contains("is in use by another job (host "));
    first.signal(SIGTERM);
    CHECK(first.wait().exit_code == 75);
}
