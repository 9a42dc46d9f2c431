#pragma once

#include "hdap/network/search_space.hpp"

#include <string>

namespace hdap::cli {

/// Reads a genome that `space` allows: a JSON list of counts in the order of the groups, a JSON
/// object from group names to counts (groups that it does not name stay whole), or an HDF5 file
/// with a data set "/genome", as the networks of a study are.
/// Throws DataError for a file that is none of these, an unknown group (says the nearest) or a
/// count that is not allowed.
network::Genome read_genome(const std::string& file, const network::SearchSpace& space);

} // namespace hdap::cli
