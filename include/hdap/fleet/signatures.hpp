#pragma once

#include "hdap/fleet/fleet.hpp"

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace hdap::fleet {

/// How devices are compared.
enum class SignatureMetric {
    /// The logs of a device's latencies relative to the fleet's medians: the paper's.
    level,
    /// `level` minus its own mean over the benchmarks. A device that is slower by one factor on
    /// everything has the same best network; only its device_ratio differs.
    shape,
};

/// "level" or "shape".
std::string_view name_of(SignatureMetric metric);

/// The latency signatures that `metric` compares, [device][benchmark], row-major; not a number
/// where a latency is missing, medians and means over the others. Complexity: O(devices ·
/// benchmarks).
std::vector<double> latency_signatures(const Fleet& fleet, SignatureMetric metric);

/// The same of `latency_ms` [device][benchmark], in ms or not a number.
std::vector<double> latency_signatures(std::span<const double> latency_ms, std::size_t benchmarks,
                                       SignatureMetric metric);

/// [device] mean over the benchmarks of the log of `latency_ms` [device][benchmark], none missing.
std::vector<double> mean_log_latency(std::span<const double> latency_ms, std::size_t benchmarks);

} // namespace hdap::fleet
