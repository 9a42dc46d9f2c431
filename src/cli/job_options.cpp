#include "job_options.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>

namespace hdap::cli {

void add_job_options(CLI::App& command, JobOptions& options) {
    command
        .add_option("--threads", options.threads,
                    "Threads per rank (default: OMP_NUM_THREADS, SLURM_CPUS_PER_TASK, or the "
                    "cores each rank is bound to)")
        ->check(CLI::Range(1, 4096));
    command.add_flag("--quiet", options.quiet, "Print nothing but errors and the result");
    command
        .add_option("--time-limit", options.time_limit,
                    "Stop in time with 75, everything kept: 90s, 30m, 2h, or as Slurm writes it "
                    "(default: the time left of the Slurm job)")
        ->check([](const std::string& text) {
            return parallel::parse_duration(text)
                       ? std::string()
                       : fmt::format(
                             "'{}' is no duration; write 90s, 30m, 1.5h, 1:30:00 or 1-02:00:00",
                             text);
        });
}

parallel::Walltime walltime_of(const std::string& time_limit, const parallel::Communicator& world) {
    if (!world.is_root()) return {};
    const auto now = parallel::Walltime::Clock::now();
    auto limit = parallel::slurm_time_left();
    if (const auto asked = parallel::parse_duration(time_limit)) {
        const std::chrono::duration<double> left = *asked - (now - parallel::process_start());
        limit = limit ? std::min(*limit, left) : left;
    }
    return limit ? parallel::Walltime(now, *limit) : parallel::Walltime();
}

} // namespace hdap::cli
