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
const Arguments longer{"--set", "search.generations=20"};

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

/// Writes a shell script that takes hdap's place and calls it.
std::string write_program(const TinyStudy& study, const std::string& script) {
    const fs::path program = study / "program";
    std::ofstream(program) << "#!/bin/sh\nrun=" << (study / "run").string()
                           << "\nhdap=" << hdap_program().string() << "\n"
                           << script;
    fs::permissions(program, fs::perms::owner_all);
    return program;
}

/// As long as there is no run directory, hdap gets half a second, after the second that it keeps
/// free for its end.
constexpr const char* hurries_at_first = R"sh([ -d "$run" ] || set -- "$@" --time-limit 1.5s
exec "$hdap" "$@"
)sh";

/// hdap is killed when it has begun: as by a kernel without memory, before there is a checkpoint.
/// When it ends by itself its exit code counts, not the SIGTERM that srun then sends.
constexpr const char* dies_early = R"sh(trap '' TERM
starts() { grep -cs '"start"' "$run/attempts.jsonl"; }
before=$(starts)
"$hdap" "$@" &
while kill -0 $! 2> /dev/null; do
    [ "$(starts)" = "$before" ] || kill -KILL $! $$
    sleep 0.01
done
wait $!
)sh";

} // namespace

TEST_CASE("a chain goes on when a job's time was over, completes the study with the undisturbed "
          "result, and removes the links that are left") {
    const TinyStudy study;
    Cluster cluster(study);
    const auto jobs =
        submit_chain(cluster, study, 4, longer, write_program(study, hurries_at_first));
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
    // What comes before the search is there, and no job lives to write a checkpoint of it.
    const Arguments endless{"--set", "run.checkpoint_seconds=3600", "--set",
                            "search.generations=1000"};
    Arguments fit{"surrogate", "fit", study.config(), "--out", study / "run"};
    fit.insert(fit.end(), endless.begin(), endless.end());
    REQUIRE(study.call({.ranks = 0}, fit).exit_code == 0);
    const auto jobs = submit_chain(cluster, study, 6, endless, write_program(study, dies_early));
    for (std::size_t link = 0; link < 3; ++link) {
        const JobState end = cluster.wait(jobs[link]);
        INFO(cluster.log(jobs[link]));
        CHECK(end.state == "FAILED");
        CHECK(end.exit_code > 4);
    }
    const JobState last = cluster.wait(jobs[3]);
    INFO(cluster.log(jobs[3]));
    CHECK(last.exit_code == 1);
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

TEST_CASE("a chain whose study waits for measurements from outside ends with its first job") {
    const TinyStudy study(TinyStudy::Weights::initial);
    Cluster cluster(study);
    const auto jobs = submit_chain(cluster, study, 3, {}, write_program(study, "exit 76\n"));
    const JobState first = cluster.wait(jobs[0]);
    INFO(cluster.log(jobs[0]));
    CHECK(first.exit_code == 76);
    for (const std::string& job : {jobs[1], jobs[2]})
        CHECK(cluster.wait(job).state == "CANCELLED");
}
