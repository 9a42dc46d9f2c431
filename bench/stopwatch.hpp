#pragma once

#include <functional>
#include <span>
#include <vector>

namespace hdap::bench {

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

} // namespace hdap::bench
