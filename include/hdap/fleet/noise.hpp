#pragma once

#include "hdap/fleet/fleet.hpp"
#include "hdap/fleet/measured_fleet.hpp"

#include <optional>
#include <vector>

namespace hdap::fleet {

/// What an estimate of noise was made of.
enum class NoiseSource {
    runs,   ///< how the runs of a device on a benchmark spread
    rounds, ///< what even rounds of a measurement say against the odd ones
    /// What a device's other benchmarks do not predict. That is noise, or specific to one
    /// benchmark: without repeats nobody can tell these apart.
    prediction,
};

/// How much of a latency is chance: a device that is measured again differs by as much.
struct Noise {
    NoiseSource source = NoiseSource::runs;
    std::vector<double> variance; ///< [benchmark] of a device's log latency
};

/// The mean of `noise` over the benchmarks; 0 without benchmarks.
double mean_variance(const Noise& noise);

/// The variance of the median of `runs` ≥ 1 values that are normal with variance 1; within 5 %.
double variance_of_median(std::int64_t runs);

/// The noise of a fleet's latencies as medians of the runs whose quantiles it keeps: the sampling
/// variance of a median, with the runs' own variance from the distance between their quartiles.
/// Of a device that is off by far the noise counts up to 16 times the median device's. It knows
/// nothing of what changes a device between two sessions.
///
/// Nothing where fewer than half of the latencies have quartiles of two or more runs.
/// Complexity: O(devices · benchmarks).
std::optional<Noise> noise_of_runs(const Fleet& fleet);

/// The noise of the latencies of a measurement in rounds: the differences between what its even
/// and its odd rounds say, of which a latency from all rounds has a quarter of the variance. The
/// same for all benchmarks where there are few devices. Nothing for fewer than two rounds.
std::optional<Noise> noise_of_rounds(const MeasuredFleet& measured);

} // namespace hdap::fleet
