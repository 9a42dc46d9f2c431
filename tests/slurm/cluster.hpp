#pragma once

#include "end_to_end/tiny_study.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace hdap::test {

/// A job as Slurm describes it.
struct JobState {
    std::string state; ///< "PENDING", "RUNNING", "COMPLETED", "FAILED", …
    int exit_code = 0;
    int restarts = 0; ///< how often it was requeued
    int nodes = 0;    ///< that it has, had or wants

    /// Whether nothing will happen to it any more.
    [[nodiscard]] bool has_ended() const;
};

/// Slurm's commands, on the cluster that SLURM_CONF names (tests/slurm/cluster.sh starts it), for
/// one study. Jobs that still run at the end of the scope are cancelled.
class Cluster {
  public:
    /// `study` must outlive the object. Logs of jobs go to its folder, as JOB.log.
    explicit Cluster(const TinyStudy& study);
    ~Cluster();
    Cluster(const Cluster&) = delete;
    Cluster& operator=(const Cluster&) = delete;

    /// Runs a command to its end. `environment` is added to what MPI needs here.
    [[nodiscard]] Outcome call(const Arguments& command,
                               const Process::Environment& environment = {}) const;

    /// Submits by `sbatch ARGUMENTS` and returns the job's number.
    std::string submit(const Arguments& arguments, const Process::Environment& environment = {});
    /// The same for slurm/search.sbatch on `nodes` nodes, one rank on each; `more` is for hdap run.
    std::string submit_search(int nodes, const std::string& run_directory, const Arguments& more,
                              const Process::Environment& environment = {});

    /// Takes jobs that something else submitted: they, too, are cancelled at the end.
    void adopt(const std::vector<std::string>& jobs);

    /// Throws std::runtime_error when Slurm does not know the job.
    [[nodiscard]] JobState state(const std::string& job) const;
    /// What a job printed, all its tries together.
    [[nodiscard]] std::string log(const std::string& job) const;

    /// Waits until `condition` holds or the job has ended; returns whether it holds.
    /// Throws std::runtime_error with the job's log after `timeout`.
    bool wait_until(const std::string& job, const std::function<bool()>& condition,
                    std::chrono::seconds timeout = std::chrono::seconds(90)) const;
    /// Waits for a job's end.
    JobState wait(const std::string& job,
                  std::chrono::seconds timeout = std::chrono::seconds(90)) const;

  private:
    const TinyStudy& study_;
    std::vector<std::string> jobs_;
};

/// The running processes of a job's task number `task` whose executable is hdap.
std::vector<pid_t> processes_of_task(const std::string& job, int task);

/// The path of a template or script below slurm/.
std::string slurm_file(const std::string& name);

} // namespace hdap::test
