#pragma once

#include "hdap/fleet/evenly_spaced.hpp"
#include "hdap/fleet/fleet.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace hdap::fleet {

/// 0, 1, … count − 1.
std::vector<std::int32_t> numbers_below(std::size_t count);

/// [device][benchmark] the rows of `devices` in a table with a column per benchmark.
std::vector<double> rows_of(std::span<const double> table, std::size_t benchmarks,
                            std::span<const std::int32_t> devices);

/// The names and latencies of some devices.
Fleet part_of(const Fleet& fleet, std::span<const std::int32_t> devices);

} // namespace hdap::fleet
