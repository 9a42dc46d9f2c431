#pragma once

#include "fleet/sources/device_commands.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace hdap::fleet {

/// A candidate on a device, and what is known of it.
struct PlannedMeasurement {
    std::string device;
    std::string candidate;
    enum class State { outstanding, measured, failed } state = State::outstanding;
    double sustained_seconds = 0.0; ///< how long under continuous load; 0: as usual
};

/// What a user is to measure, and what hdap knows already.
struct MeasurementPlan {
    std::vector<PlannedMeasurement> all;
    std::vector<DeviceQueue> outstanding;
    /// What other studies asked for in the same folder.
    std::vector<PlannedMeasurement> of_others{};
    /// What `hdap profile import CONFIG` needs to find the folder: " --set …".
    std::string import_options{};

    /// How many of `all`.
    [[nodiscard]] std::int64_t answered() const;
};

/// A name as that of a file: other bytes than letters, digits, '-', '_' and '.' as %XX.
std::string as_file_name(const std::string& name);

/// Writes what a user needs to measure the outstanding candidates: networks/NAME.onnx (.pt), made
/// where they are not there yet; manifest.csv, a line for each candidate on each device; a list of
/// what each device lacks, outstanding/DEVICE.txt, the seconds behind a candidate that is measured
/// under continuous load; a script for each tool, which goes through that list on a device;
/// README.txt.
/// Throws InternalError when it cannot be written.
void write_plan(const std::filesystem::path& folder, const MeasurementPlan& plan,
                const network::Prunable& network, const std::string& format, std::int64_t batch,
                std::int64_t runs);

/// Those that a manifest in the folder has beside those of `plan`; none without one.
std::vector<PlannedMeasurement> others_in_manifest(const std::filesystem::path& folder,
                                                   const MeasurementPlan& plan);

/// The pairs of a manifest that write_plan wrote, in its order. Throws DataError when it is missing
/// or broken.
std::vector<PlannedMeasurement> read_manifest(const std::filesystem::path& folder);

/// The file in the folder that write_plan wrote last.
inline constexpr const char* manifest_file = "manifest.csv";
/// What is measured, in the folder.
inline constexpr const char* measurements_file = "measurements.jsonl";

} // namespace hdap::fleet
