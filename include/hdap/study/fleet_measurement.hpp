#pragma once

#include "hdap/fleet/measured_fleet.hpp"
#include "hdap/parallel/job.hpp"
#include "hdap/study/settings.hpp"

#include <filesystem>
#include <optional>
#include <string>

namespace hdap::study {

/// What the user says about the devices, and about their file.
struct MeasuredDevices {
    std::string device_id; ///< of the only rank; empty: the node's name
    std::string sku;       ///< empty: `fleet.recorded.sku` of the study
    std::filesystem::path file;
    bool append = false;  ///< the file may exist; devices are added to it
    bool replace = false; ///< a device of the same name gives way; implies `append`
};

/// Measures the machine of every rank, each as one device, on the benchmark networks of a study,
/// and writes or extends a file of layout hdap-fleet/1. The study's images, if it has any, give the
/// input's shape; weights are random ones, which take as long as trained ones. Returns the devices
/// measured now, on the root (an empty fleet elsewhere), or nothing when a rank was asked to stop;
/// then nothing was written. Collective.
///
/// Several jobs may extend one file at once: each reads and writes it under a lock, FILE.lock.
/// Throws UsageError when the file exists and is not to be extended, or for a device_id with
/// several ranks; DataError when it holds other benchmarks or the same devices (add_devices), which
/// is found before anything is measured; ConfigError as fleet::check_measurement. An error of a
/// rank names its host.
std::optional<fleet::MeasuredFleet> measure_fleet(const parallel::Job& job,
                                                  const Settings& settings,
                                                  const fleet::MeasurementParameters& parameters,
                                                  const MeasuredDevices& devices);

} // namespace hdap::study
