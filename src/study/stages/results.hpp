#pragma once

#include "fleet_truth.hpp"
#include "hdap/fleet/clustering.hpp"
#include "study_run.hpp"

namespace hdap::study {

/// What the first stages made, as the report and the results look at it. On the root.
struct FleetOutputs {
    explicit FleetOutputs(const StudyRun& run);

    fleet::Fleet devices;
    fleet::Clustering clustering;
    FleetTruth truth;
};

/// Writes results.h5, unless it is there. On the root.
void ensure_results(const StudyRun& run, const FleetOutputs& fleet);

} // namespace hdap::study
