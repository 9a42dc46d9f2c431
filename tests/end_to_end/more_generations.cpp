// What shapes a study and what does not: a longer search goes on, a timeout changes nothing.
#include "end_to_end/run_comparison.hpp"
#include "end_to_end/tiny_study.hpp"

#include <catch2/catch.hpp>

using namespace hdap::test;

namespace {

Arguments generations(int count) {
    return {"--set", "search.generations=" + std::to_string(count)};
}

} // namespace

TEST_CASE("more generations for a complete study give the bits of a study that was longer from the "
          "start, and keep what the shorter one came to",
          "[mpi]") {
    const TinyStudy study;
    REQUIRE(study.run({.ranks = 2}, "run", generations(2)).exit_code == 0);
    const std::string front = text_of(study / "run/front.csv");
    const Outcome longer = study.run({.ranks = 3}, "run", generations(5));
    INFO(longer.errors);
    REQUIRE(longer.exit_code == 0);
    CHECK_THAT(longer.errors, Catch::Contains("continuing after generation 2"));
    REQUIRE(study.run({.ranks = 0, .threads = 2}, "fresh", generations(5)).exit_code == 0);
    CHECK(differences(study / "fresh", study / "run") == std::vector<std::string>{});
    CHECK(text_of(study / "run/generations-2/front.csv") == front);
    CHECK(std::filesystem::exists(study / "run/generations-2/results.h5"));
    CHECK_THAT(text_of(study / "run/config.toml"), Catch::Contains("generations = 5"));
    const Outcome again = study.run({.ranks = 2}, "run", generations(5));
    INFO(again.errors);
    CHECK(again.exit_code == 0);
}

TEST_CASE("fewer generations than a search has done are refused, and nothing is touched", "[mpi]") {
    const TinyStudy study;
    REQUIRE(study.run({.ranks = 2}, "run", generations(4)).exit_code == 0);
    const std::string before = file_listing(study / "run");
    const Outcome shorter = study.run({.ranks = 2}, "run", generations(3));
    INFO(shorter.errors);
    CHECK(shorter.exit_code == 2);
    CHECK_THAT(shorter.errors, Catch::Contains("has done 4 generations already") &&
                                   Catch::Contains("search.generations = 3"));
    CHECK(file_listing(study / "run") == before);
}

TEST_CASE("a search by ncs is not lengthened, and nothing is touched", "[mpi]") {
    const TinyStudy study;
    const auto ncs = [](int count) {
        Arguments arguments = generations(count);
        arguments.insert(arguments.end(), {"--set", "search.algorithm=ncs", "--set",
                                           "search.objectives=[\"latency.mean\"]", "--set",
                                           "finetune.candidates=0"});
        return arguments;
    };
    REQUIRE(study.run({.ranks = 2}, "run", ncs(2)).exit_code == 0);
    const std::string before = file_listing(study / "run");
    const Outcome longer = study.run({.ranks = 2}, "run", ncs(5));
    INFO(longer.errors);
    CHECK(longer.exit_code == 2);
    CHECK_THAT(longer.errors, Catch::Contains("search.generations = 2, and now it is 5") &&
                                  Catch::Contains("--out"));
    CHECK(file_listing(study / "run") == before);
}

TEST_CASE("a study can be lengthened, shortened to what it had done, and lengthened again",
          "[mpi]") {
    const TinyStudy study;
    REQUIRE(study.run({.ranks = 2}, "run", generations(1)).exit_code == 0);
    REQUIRE(study.run({.ranks = 2}, "fresh", generations(3)).exit_code == 0);
    // As a job that was lengthened and stopped before its first new generation leaves it.
    for (const char* product : {"networks", "results.h5", "front.csv", "report.html"})
        std::filesystem::rename(study / "run" / product, study / (std::string("gone-") + product));
    REQUIRE(study.run({.ranks = 2}, "run", generations(1)).exit_code == 0);
    std::filesystem::create_directory(study / "run/generations-1");
    const Outcome longer = study.run({.ranks = 2}, "run", generations(3));
    INFO(longer.errors);
    REQUIRE(longer.exit_code == 0);
    CHECK(differences(study / "fresh", study / "run") == std::vector<std::string>{});
    CHECK(std::filesystem::exists(study / "run/generations-1.2/front.csv"));
}

TEST_CASE("a damaged checkpoint does not keep a study from being lengthened", "[mpi]") {
    const TinyStudy study;
    REQUIRE(study.run({.ranks = 2}, "run", generations(2)).exit_code == 0);
    REQUIRE(study.run({.ranks = 2}, "fresh", generations(4)).exit_code == 0);
    std::filesystem::resize_file(study / "run/search.h5", 1000);
    const Outcome longer = study.run({.ranks = 2}, "run", generations(4));
    INFO(longer.errors);
    REQUIRE(longer.exit_code == 0);
    CHECK(differences(study / "fresh", study / "run") == std::vector<std::string>{});
    CHECK(std::filesystem::exists(study / "run/generations-2/front.csv"));
}

TEST_CASE("what shapes no result makes a run directory no other configuration's", "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const Arguments command{"--set", "accuracy.command=\": {network}; echo 0.5\"", "--set",
                            "finetune.candidates=0"};
    REQUIRE(study.run({.ranks = 2}, "run", command).exit_code == 0);
    Arguments other = command;
    for (const char* setting : {"accuracy.timeout_seconds=7", "accuracy.retries=3",
                                "run.checkpoint_seconds=9", "study.name=renamed"})
        other.insert(other.end(), {"--set", setting});
    const std::string before = text_of(study / "run/front.csv");
    const Outcome again = study.run({.ranks = 2}, "run", other);
    INFO(again.errors);
    CHECK(again.exit_code == 0);
    CHECK_THAT(again.errors, !Catch::Contains("evaluations"));
    CHECK(text_of(study / "run/front.csv") == before);
}
