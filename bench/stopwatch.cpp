#include "stopwatch.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <limits>

namespace hdap::bench {
namespace {

double now(Clock clock) {
    std::timespec time{};
    clock_gettime(clock == Clock::wall ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Seconds per call, over `calls` calls in a row.
double seconds_per_call(const std::function<void()>& work, long calls, Clock clock) {
    const double start = now(clock);
    for (long i = 0; i < calls; ++i)
        work();
    return (now(clock) - start) / static_cast<double>(calls);
}

/// How many calls of `seconds` each fill about `round_seconds`.
long calls_per_round(double seconds, double round_seconds) {
    constexpr double most = 1e6; // the clock cannot resolve a call faster than this needs
    return std::lround(std::clamp(round_seconds / std::max(seconds, 1e-9), 1.0, most));
}

} // namespace

std::vector<double> fastest_seconds(std::span<const std::function<void()>> contenders, int rounds,
                                    double round_seconds, Clock clock) {
    if (rounds < 1)
        throw core::ConfigError("a benchmark needs at least 1 round, not " +
                                std::to_string(rounds));
    if (!std::isfinite(round_seconds) || round_seconds < 0)
        throw core::ConfigError("a benchmark's round must last 0 s or more, not " +
                                core::shortest(round_seconds) + " s");
    const std::size_t count = contenders.size();
    std::vector<long> calls(count);
    for (std::size_t i = 0; i < count; ++i) {
        contenders[i]();
        calls[i] = calls_per_round(seconds_per_call(contenders[i], 1, clock), round_seconds);
    }
    std::vector<double> fastest(count, std::numeric_limits<double>::infinity());
    for (int round = 0; round < rounds; ++round) {
        for (std::size_t turn = 0; turn < count; ++turn) {
            const std::size_t i = (turn + static_cast<std::size_t>(round)) % count;
            fastest[i] = std::min(fastest[i], seconds_per_call(contenders[i], calls[i], clock));
        }
    }
    return fastest;
}

} // namespace hdap::bench
