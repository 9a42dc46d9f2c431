// A study of several rounds that Slurm puts back into the queue.
#include "end_to_end/run_comparison.hpp"
#include "slurm/cluster.hpp"

#include <catch2/catch.hpp>

using namespace hdap::test;
using Lines = std::vector<std::string>;
namespace fs = std::filesystem;

TEST_CASE("a study of rounds that is requeued in its second round ends in the undisturbed result") {
    const Arguments rounds{"--set", "study.rounds=2",
                           "--set", "search.max_step=0.3",
                           "--set", "search.generations=20",
                           "--set", "finetune.candidates=0",
                           "--set", R"(search.constraints=["accuracy_drop <= 0.5"])"};
    const TinyStudy study;
    Cluster cluster(study);
    const std::string job = cluster.submit_search(2, "run", rounds, {{"HDAP_REQUEUE", "1"}});
    INFO(cluster.log(job));
    REQUIRE(cluster.wait_until(job, [&] { return fs::exists(study / "run/round-02/search.h5"); }));
    REQUIRE(cluster.call({"scontrol", "requeue", job}).exit_code == 0);
    Process undisturbed = study.start_run({.ranks = 0}, "undisturbed", rounds);
    const JobState end = cluster.wait(job);
    CHECK(end.state == "COMPLETED");
    CHECK(end.restarts == 1);
    REQUIRE(undisturbed.wait().exit_code == 0);
    CHECK(differences(study / "undisturbed", study / "run") == Lines{});
}
