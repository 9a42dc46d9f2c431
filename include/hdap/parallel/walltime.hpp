#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace hdap::parallel {

/// Decides when a job must stop so that its last checkpoint is written before the scheduler kills
/// it. Learns from the job itself how long the things take that it cannot cut short.
class Walltime {
  public:
    using Clock = std::chrono::steady_clock;

    /// Without a limit.
    Walltime() = default;
    explicit Walltime(Clock::time_point start, std::chrono::duration<double> limit);

    /// How long one evaluation, or one checkpoint, took: the longest of each counts.
    void saw_evaluation(std::chrono::duration<double> time);
    void saw_checkpoint(std::chrono::duration<double> time);

    /// The time kept free before the end: twice the longest evaluation, thrice the longest
    /// checkpoint (a shared file system may be slower the next time), and for what nobody measured,
    /// such as MPI's farewell, 2 % of the limit, but between 1 s and 60 s.
    [[nodiscard]] std::chrono::duration<double> reserve() const;

    /// Whether no more than the reserve is left. Never, without a limit.
    [[nodiscard]] bool is_near(Clock::time_point now) const;

    /// The limit that this object was made with, if any.
    [[nodiscard]] std::optional<std::chrono::duration<double>> limit() const;

  private:
    std::optional<Clock::time_point> end_;
    std::chrono::duration<double> limit_{};
    std::chrono::duration<double> longest_evaluation_{};
    std::chrono::duration<double> longest_checkpoint_{};
};

/// When this process was started: what a limit that the user gives counts from.
Walltime::Clock::time_point process_start();

/// Reads a duration: "90s", "30m", "1.5h", "2d", or Slurm's "minutes", "minutes:seconds",
/// "hours:minutes:seconds", "days-hours", "days-hours:minutes", "days-hours:minutes:seconds".
/// Nothing when `text` is neither, or not positive, or above ten years.
std::optional<std::chrono::duration<double>> parse_duration(const std::string& text);

/// The time that is left for this process's Slurm job: from SLURM_JOB_END_TIME, which newer
/// versions of Slurm set, else from squeue. Nothing when there is no job, no limit, or no answer.
/// Takes as long as the controller needs to answer, 30 s at most.
std::optional<std::chrono::duration<double>> slurm_time_left();

} // namespace hdap::parallel
