#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace hdap::core {

/// One row of `hdap bench`: a figure of ours beside the same figure of a baseline.
struct BenchmarkResult {
    std::string name;             ///< snake_case, unique
    double value = 0;             ///< ours
    std::string unit;             ///< of both values, e.g. "ns per row and tree"
    std::string baseline;         ///< what it is compared with, e.g. "XGBoost 1.7.4, 1 thread"
    double baseline_value = 0;    ///< the baseline's, from the same process
    double ratio = 0;             ///< > 1: better than the baseline
    std::optional<double> target; ///< the ratio to reach, where one was set
};

/// What a benchmark's seconds are.
enum class Clock {
    wall,
    /// Processor time of the calling thread: for work on one thread, where a share of the time that
    /// the thread waits for a processor would count against whichever contender takes longer.
    thread
};

/// Times several ways of doing the same work on a machine that others may be using.
///
/// Every contender is called once to warm up. Then each round times all of them, one after the
/// other and starting with another one each time, so that a slow phase of the machine hits all
/// alike. Within a round a contender is called so often that it runs for about `round_seconds`.
///
/// Returns per contender the lowest time of one call over all rounds, in seconds: disturbances
/// only ever add time, so the minimum is the best estimate of the undisturbed time.
/// Throws ConfigError when `rounds` < 1 or `round_seconds` is negative or not finite.
std::vector<double> fastest_seconds(std::span<const std::function<void()>> contenders,
                                    int rounds = 7, double round_seconds = 0.02,
                                    Clock clock = Clock::wall);

} // namespace hdap::core
