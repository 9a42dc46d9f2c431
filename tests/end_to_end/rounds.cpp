// Rounds of searching, pruning and fine-tuning: each goes on from what the one before chose, and
// any interruption of any of them ends in the same bits.
#include "end_to_end/file_damage.hpp"
#include "end_to_end/run_comparison.hpp"
#include "end_to_end/tiny_study.hpp"
#include "hdap/storage/hdf5.hpp"
#include "hdap/storage/sealed_file.hpp"

#include <catch2/catch.hpp>

#include <csignal>

using namespace hdap;
using namespace hdap::test;
using Catch::Contains;
using Lines = std::vector<std::string>;
namespace fs = std::filesystem;

namespace {

/// Three rounds, each of which drops at most 30 % of a group's channels.
Arguments rounds(const Arguments& more = {}) {
    Arguments arguments{"--set", "study.rounds=3",
                        "--set", "search.max_step=0.3",
                        "--set", "search.generations=2",
                        "--set", "finetune.candidates=0",
                        "--set", R"(search.constraints=["accuracy_drop <= 0.5"])"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
}

/// What results say that the study began with.
std::string content(const fs::path& results) {
    return storage::Hdf5Reader::from_bytes(storage::read_sealed(results), results.string())
        .attribute_string("/", "content_sha256");
}

std::vector<std::int32_t> chosen(const fs::path& run, int round) {
    const std::string name = "round-0" + std::to_string(round);
    const fs::path file = run / name / "networks" / (name + ".h5");
    return storage::Hdf5Reader::from_bytes(storage::read_sealed(file), file.string())
        .read<std::int32_t>("/genome");
}

} // namespace

TEST_CASE("rounds prune further and further, from each other's networks, with the same bits on any "
          "ranks and threads",
          "[mpi]") {
    const TinyStudy study;
    const Outcome outcome = study.run({.ranks = 2}, "run", rounds());
    INFO(outcome.errors);
    REQUIRE(outcome.exit_code == 0);
    for (int round = 2; round <= 3; ++round) {
        const auto before = chosen(study / "run", round - 1);
        const auto after = chosen(study / "run", round);
        bool smaller = false;
        for (std::size_t g = 0; g < after.size(); ++g) {
            CHECK(after[g] <= before[g]);
            CHECK(after[g] >= 0.7 * before[g] - 0.5);
            smaller = smaller || after[g] < before[g];
        }
        CHECK(smaller);
    }
    for (const char* name : {"front.csv", "results.h5", "report.html"})
        CHECK(text_of(study / "run" / name) == text_of(study / "run/round-03" / name));
    CHECK(content(study / "run/results.h5") == content(study / "run/round-01/results.h5"));
    CHECK_THAT(text_of(study / "run/front.csv"),
               Contains("round-01,round,") && Contains("round-03,round,"));

    REQUIRE(study.run({.ranks = 0, .threads = 2}, "alone", rounds()).exit_code == 0);
    CHECK(differences(study / "run", study / "alone") == Lines{});
    const std::string before = file_listing(study / "run");
    REQUIRE(study.run({.ranks = 3}, "run", rounds()).exit_code == 0);
    CHECK(file_listing(study / "run") == before);
}

TEST_CASE("rounds that are killed or stopped in any stage go on to the undisturbed result",
          "[mpi]") {
    const TinyStudy study;
    REQUIRE(study.run({.ranks = 2}, "undisturbed", rounds()).exit_code == 0);
    // Each file appears at the end of another stage.
    bool kill = false;
    for (const char* last :
         {"fleet.h5", "surrogates.h5", "round-01/search.h5", "round-01/networks/round-01.h5",
          "round-02/search.h5", "round-02/results.h5", "round-03/networks/round-03.h5"}) {
        INFO(last);
        Process job = study.start_run({.ranks = 2}, "killed", rounds());
        kill = !kill;
        if (job.wait_until([&] { return fs::exists(study / "killed" / last); })) {
            if (kill) job.kill_all();
            for (const pid_t rank : job.running(hdap_program()))
                ::kill(rank, SIGTERM);
        }
        const int code = job.wait().exit_code;
        CHECK((code == (kill ? 128 + SIGKILL : 75) || code == 0)); // 0: it was over before
    }
    const Outcome outcome = study.run({.ranks = 3}, "killed", rounds());
    INFO(outcome.errors);
    REQUIRE(outcome.exit_code == 0);
    CHECK(differences(study / "undisturbed", study / "killed") == Lines{});
}

TEST_CASE("a damaged or missing file of an earlier round is made again, with the same bits",
          "[mpi]") {
    const TinyStudy study;
    REQUIRE(study.run({.ranks = 2}, "undisturbed", rounds()).exit_code == 0);
    const auto is_mended = [&](const std::string& what, const auto& damage) {
        INFO(what);
        fs::remove_all(study / "run");
        fs::copy(study / "undisturbed", study / "run", fs::copy_options::recursive);
        damage();
        const Outcome outcome = study.run({.ranks = 2}, "run", rounds());
        INFO(outcome.errors);
        CHECK(outcome.exit_code == 0);
        CHECK(differences(study / "undisturbed", study / "run") == Lines{});
    };
    is_mended("the chosen network",
              [&] { flip_byte(study / "run/round-01/networks/round-01.h5", 0.7); });
    is_mended("a search", [&] { flip_byte(study / "run/round-02/search.h5", 0.5); });
    is_mended("a whole round", [&] { fs::remove_all(study / "run/round-02"); });
    is_mended("the results", [&] { flip_byte(study / "run/results.h5", 0.5); });
}

TEST_CASE("a round that goes on from another network than its files are of ends with 2, and mixes "
          "nothing",
          "[mpi]") {
    const TinyStudy study;
    REQUIRE(study.run({.ranks = 2}, "run", rounds()).exit_code == 0);
    REQUIRE(study.run({.ranks = 2}, "other", rounds({"--set", "study.seed=8"})).exit_code == 0);
    fs::remove_all(study / "run/round-02");
    fs::copy(study / "other/round-02", study / "run/round-02", fs::copy_options::recursive);
    const std::string before = file_listing(study / "run/round-02");
    const Outcome outcome = study.run({.ranks = 2}, "run", rounds());
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 2);
    CHECK_THAT(outcome.errors, Contains("round-02/search.h5") && Contains("was made from other"));
    CHECK(file_listing(study / "run/round-02") == before);
}

TEST_CASE("rounds end where the target is met, and say so", "[mpi]") {
    const TinyStudy study;
    const Outcome outcome =
        study.run({.ranks = 2}, "run", rounds({"--set", "study.target=flops <= 0.8x"}));
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 0);
    CHECK_THAT(outcome.errors, Contains("the target 'flops <= 0.8x' is met"));
    CHECK_FALSE(fs::exists(study / "run/round-03"));
}

TEST_CASE("a target that rounds cannot reach is refused before the first one, with the nearest",
          "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const Outcome outcome =
        study.run({.ranks = 2}, "run", rounds({"--set", "study.target=flops <= 0.01x"}));
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 4);
    CHECK_THAT(outcome.errors, Contains("'flops <= 0.01x' is out of reach") &&
                                   Contains("3 rounds") && Contains("search.max_step = 0.3") &&
                                   Contains("aim at 0."));
    CHECK_FALSE(fs::exists(study / "run/fleet.h5"));
}

TEST_CASE("a target on latencies that rounds cannot reach is refused before the first search",
          "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const Outcome outcome =
        study.run({.ranks = 2}, "run", rounds({"--set", "study.target=latency.mean <= 0.01x"}));
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 4);
    CHECK_THAT(outcome.errors, Contains("'latency.mean <= 0.01x' is out of reach"));
    CHECK(fs::exists(study / "run/surrogates.h5"));
    CHECK_FALSE(fs::exists(study / "run/round-01/search.h5"));
}

TEST_CASE("a target on latencies is not refused by surrogates that know the first round only",
          "[mpi]") {
    const TinyStudy study;
    const Outcome outcome =
        study.run({.ranks = 2}, "run",
                  rounds({"--set", "study.target=latency.mean <= 0.01x", "--set",
                          "profile.every_round=true", "--set", "study.rounds=2"}));
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 4);
    CHECK_THAT(outcome.errors, Contains("the target 'latency.mean <= 0.01x' was not met"));
    CHECK(fs::exists(study / "run/front.csv"));
}

TEST_CASE(
    "a constraint that only later rounds could meet is refused, with the setting that is meant",
    "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const Outcome outcome = study.run(
        {.ranks = 2}, "run",
        rounds({"--set", R"(search.constraints=["accuracy_drop <= 0.5", "flops <= 0.2x"])"}));
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 4);
    CHECK_THAT(outcome.errors, Contains("'flops <= 0.2x' cannot be met in the first of 3 rounds") &&
                                   Contains("study.target"));
    CHECK_FALSE(fs::exists(study / "run/fleet.h5"));
}

TEST_CASE("rounds that ask for more training images than there are end with 2 before any stage",
          "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const Outcome outcome =
        study.run({.ranks = 2}, "run", rounds({"--set", "finetune.images=100000"}));
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 2);
    CHECK_THAT(outcome.errors, Contains("finetune.images ask for 100,200"));
    CHECK_FALSE(fs::exists(study / "run/fleet.h5"));
}

TEST_CASE("a target that is missed ends with 4, and what there is stays", "[mpi]") {
    const TinyStudy study;
    const Outcome outcome =
        study.run({.ranks = 2}, "run",
                  rounds({"--set", "study.target=flops <= 0.3x", "--set", "study.rounds=2", "--set",
                          R"(search.constraints=["accuracy_drop <= 0.5", "flops >= 0"])"}));
    INFO(outcome.errors);
    CHECK(outcome.exit_code != 0);
}

TEST_CASE("a round that can choose nothing smaller ends the rounds with a reason", "[mpi]") {
    const TinyStudy study;
    const Outcome outcome = study.run(
        {.ranks = 2}, "run", rounds({"--set", "search.max_step=0.001", "--set", "study.rounds=2"}));
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 0);
    CHECK_THAT(outcome.errors, Contains("round 1 of 2 chose nothing smaller") &&
                                   Contains("search.max_step = 0.001"));
    CHECK_FALSE(fs::exists(study / "run/round-02"));
}

TEST_CASE("more generations for a study of rounds are another configuration", "[mpi]") {
    const TinyStudy study;
    REQUIRE(study.run({.ranks = 2}, "run", rounds()).exit_code == 0);
    const Outcome outcome =
        study.run({.ranks = 2}, "run", rounds({"--set", "search.generations=3"}));
    CHECK(outcome.exit_code == 2);
    CHECK_THAT(outcome.errors, Contains("search.generations = 2 there, 3 here"));
}

TEST_CASE("every round measures among what it may choose where that is asked for", "[mpi]") {
    const TinyStudy study;
    const Arguments anew = rounds({"--set", "profile.every_round=true", "--set", "study.rounds=2"});
    const Outcome outcome = study.run({.ranks = 2}, "run", anew);
    INFO(outcome.errors);
    REQUIRE(outcome.exit_code == 0);
    CHECK_FALSE(fs::exists(study / "run/profile.h5"));
    CHECK(fs::exists(study / "run/round-02/surrogates.h5"));
    CHECK(text_of(study / "run/round-01/profile.h5") != text_of(study / "run/round-02/profile.h5"));
    REQUIRE(study.run({.ranks = 3}, "again", anew).exit_code == 0);
    CHECK(differences(study / "run", study / "again") == Lines{});
}

TEST_CASE("rounds by a program of the user's go on untrained where there are no images", "[mpi]") {
    const TinyStudy study;
    const std::string network = (study / "network.h5").string();
    REQUIRE(
        study
            .call({.ranks = 0}, {"network", "import", "mobilenet_v1", "--weights",
                                 (study / "weights.h5").string(), "--width", "0.25", "--classes",
                                 "3", "--image-size", "16", "--channels", "1", "--out", network})
            .exit_code == 0);
    const Outcome outcome =
        study.run({.ranks = 2}, "run",
                  rounds({"--set", "network.file=" + network, "--set", "network.weights=", "--set",
                          "data.file=", "--set", R"(accuracy.command="echo 0.9 # {network}")"}));
    INFO(outcome.errors);
    REQUIRE(outcome.exit_code == 0);
    CHECK_THAT(outcome.errors, Contains("fine-tune: nothing, as the study has no images"));
    CHECK_THAT(text_of(study / "run/front.csv"), Contains("round-03,round,"));
    CHECK(chosen(study / "run", 3) != chosen(study / "run", 1));
}
