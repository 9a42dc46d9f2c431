#pragma once

#include "hdap/fleet/profile.hpp"
#include "hdap/search/regret.hpp"
#include "study_run.hpp"

#include <string>
#include <vector>

namespace hdap::study {

/// What a search regrets that sees less of the study's fleet, in its mean, 95th percentile, worst
/// cluster and, where the profile has that, under continuous load. Nothing of a fleet of one
/// cluster, or of a profile that is too small to be halved. `kind`: of the surrogates, those of the
/// study. On the root.
std::vector<search::ObjectiveRegret>
fleet_regrets(const StudyRun& run, const fleet::Profile& profile, const std::string& kind);

} // namespace hdap::study
