#pragma once

#include "fleet/anatomy/log_ratios.hpp"
#include "hdap/fleet/noise.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace hdap::fleet {

/// The devices and benchmarks that are looked at, complete.
struct RegretSample {
    std::vector<std::size_t> devices;
    std::vector<std::size_t> benchmarks;
    std::vector<std::size_t> missing; ///< [device]
    LogTable log_latency;
    std::vector<std::int32_t> groups; ///< [device] or empty
    std::int32_t group_count = 0;
};

/// At most 10,000 devices of `fleet`, with at least one latency on the benchmarks that two of them
/// ran or more. `groups`: [device of the fleet] or empty.
RegretSample regret_sample(const Fleet& fleet, std::span<const std::int32_t> groups);

/// The sample's log latencies, with shapes that vary as they would without `noise`.
LogTable without_noise(const RegretSample& sample, const Noise& noise);

/// The device nearest to the medians among those that ran most.
std::size_t central_device(const RegretSample& sample);

} // namespace hdap::fleet
