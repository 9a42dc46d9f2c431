// An ablation as a job array: cells that fail do not hold up the others, and only what is missing
// is submitted again.
#include "slurm/cluster.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <fstream>

using namespace hdap::test;
namespace fs = std::filesystem;

namespace {

/// Three cells, the third with weights that are not there yet.
void write_plan(const TinyStudy& study) {
    const auto cell = [&](int seed, const std::string& weights) {
        return "[" + std::to_string(seed) + ", \"" + (study / weights).string() + "\"]";
    };
    std::ofstream(study / "plan.toml")
        << "[ablation]\nname = \"tiny\"\nbase = \"tiny.toml\"\n[[axis]]\n"
        << "name = \"seed\"\nkeys = [\"study.seed\", \"network.weights\"]\n"
        << "values = [" << cell(1, "weights.h5") << ", " << cell(2, "weights.h5") << ", "
        << cell(3, "late.h5") << "]\n";
}

/// `hdap ablate COMMAND` on the plan of the study.
Outcome ablate(const Cluster& cluster, const TinyStudy& study, const std::string& command,
               const Arguments& more = {}) {
    Arguments all{hdap_program(),      "ablate", command,
                  study / "plan.toml", "--out",  (study / "ablation").string()};
    all.insert(all.end(), more.begin(), more.end());
    Outcome outcome = cluster.call(all);
    INFO(outcome.errors);
    REQUIRE(outcome.exit_code == 0);
    return outcome;
}

/// What `hdap ablate submit` says.
std::string submit(const Cluster& cluster, const TinyStudy& study, const Arguments& more = {}) {
    Arguments options{"--template", slurm_file("ablation.sbatch"), "--sbatch",
                      "--cpus-per-task=1 --time=10"};
    options.insert(options.end(), more.begin(), more.end());
    return ablate(cluster, study, "submit", options).output;
}

/// Submits what is missing and returns the number of the job array.
std::string submit_array(Cluster& cluster, const TinyStudy& study, const Arguments& more = {}) {
    const std::string said = submit(cluster, study, more);
    const std::string before_job = "submitted job ";
    REQUIRE_THAT(said, Catch::StartsWith(before_job));
    const std::string job = said.substr(before_job.size(), said.find(':') - before_job.size());
    cluster.adopt({job});
    return job;
}

} // namespace

TEST_CASE("an array with a cell that fails completes the others, and the cell when it is submitted "
          "again and collected") {
    const TinyStudy study;
    Cluster cluster(study);
    write_plan(study);
    const std::string array = submit_array(cluster, study);
    CHECK_THAT(submit(cluster, study, {"--dry-run"}), Catch::StartsWith("nothing to submit"));
    for (const std::string task : {"_1", "_2"})
        CHECK(cluster.wait(array + task).state == "COMPLETED");
    const JobState failed = cluster.wait(array + "_3");
    CHECK(failed.state == "FAILED");
    const std::string status = ablate(cluster, study, "status").output;
    CHECK_THAT(status, Catch::Contains("complete  2") && Catch::Contains("failed    1") &&
                           Catch::Contains("late.h5"));

    fs::copy(study / "weights.h5", study / "late.h5");
    const std::string again = submit_array(cluster, study, {"--retry-failed"});
    CHECK(cluster.wait(again + "_1").state == "COMPLETED");
    CHECK_THAT(ablate(cluster, study, "status").output, Catch::Contains("complete  3"));
    (void)ablate(cluster, study, "collect");
    const std::string cells = text_of(study / "ablation" / "cells.csv");
    CHECK(std::count(cells.begin(), cells.end(), '\n') == 4);
}

TEST_CASE("more tasks than the cluster takes in an array become several arrays") {
    const TinyStudy study;
    const Cluster cluster(study);
    std::ofstream(study / "plan.toml") << "[ablation]\nname = \"long\"\nbase = \"tiny.toml\"\n"
                                       << "[[axis]]\nkey = \"study.seed\"\nseeds = 1002\n";
    const std::string commands = submit(cluster, study, {"--dry-run"}); // MaxArraySize is 1001
    CHECK_THAT(commands, Catch::Contains("--array=1-1000%8") && Catch::Contains("--array=1-2%8") &&
                             Catch::Contains("--dependency=afterany:"));
}
