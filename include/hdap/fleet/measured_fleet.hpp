#pragma once

#include "hdap/fleet/fleet.hpp"
#include "hdap/fleet/host_conditions.hpp"
#include "hdap/fleet/measurement.hpp"
#include "hdap/storage/hdf5.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace hdap::fleet {

/// What every device of a measured fleet ran, beside Fleet::benchmark_genomes: latencies are
/// comparable when all of this is the same.
struct MeasuredBenchmarks {
    std::string network; ///< "mobilenet_v1, width 0.25, images 1x28x28, 10 classes"
    std::int64_t batch = 1;
};

/// A fleet whose devices ran the benchmark networks themselves, with all that is known about the
/// measurement.
struct MeasuredFleet {
    Fleet fleet;
    MeasuredBenchmarks benchmarks;
    MeasurementParameters parameters;
    std::vector<double> round_latency_ms;   ///< [device][round][benchmark]
    std::vector<HostConditions> conditions; ///< [device]
};

/// The rounds of one device, [round][benchmark].
std::span<const double> rounds_of_device(const MeasuredFleet& measured, std::size_t device);

/// How far the latencies of one device can be trusted. Throws as split_half_reliability.
SplitHalfReliability reliability_of_device(const MeasuredFleet& measured, std::size_t device);

/// What happens to a device that is measured a second time.
enum class Remeasured { refuse, replace };

/// Adds the devices of `more` to `measured`. With Remeasured::replace a device of the same name
/// gives way.
/// Throws DataError, which begins with `where` and leaves `measured` as it was, when SKU,
/// benchmarks, batch or protocol differ (names both values), or when a device is there already.
/// Complexity: O(devices · (rounds · benchmarks + log devices)).
void add_devices(MeasuredFleet& measured, const MeasuredFleet& more, Remeasured remeasured,
                 const std::string& where);

/// Writes what write_fleet writes and, beside it, /rounds/latency_ms, one
/// column a field of the conditions and of the reliability in /measurement, and the benchmarks and
/// parameters as root attributes. Throws DataError as check_fleet.
void write_measured_fleet(storage::Hdf5Writer& file, const MeasuredFleet& measured);

/// Whether a file of hdap-fleet/1 has what write_measured_fleet adds.
bool is_measured(const storage::Hdf5Reader& file);

/// Reads what write_measured_fleet has written.
/// Throws DataError as check_fleet, and when something is missing or out of its range.
MeasuredFleet read_measured_fleet(const storage::Hdf5Reader& file);

} // namespace hdap::fleet
