// The same configuration gives the same bits on any number of ranks and threads.
#include "end_to_end/run_comparison.hpp"
#include "end_to_end/tiny_study.hpp"

#include <catch2/catch.hpp>

using namespace hdap::test;

TEST_CASE("a study has the same bits on 1, 2, 3 and 4 ranks with 1 and 2 threads", "[mpi]") {
    const TinyStudy study;
    const Outcome alone = study.run({.ranks = 0, .threads = 1}, "alone");
    INFO(alone.errors);
    REQUIRE(alone.exit_code == 0);
    CHECK_THAT(alone.output, Catch::Contains("study tiny is complete"));
    for (const auto& [ranks, threads] : {std::pair(2, 2), std::pair(3, 1), std::pair(4, 1)}) {
        const std::string name = std::to_string(ranks) + "x" + std::to_string(threads);
        INFO(name);
        const Outcome outcome = study.run({.ranks = ranks, .threads = threads}, name);
        INFO(outcome.errors);
        REQUIRE(outcome.exit_code == 0);
        CHECK(differences(study / "alone", study / name) == std::vector<std::string>{});
    }
}

TEST_CASE(
    "candidates that are given up early are the same ones on any number of ranks, and after a "
    "kill",
    "[mpi]") {
    const TinyStudy study;
    const Arguments early{"--set", "search.give_up_confidence=0.9", "--set", "data.batch=10",
                          "--set", "search.generations=8"};
    const Outcome alone = study.run({.ranks = 0, .threads = 1}, "alone", early);
    INFO(alone.errors);
    REQUIRE(alone.exit_code == 0);
    CHECK_THAT(alone.errors, Catch::Contains("given up early)"));
    Process job = study.start_run({.ranks = 2}, "killed", early);
    job.wait_until([&] { return std::filesystem::exists(study / "killed/search.h5"); });
    job.kill_all();
    const Outcome killed = study.run({.ranks = 3, .threads = 2}, "killed", early);
    INFO(killed.errors);
    REQUIRE(killed.exit_code == 0);
    CHECK(differences(study / "alone", study / "killed") == std::vector<std::string>{});
}

TEST_CASE("a search by ncs for blocks has the same bits on any number of ranks, and after a kill",
          "[mpi]") {
    const TinyStudy study;
    const Arguments ncs{"--set", "search.algorithm=ncs",
                        "--set", "search.objectives=[\"latency.mean\"]",
                        "--set", "search.constraints=[\"accuracy_drop.relative <= 0.3\"]",
                        "--set", "search.genes=block",
                        "--set", "search.max_step=0.5",
                        "--set", "search.generations=12",
                        "--set", "search.ncs.epoch=2"};
    const Outcome alone = study.run({.ranks = 0, .threads = 1}, "alone", ncs);
    INFO(alone.errors);
    REQUIRE(alone.exit_code == 0);
    Process job = study.start_run({.ranks = 2}, "killed", ncs);
    job.wait_until([&] { return std::filesystem::exists(study / "killed/search.h5"); });
    job.kill_all();
    const Outcome killed = study.run({.ranks = 3, .threads = 2}, "killed", ncs);
    INFO(killed.errors);
    REQUIRE(killed.exit_code == 0);
    CHECK(differences(study / "alone", study / "killed") == std::vector<std::string>{});
}

TEST_CASE("a study that searches in bfloat16 has the same bits on 1 and 3 ranks, or the processor "
          "that lacks it is "
          "named",
          "[mpi]") {
    const TinyStudy study;
    const Arguments bfloat16{"--set", "search.precision=bfloat16"};
    const Outcome alone = study.run({.ranks = 0, .threads = 1}, "alone", bfloat16);
    INFO(alone.errors);
    if (alone.exit_code != 0) {
        CHECK(alone.exit_code == 2);
        CHECK_THAT(alone.errors, Catch::Contains("has no AVX512-BF16; set it to float32"));
        return;
    }
    const Outcome three = study.run({.ranks = 3, .threads = 1}, "three", bfloat16);
    INFO(three.errors);
    REQUIRE(three.exit_code == 0);
    CHECK(differences(study / "alone", study / "three") == std::vector<std::string>{});
}
