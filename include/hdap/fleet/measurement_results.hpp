#pragma once

#include "hdap/fleet/telemetry.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace hdap::fleet {

/// What importing results brought, and what is still outstanding.
struct ImportedResults {
    std::int64_t added = 0;    ///< measurements that are new
    std::int64_t repeated = 0; ///< that were there already
    std::int64_t failed = 0;   ///< new notes that a candidate cannot be measured on a device
    std::int64_t asked = 0;    ///< pairs of device and candidate in the plan
    std::int64_t answered = 0; ///< of these: measured or failed
    /// Devices that lack measurements, with the number of these: "board-7: 12".
    std::vector<std::string> outstanding;
    std::vector<std::string> warnings; ///< what was left out and is odd, as sentences
};

/// Adds results to the measurements in `folder`, that of a plan (`hdap profile plan`):
/// `request.source` names files of devices and candidates in any format of import_telemetry, the
/// candidate's name somewhere in {benchmark}; empty: results/{device}/{benchmark}.* in the folder,
/// as the plan's scripts write them, of which NAME.failed tells that a candidate failed. Files that
/// cannot be read are told and left out, as are candidates and devices that are not of the plan.
/// Throws DataError when the folder has no plan, or nothing can be used.
ImportedResults import_results(const std::filesystem::path& folder, ImportRequest request);

} // namespace hdap::fleet
