// A study that needs more time than a job has: stopped at the end of its time, continued by the
// next link of a chain, and not for ever.
#include "end_to_end/run_comparison.hpp"
#include "slurm/cluster.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <sstream>

using namespace hdap::test;
using Lines = std::vector<std::string>;
namespace fs = std::filesystem;

namespace {

/// Long enough for a job's end to come before the search's.
const Arguments longer{"--set", "search.generations=60"};

/// Submits `links` jobs by slurm/chain.sh and returns their numbers; `program` takes hdap's place.
std::vector<std::string> submit_chain(Cluster& cluster, const TinyStudy& study, int links,
                                      const Arguments& more, const std::string& program) {
    Arguments command{slurm_file("chain.sh"), std::to_string(links), study.config(), "--out",
                      study / "run"};
    command.insert(command.end(), more.begin(), more.end());
    const std::string options = "--nodes=2 --ntasks-per-node=1 --cpus-per-task=1 --time=10 "
                                "--output=" +
                                (study / "%j.log").string();
    const Outcome outcome =
        cluster.call(command, {{"SBATCH_OPTIONS", options}, {"HDAP_PROGRAM", program}});
    INFO(outcome.errors);
    REQUIRE(outcome.exit_code == 0);
    std::vector<std::string> jobs;
    std::istringstream words(outcome.output.substr(outcome.output.find("jobs ") + 5));
    for (std::string job; words >> job;)
        jobs.push_back(job);
    REQUIRE(jobs.size() == static_cast<std::size_t>(links));
    cluster.adopt(jobs);
    return jobs;
}

/// A program that runs hdap and, as long as there is no run directory, gives it little time: half a
/// second, after the second that hdap keeps free for its end.
std::string program_with_little_time_at_first(const TinyStudy& study) {
    const fs::path program = study / "hdap-first-in-haste";
    std::ofstream(program) << "#!/bin/sh\n[ -d " << (study / "run").string()
                           << " ] || set -- \"$@\" --time-limit 1.5s\nexec "
                           << hdap_program().string() << " \"$@\"\n";
    fs::permissions(program, fs::perms::owner_all);
    return program;
}

} // namespace

TEST_CASE("a chain goes on when a job's time was over, completes the study with the undisturbed "
          "result, and removes the links that are left") {
    const TinyStudy study;
    Cluster cluster(study);
    const auto jobs =
        submit_chain(cluster, study, 4, longer, program_with_little_time_at_first(study));
    Process undisturbed = study.start_run({.ranks = 0}, "undisturbed", longer);
    const JobState first = cluster.wait(jobs[0]);
    INFO(cluster.log(jobs[0]));
    CHECK(first.state == "FAILED");
    CHECK(first.exit_code == 75);
    const JobState second = cluster.wait(jobs[1]);
    INFO(cluster.log(jobs[1]));
    CHECK(second.state == "COMPLETED");
    for (const std::string& job : {jobs[2], jobs[3]}) {
        CHECK(cluster.wait(job).state == "CANCELLED");
        CHECK(cluster.log(job).empty());
    }
    REQUIRE(undisturbed.wait().exit_code == 0);
    CHECK(differences(study / "undisturbed", study / "run") == Lines{});
}

TEST_CASE("a chain whose jobs make no progress ends after three of them") {
    const TinyStudy study;
    Cluster cluster(study);
    // What comes before the search is there, and no job has the time to evaluate a candidate.
    REQUIRE(study.call({.ranks = 0}, {"surrogate", "fit", study.config(), "--out", study / "run"})
                .exit_code == 0);
    const auto jobs =
        submit_chain(cluster, study, 6, {"--time-limit", "0.1s"}, hdap_program().string());
    for (const int link : {0, 1, 2}) {
        const JobState end = cluster.wait(jobs[static_cast<std::size_t>(link)]);
        INFO(cluster.log(jobs[static_cast<std::size_t>(link)]));
        CHECK(end.exit_code == 75);
    }
    const JobState end = cluster.wait(jobs[3]);
    INFO(cluster.log(jobs[3]));
    CHECK(end.exit_code == 1);
    CHECK_THAT(cluster.log(jobs[3]), Catch::Contains("the last 3 attempts brought no progress"));
    for (const std::string& job : {jobs[4], jobs[5]}) {
        CHECK(cluster.wait(job).state == "CANCELLED");
        CHECK(cluster.log(job).empty());
    }
}

TEST_CASE("a chain whose configuration is wrong ends with its first job") {
    const TinyStudy study(TinyStudy::Weights::initial);
    Cluster cluster(study);
    const auto jobs =
        submit_chain(cluster, study, 3, {"--set", "search.populatoin=8"}, hdap_program().string());
    const JobState first = cluster.wait(jobs[0]);
    INFO(cluster.log(jobs[0]));
    CHECK(first.exit_code == 2);
    for (const std::string& job : {jobs[1], jobs[2]})
        CHECK(cluster.wait(job).state == "CANCELLED");
}
