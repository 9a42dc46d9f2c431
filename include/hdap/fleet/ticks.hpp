#pragma once

#include "hdap/fleet/clustering.hpp"
#include "hdap/fleet/fleet.hpp"

#include <string>
#include <vector>

namespace hdap::fleet {

/// [benchmark] the step in ms in which latencies come, because a timer or whoever wrote them
/// rounded them; 0 where none is seen. A step is seen when at least 10 devices that were measured
/// share at most half as many values, 95 % of the devices have multiples of it, and most neighbours
/// among the values are one step apart; benchmarks that show too few values are looked at together.
/// Means of k runs have steps of a k-th, which count where runs differ: where more latencies than
/// not are multiples of the timer's own step, that one does. Complexity: O(benchmarks · devices ·
/// log devices).
std::vector<double> latency_ticks(const Fleet& fleet);

/// How far apart, in log latency, the signatures of two devices of the same exact latencies are
/// when steps of `ticks` are at their worst: each latency lies on the edge between two steps, and
/// half of them fall to either side. √(½ Σ (tick ÷ median)²), times √(1 − 1/benchmarks) for
/// `shape`, which takes one direction out.
double tick_distance(const Fleet& fleet, const std::vector<double>& ticks, SignatureMetric metric);

/// The latencies of `fleet`, [device][benchmark], each moved to a random place within half a tick
/// of it; those that are missing stay so. A step has no neighbours nearer than the next step, so
/// distances between devices say nothing of how dense they lie; spread, they do. The same fleet
/// gives the same bits.
std::vector<double> spread_over_ticks(const Fleet& fleet, const std::vector<double>& ticks);

/// "latencies come in steps of 0.1 ms, 1.1 % to 4.2 % of a benchmark's median", or nothing where
/// steps are finer than smallest_automatic_eps.
std::string ticks_text(const Fleet& fleet, const std::vector<double>& ticks);

/// What the ticks of `fleet` keep a clustering of it from seeing, as a sentence for the user; empty
/// when they are finer than half of its eps.
std::string tick_warning(const Fleet& fleet, const Clustering& clustering);

} // namespace hdap::fleet
