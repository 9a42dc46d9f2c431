// A job that loses its nodes in the middle of a search goes on when it has others.
#include "end_to_end/interruption.hpp"
#include "end_to_end/run_comparison.hpp"
#include "slurm/cluster.hpp"

#include <catch2/catch.hpp>

#include <csignal>

using namespace hdap::test;
using Lines = std::vector<std::string>;

namespace {

/// Long enough to be met in the middle.
const Arguments longer{"--set", "search.generations=60"};
const Process::Environment requeue{{"HDAP_REQUEUE", "1"}};

/// A study whose job is met in the middle of the search, and one that nobody disturbs.
class Scenario {
  public:
    const TinyStudy& study() const { return study_; }
    Cluster& cluster() { return cluster_; }

    /// Starts a job on two nodes and waits until it has written a checkpoint.
    std::string start_search(const Process::Environment& environment = {}) {
        const std::string job = cluster_.submit_search(2, "run", longer, environment);
        INFO(cluster_.log(job));
        REQUIRE(cluster_.wait_until(
            job, [&] { return std::filesystem::exists(study_ / "run/search.h5"); }));
        return job;
    }

    /// Waits until the job has been started again, and has ended, and compares its result.
    void check_completed_in_second_try(const std::string& job) {
        Process undisturbed = study_.start_run({.ranks = 0}, "undisturbed", longer);
        const JobState end = cluster_.wait(job);
        INFO(cluster_.log(job));
        CHECK(end.state == "COMPLETED");
        CHECK(end.restarts == 1);
        REQUIRE(undisturbed.wait().exit_code == 0);
        CHECK(differences(study_ / "undisturbed", study_ / "run") == Lines{});
    }

  private:
    TinyStudy study_;
    Cluster cluster_{study_};
};

} // namespace

TEST_CASE("a search that is requeued in the middle completes on another number of nodes, with the "
          "undisturbed result") {
    Scenario scenario;
    Cluster& cluster = scenario.cluster();
    const std::string job = scenario.start_search();
    REQUIRE(cluster.call({"scontrol", "requeuehold", job}).exit_code == 0);
    cluster.wait_until(job, [&] { return cluster.state(job).state == "PENDING"; });
    CHECK_FALSE(is_complete_search(scenario.study() / "run/search.h5"));
    CHECK(cluster.call({"scontrol", "update", "JobId=" + job, "NumNodes=1", "NumTasks=1"})
              .exit_code == 0);
    REQUIRE(cluster.call({"scontrol", "release", job}).exit_code == 0);
    scenario.check_completed_in_second_try(job);
    CHECK(cluster.state(job).nodes == 1);
}

TEST_CASE("a search that a job of a higher partition preempts stops, is requeued and completes") {
    Scenario scenario;
    Cluster& cluster = scenario.cluster();
    const std::string job = scenario.start_search(requeue);
    const std::string urgent = cluster.submit({"--partition=high", "--nodes=2", "--wrap", "true"});
    CHECK(cluster.wait(urgent).state == "COMPLETED");
    CHECK_FALSE(is_complete_search(scenario.study() / "run/search.h5"));
    scenario.check_completed_in_second_try(job);
    CHECK_THAT(cluster.log(job), Catch::Contains("hdap ended with 75"));
}

TEST_CASE("a rank that is killed ends its job at once, with a message that names it, and the "
          "requeued job completes") {
    Scenario scenario;
    Cluster& cluster = scenario.cluster();
    const std::string job = scenario.start_search(requeue);
    const auto victims = processes_of_task(job, 1);
    REQUIRE(victims.size() == 1);
    REQUIRE(::kill(victims.front(), SIGKILL) == 0);
    using namespace std::chrono_literals;
    CHECK(cluster.wait_until(
        job, [&] { return cluster.log(job).find("hdap ended with") != std::string::npos; }, 20s));
    CHECK_THAT(cluster.log(job), Catch::Contains("n2: task 1: Killed"));
    scenario.check_completed_in_second_try(job);
}
