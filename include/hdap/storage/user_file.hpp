#pragma once

#include "hdap/storage/hdf5.hpp"

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace hdap::storage {

/// All that a caller does with a reader.
using Reading = std::function<void(const Hdf5Reader&)>;

/// Opens the HDF5 file of a user. HDF5 does not survive every damage, so what has no seal is first
/// read in a process of its own, by `reading`, which does all that the caller will do with the
/// file. Throws what read_sealed and `reading` throw, and DataError when HDF5 crashes, does not
/// end, or takes far more memory than the file is large. Complexity: without a seal, `reading` is
/// done twice.
Hdf5Reader open_user_file(const std::string& file, const Reading& reading);

/// The same of bytes without a seal. `name` stands for the file in messages.
Hdf5Reader open_user_bytes(std::vector<std::byte> bytes, const std::string& name,
                           const Reading& reading);

} // namespace hdap::storage
