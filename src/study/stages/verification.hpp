#pragma once

#include "study_run.hpp"
#include "verification_file.hpp"

#include <cstddef>

namespace hdap::study {

/// Measures networks that the study ended with anew on devices of the fleet, as its request asks,
/// and holds what was predicted against that: verification.h5, which the report and the results go
/// by from then on, a line per network and device in verification.csv, a line per network in
/// verified.csv, and a table on stdout. Looks at the unpruned network and at those that were
/// fine-tuned; where none was, and with `whole_front`, at the front. False when it was asked to
/// stop; the next call goes on. Collective. Throws as the source does.
bool verify_networks(StudyRun& run);

/// What verify_networks measured last on a fleet of so many devices; without networks, and occasion
/// 0, where there is nothing, or it is damaged: then with a warning. On the root.
Verification verification_of(const StudyRun& run, std::size_t devices);

} // namespace hdap::study
