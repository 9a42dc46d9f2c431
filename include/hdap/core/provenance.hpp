#pragma once

#include <string>

namespace hdap::core {

/// Where a file comes from: stored in the root attributes of every HDF5 file.
struct Provenance {
    std::string software = "hdap";
    std::string software_version;
    std::string git_commit; ///< of the build; ends in "-dirty" when the tree had changes
    std::string created;    ///< ISO 8601, UTC
    std::string host;
};

/// The provenance of a file that is made now by this process.
Provenance current_provenance();

/// "2026-11-24T06:30:00Z": the present time in UTC.
std::string utc_now();

} // namespace hdap::core
