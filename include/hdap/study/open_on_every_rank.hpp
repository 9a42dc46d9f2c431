#pragma once

#include "hdap/parallel/communicator.hpp"
#include "hdap/storage/hdf5.hpp"

#include <string>

namespace hdap::study {

/// A file that the root reads and every rank gets: thousands of ranks must not all ask the file
/// system for it. Its seal, if it has one, must fit. Collective.
storage::Hdf5Reader open_on_every_rank(const parallel::Communicator& communicator,
                                       const std::string& file);

} // namespace hdap::study
