#pragma once

#include "hdap/fleet/fleet.hpp"
#include "hdap/fleet/neighbours.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace hdap::fleet {

/// The devices of every group, ascending. −1: in none.
std::vector<std::vector<std::int32_t>> members_of(std::span<const std::int32_t> group_of_device,
                                                  std::size_t groups);

/// [device] on how many benchmarks it was measured.
std::vector<std::size_t> measured_benchmarks(const Fleet& fleet);

/// Those of `devices` that were measured on most benchmarks: a quarter of them, at least `wanted`,
/// and all that were measured on as many as the last of these. Estimates lie nearer to a group's
/// centre than latencies do, so a device of which little is known would look typical.
std::vector<std::int32_t> well_measured(std::span<const std::int32_t> devices,
                                        const std::vector<std::size_t>& measured,
                                        std::size_t wanted);

/// The mean of the devices' signatures.
std::vector<double> centre_of(PointView signatures, std::span<const std::int32_t> devices);

/// The `wanted` of `candidates` nearest to `centre`, nearest first, ties by index.
std::vector<std::int32_t> nearest_to(const double* centre, PointView signatures,
                                     std::span<const std::int32_t> candidates, std::size_t wanted);

/// [group] `wanted` devices at the centre of each group, to be measured on its behalf.
std::vector<std::vector<std::int32_t>>
central_devices(const Fleet& fleet, PointView signatures,
                std::span<const std::int32_t> group_of_device, std::size_t groups,
                std::size_t wanted);

/// [group][benchmark] geometric means of the latencies of the representatives, in ms.
/// `latency_ms`: [device][benchmark], none missing.
std::vector<double>
representative_latencies(std::span<const double> latency_ms, std::size_t benchmarks,
                         const std::vector<std::vector<std::int32_t>>& representatives);

} // namespace hdap::fleet
