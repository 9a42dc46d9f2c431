// A job that loses its nodes in the middle of a search goes on when it has nodes again.
#include "end_to_end/interruption.hpp"
#include "end_to_end/run_comparison.hpp"
#include "slurm/cluster.hpp"

#include <catch2/catch.hpp>

#include <csignal>

using namespace hdap::test;
using namespace std::chrono_literals;
using Lines = std::vector<std::string>;
namespace fs = std::filesystem;

namespace {

/// Long enough to be met in the middle three times.
const Arguments longer{"--set", "search.generations=100"};

/// A job on two nodes that searches and puts itself back into the queue when it is disturbed.
class DisturbedSearch {
  public:
    DisturbedSearch() : job_(cluster_.submit_search(2, "run", longer, {{"HDAP_REQUEUE", "1"}})) {}

    const TinyStudy& study() const { return study_; }
    Cluster& cluster() { return cluster_; }
    const std::string& job() const { return job_; }
    std::string log() const { return cluster_.log(job_); }

    /// Waits until the job, started again `restarts` times, has written a checkpoint.
    void wait_for_checkpoint(int restarts) const {
        INFO(log());
        REQUIRE(cluster_.wait_until(job_, [&] {
            const JobState now = cluster_.state(job_);
            return now.state == "RUNNING" && now.restarts == restarts;
        }));
        const auto before = checkpoint_time();
        REQUIRE(cluster_.wait_until(job_, [&] { return checkpoint_time() != before; }));
    }

    /// Waits until the job is back in the queue, or runs again, with its search not complete.
    void wait_for_requeue(int restarts) const {
        INFO(log());
        REQUIRE(cluster_.wait_until(job_, [&] {
            const JobState now = cluster_.state(job_);
            return now.restarts == restarts && (now.state == "PENDING" || now.state == "RUNNING");
        }));
        CHECK_FALSE(is_complete_search(study_ / "run/search.h5"));
    }

  private:
    fs::file_time_type checkpoint_time() const {
        std::error_code missing;
        const auto time = fs::last_write_time(study_ / "run/search.h5", missing);
        return missing ? fs::file_time_type::min() : time;
    }

    TinyStudy study_;
    Cluster cluster_{study_};
    std::string job_;
};

void lose_a_rank(DisturbedSearch& search) {
    const auto victims = processes_of_task(search.job(), 1);
    REQUIRE(victims.size() == 1);
    REQUIRE(::kill(victims.front(), SIGKILL) == 0);
    const auto has_ended = [&] {
        return search.log().find("hdap ended with") != std::string::npos;
    };
    CHECK(search.cluster().wait_until(search.job(), has_ended, 20s));
    CHECK_THAT(search.log(), Catch::Contains("n2: task 1: Killed"));
}

void be_preempted(DisturbedSearch& search) {
    Cluster& cluster = search.cluster();
    const std::string urgent = cluster.submit({"--partition=high", "--nodes=2", "--wrap", "true"});
    CHECK(cluster.wait(urgent).state == "COMPLETED");
    CHECK_THAT(search.log(), Catch::Contains("hdap ended with 75"));
}

void change_nodes(const DisturbedSearch& search, const Cluster& cluster) {
    const std::string& job = search.job();
    REQUIRE(cluster.call({"scontrol", "requeuehold", job}).exit_code == 0);
    search.wait_for_requeue(3);
    CHECK(cluster.call({"scontrol", "update", "JobId=" + job, "NumNodes=1", "NumTasks=1"})
              .exit_code == 0);
    REQUIRE(cluster.call({"scontrol", "release", job}).exit_code == 0);
}

} // namespace

TEST_CASE("a search that loses a rank, is preempted by a higher partition and gets another number "
          "of nodes is requeued each time and ends in the undisturbed result") {
    DisturbedSearch search;
    const TinyStudy& study = search.study();
    search.wait_for_checkpoint(0);
    lose_a_rank(search);
    search.wait_for_requeue(1);
    Process undisturbed = study.start_run({.ranks = 0}, "undisturbed", longer);
    search.wait_for_checkpoint(1);
    be_preempted(search);
    search.wait_for_requeue(2);
    search.wait_for_checkpoint(2);
    change_nodes(search, search.cluster());

    const JobState end = search.cluster().wait(search.job());
    INFO(search.log());
    CHECK(end.state == "COMPLETED");
    CHECK(end.restarts == 3);
    CHECK(end.nodes == 1);
    REQUIRE(undisturbed.wait().exit_code == 0);
    CHECK(differences(study / "undisturbed", study / "run") == Lines{});
}
