#pragma once

#include "hdap/fleet/fleet.hpp"
#include "hdap/fleet/noise.hpp"

#include <cstddef>

namespace hdap::fleet {

/// Where the variance of log latencies, relative to each benchmark's median, comes from; means over
/// the benchmarks. Their square roots are about relative differences: 0.01 is 1 %.
struct VarianceParts {
    double noise = 0.0; ///< as it was given
    double speed = 0.0; ///< of one ratio per device, the same on all benchmarks
    double shape = 0.0; ///< the rest: the device is slow on some benchmarks and not on others

    [[nodiscard]] double total() const noexcept { return noise + speed + shape; }
};

/// How the devices of a fleet differ.
struct VarianceSplit {
    VarianceParts all;  ///< over all devices
    VarianceParts main; ///< over all but the odd ones
    /// Devices whose ratio is more than 4 robust standard deviations off the median one, or one of
    /// whose benchmarks is more than 5 off what is usual there.
    std::size_t odd_devices = 0;
    double odd_share = 0.0;   ///< of the squared distances from the medians, the odd ones'
    std::size_t devices = 0;  ///< that were looked at
    bool shape_known = false; ///< two benchmarks or more ran on the same devices
};

/// Splits the variance of a valid fleet. With x the log latencies relative to the median and C
/// their covariances between benchmarks, each over the devices that ran both, the variance of
/// speed is the mean of all C less what noise adds, that of shape the mean of the variances less
/// speed and noise; neither falls below 0. Missing latencies are not estimated. The robust scales
/// are median absolute deviations.
///
/// At most 200,000 devices are looked at, evenly spaced, and as many as 4·10⁹ operations allow; of
/// more than 300 benchmarks 300, evenly spaced.
/// Complexity: O(devices · benchmarks²).
VarianceSplit variance_split(const Fleet& fleet, const Noise& noise);

/// Whether all that devices of a fleet so split differ by is speed and noise: shape has no more
/// than a tenth of the variance of noise, which estimates of it have by chance. False where nothing
/// is known of shape.
bool shape_is_noise(const VarianceSplit& split);

} // namespace hdap::fleet
