#pragma once

#include "hdap/fleet/latency_source.hpp"
#include "hdap/fleet/measurement_log.hpp"

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace hdap::fleet {

/// A candidate to be measured, and the devices that lack it.
struct CandidateToMeasure {
    std::string name;
    network::Genome genome;
};

/// What one device is to measure, in this order.
struct DeviceQueue {
    std::string device;
    std::vector<CandidateToMeasure> candidates;
    CandidateToMeasure probe; ///< the unpruned network, which a device that works can measure
    Quantity quantity = Quantity::latency; ///< that is measured of each
    /// Whether the probe is measured beside what one call measures together, as its anchor.
    bool anchored = false;
};

/// How commands on devices ended.
struct CommandsOutcome {
    bool stopped = false;
    std::int64_t failed = 0;                ///< candidates on devices that failed for good
    std::string first_failure;              ///< in words
    std::vector<std::string> unreachable{}; ///< devices that were given up, with their last words
};

/// Throws ConfigError when the command has neither {network} nor {networks}.
void check_latency_command(const LatencyCommand& command);

/// `load.command` as one that runs so long: a call may take that time longer.
/// Throws ConfigError when it is empty or has no {network}: it measures one at a time.
LatencyCommand sustained_command(const LatencyCommand& usual, const SustainedLoad& load);

/// Takes the latency from what a command printed: its last line ends in a number with its unit
/// ("12.3 ms"), or the whole text is in a format that hdap fleet import reads. Throws DataError
/// that says what was printed instead.
void read_printed_latency(const std::string& output, CandidateMeasurement& measurement);

/// Takes the latencies of several candidates from a table that hdap fleet import reads, whose
/// benchmarks have the candidates' names in theirs; what is not there has failed. Throws DataError
/// when there is no table.
void read_printed_table(const std::string& output, std::span<CandidateMeasurement> measurements);

/// Has every device measure its queue by the command: one call at a time on a device, devices side
/// by side. A command with {networks} gets several candidates in a call; when it fails, the
/// device's are measured one by one. What is measured is in `log` at once, what was printed in
/// files in `folder`.
///
/// A candidate that fails after its retries is logged as failed once its device has measured
/// another; a device that fails three times in a row is given up and nothing of it is logged. No
/// new command is begun when the job was asked to stop, and those that run are ended when it was
/// asked twice. Throws InternalError when the log cannot be written.
CommandsOutcome measure_by_command(const std::vector<DeviceQueue>& queues,
                                   const LatencyCommand& command, std::int64_t batch,
                                   std::int64_t runs, const network::Prunable& network,
                                   MeasurementLog& log, const std::filesystem::path& folder,
                                   const parallel::Job& job);

} // namespace hdap::fleet
