#pragma once

#include "hdap/fleet/fleet.hpp"
#include "hdap/storage/hdf5.hpp"

#include <string>

namespace hdap::cli {

/// The fleet in a file of hdap-fleet/1.
fleet::Fleet fleet_in(const storage::Hdf5Reader& content);

/// A warning on stderr, behind what stdout has got so far.
void print_warning(const std::string& sentence);

/// What is odd about the fleet in `file`, as warnings.
void warn_of_doubts(const std::string& file, const fleet::Fleet& devices);

/// How much is missing, where something is.
void print_missing(const fleet::Fleet& devices);

} // namespace hdap::cli
