#pragma once

#include "hdap/fleet/distribution.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace hdap::study {

/// Whether a constraint on latencies holds for a network on another fleet.
struct LaterBound {
    std::string constraint;
    double value = 0.0; ///< predicted
    double limit = 0.0;
};

/// What became of a network that a study chose, now that the fleet is another.
struct DeployedNetwork {
    std::string id;        ///< "front-03"
    double then_ms = 0.0;  ///< predicted mean over the fleet of the study
    double now_ms = 0.0;   ///< predicted mean over the fleet of now
    std::string better_id; ///< of the front: as accurate, and the fastest now; may be the same
    double better_ms = 0.0;
    std::vector<LaterBound> broken; ///< that it keeps no more
};

/// Holds a network of a complete study's front against the others of it, on a fleet whose devices
/// spread around the study's clusters as `now` says. `id`: of front.csv; empty: the fastest that
/// loses at most a point of accuracy, or without accuracies the fastest.
/// Throws UsageError for a folder that is not that of a study whose search is complete, and for an
/// id that is none of its front; DataError for damaged files.
DeployedNetwork deployed_network(const std::filesystem::path& run_directory, const std::string& id,
                                 const fleet::FleetDistribution& now);

} // namespace hdap::study
