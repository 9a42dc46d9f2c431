#pragma once

#include "hdap/core/statistics.hpp"
#include "hdap/fleet/fleet.hpp"
#include "hdap/fleet/noise.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace hdap::fleet {

/// What is to be low of the fleet.
enum class FleetFigure {
    mean,
    p95,
    worst_percent, ///< the mean over the slowest hundredth
    worst_group,   ///< the mean of the slowest group of devices
};

/// A number and its 95 % interval over devices.
struct Estimate {
    double value = 0.0;
    core::Interval interval;
};

/// How much slower the fleet's figure can be when a network is chosen by what a part of the fleet
/// takes: 0.02 is 2 %. What is noise is taken out of what a device takes.
struct RegretBound {
    FleetFigure figure = FleetFigure::mean;
    Estimate one_device;                  ///< of a device drawn at random, the median over devices
    Estimate one_device_p95;              ///< the 95th percentile over devices: an unlucky draw
    double one_device_raw = 0.0;          ///< the same percentile when nothing is taken for noise
    Estimate central_device;              ///< of the device nearest to the medians
    std::optional<Estimate> equal_groups; ///< of all groups' means, which count the same
};

/// Bounds before any candidate was measured, over the benchmarks.
struct RegretBounds {
    std::vector<RegretBound> figures; ///< worst_group with groups alone; empty where unknown
    std::size_t devices = 0;          ///< that were looked at
    std::size_t benchmarks = 0;       ///< that two of them ran or more
    std::size_t central_device = 0;   ///< its place in the fleet
    std::string unknown;              ///< why nothing is known; empty where something is
};

/// Bounds on the regret of choosing between the benchmarks of a valid fleet. Whoever prefers a to b
/// by a view V where the truth T prefers b loses at most
///     log(T(a) ÷ T(b)) ≤ log(T(a) ÷ T(b)) − log(V(a) ÷ V(b)),
/// whatever else is asked of a network. The bound is the largest such difference over all pairs:
/// the range over the benchmarks of log V − log T. It holds for networks that differ as much as
/// the benchmarks do.
///
/// Noise is no regret: shapes are scaled down to the variance that they have beside `noise`, those
/// of a benchmark by its share of shape in shape and noise, or less where a device is off by more
/// than chance explains. T is made of these latencies, too.
/// `groups`: [device] the number of its group, negative for none; or empty. Missing latencies are
/// estimated (completed_latencies). Intervals: 200 bootstrap samples of the devices.
///
/// Looks at up to 10,000 devices, evenly spaced. Uses OpenMP; the result does not depend on the
/// threads. Throws InternalError when sizes do not fit or a group has a number not below
/// that of devices.
/// Complexity: O(bootstrap samples · devices · (benchmarks + log devices)).
RegretBounds regret_bounds(const Fleet& fleet, const Noise& noise,
                           std::span<const std::int32_t> groups = {});

} // namespace hdap::fleet
