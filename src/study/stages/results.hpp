#pragma once

#include "fleet_truth.hpp"
#include "found_constraints.hpp"
#include "hdap/fleet/clustering.hpp"
#include "hdap/report/study_report.hpp"
#include "study_run.hpp"

namespace hdap::study {

/// What the first stages made, as the report and the results look at it, after the search. On the
/// root. Refers to the run.
struct FleetOutputs {
    explicit FleetOutputs(const StudyRun& run);
    FleetOutputs(const FleetOutputs&) = delete;
    FleetOutputs& operator=(const FleetOutputs&) = delete;

    fleet::Fleet devices;
    fleet::Clustering clustering;
    FleetTruth truth;
    FoundConstraints constraints;
};

/// Writes results.h5, unless it is there; `report` says who keeps the constraints. On the root.
void ensure_results(const StudyRun& run, const FleetOutputs& fleet,
                    const report::StudyReport& report);

} // namespace hdap::study
