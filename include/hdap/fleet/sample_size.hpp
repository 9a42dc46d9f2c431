#pragma once

#include "hdap/fleet/fleet.hpp"

#include <cstddef>
#include <span>

namespace hdap::fleet {

/// How many devices, drawn at random from the fleet, tell one of its figures.
struct SampleSize {
    std::size_t devices = 0;
    std::size_t benchmark = 0; ///< the one that needs most of them
};

/// Devices to be measured for the fleet's figures.
struct SampleSizes {
    double error = 0.01; ///< relative error that 95 % of the draws do not exceed
    SampleSize mean;
    SampleSize p95;
    SampleSize worst_percent; ///< the mean over the slowest hundredth
};

/// How many of `devices` devices the slowest hundredth are: rounded, at least one.
std::size_t hundredth_of(std::size_t devices);

/// The mean over the slowest hundredth of `sorted` latencies, of which there is one.
double mean_of_slowest(std::span<const double> sorted);

/// How many of the latencies in `sorted` (ascending, at least one), drawn without replacement, have
/// a mean that is within `error` of all of theirs in 95 % of the draws: by the normal distribution
/// with the variance of `sorted`. 1 to all of them.
std::size_t devices_for_mean(std::span<const double> sorted, double error);

/// The same of the 95th percentile: an order statistic of the draw is above a latency when too few
/// of the draw are below, which is hypergeometric. Within a few devices.
/// Complexity: O(n log n) for n latencies.
std::size_t devices_for_p95(std::span<const double> sorted, double error);

/// The same of the mean of the slowest hundredth, by its asymptotic variance (Trindade et al.,
/// Journal of Banking & Finance 31, 2007): that of what latencies are above the 99th percentile,
/// ÷ 0.01². Then tried on 1,000 draws, and raised by a tenth until these are good enough, as few
/// slow devices are no normal distribution. At least 100 devices, unless one is enough or there
/// are fewer. The same latencies give the same number.
std::size_t devices_for_worst_percent(std::span<const double> sorted, double error);

/// The largest of these over the benchmarks of a valid fleet, for `error` > 0. Devices that did not
/// run a benchmark do not count there. Uses OpenMP. Complexity: O(devices · benchmarks · log
/// devices).
SampleSizes sample_sizes(const Fleet& fleet, double error = 0.01);

} // namespace hdap::fleet
