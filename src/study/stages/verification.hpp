#pragma once

#include "study_run.hpp"

namespace hdap::study {

/// Measures networks that the study ended with on devices of the fleet, as its request asks, and
/// holds what was predicted against that: a line per network and device in verification.csv, a line
/// per network in verified.csv, and a table on stdout. Looks at the unpruned network and at those
/// that were fine-tuned; where none was, and with `whole_front`, at the front. What a source keeps
/// of it, the report tells from then on. False when it was asked to stop. Collective. Throws as the
/// source does.
bool verify_networks(StudyRun& run);

} // namespace hdap::study
