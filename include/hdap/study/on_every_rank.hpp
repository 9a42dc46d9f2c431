#pragma once

#include "hdap/parallel/communicator.hpp"
#include "hdap/storage/hdf5.hpp"
#include "hdap/storage/sealed_file.hpp"

#include <functional>
#include <string>

namespace hdap::study {

// Thousands of ranks must not all ask the file system for the same bytes: the root reads, and every
// rank gets what it read.

/// The HDF5 content that `make` writes on the root. `name` stands for it in messages. Collective.
storage::Hdf5Reader make_on_every_rank(const parallel::Communicator& communicator,
                                       const std::string& name,
                                       const std::function<void(storage::Hdf5Writer&)>& make);

/// A file that the root reads. Collective.
storage::Hdf5Reader open_on_every_rank(const parallel::Communicator& communicator,
                                       const std::string& file,
                                       storage::Seal seal = storage::Seal::optional);

} // namespace hdap::study
