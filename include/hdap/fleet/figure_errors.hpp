#pragma once

#include <span>

namespace hdap::fleet {

/// What a fleet is told by.
struct FleetFigures {
    double mean = 0.0;    ///< over the devices
    double p95 = 0.0;     ///< the latency that 95 % of the devices keep to
    double slowest = 0.0; ///< mean of the slowest hundredth, of one device at least
};

/// Of at least one latency. Complexity: O(devices log devices).
FleetFigures figures_of(std::span<const double> latency_ms);

/// How wrong the figures of a fleet come out when each device's latency on a network is told from
/// those of representatives: relative errors, root mean squares over networks.
struct FigureErrors {
    double mean = 0.0;
    double p95 = 0.0;
    double slowest = 0.0;
    double device = 0.0; ///< of the latency of one device
    /// Standard error over the networks of decisive_error.
    double uncertainty = 0.0;
    bool operator==(const FigureErrors&) const = default;
};

/// The one number that groups are chosen by: the largest of `mean`, `p95` and half of `slowest`,
/// which is known less well as it is of few devices.
double decisive_error(const FigureErrors& errors);

} // namespace hdap::fleet
