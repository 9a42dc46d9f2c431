#pragma once

#include "hdap/storage/hdf5.hpp"

#include <string>

namespace hdap::storage {

/// The root attributes that say what a file is and what it was made from.
struct FileIdentity {
    std::string schema;        ///< e.g. "hdap-fleet/1"
    std::string config_sha256; ///< of the settings that shaped the content
    std::string input_sha256;  ///< of the files that it was made from; empty for a first stage
};

/// Writes `identity` and the provenance of this process as attributes of the root group.
void write_identity(Hdf5Writer& file, const FileIdentity& identity);

/// Reads the root attributes and checks the schema.
/// Throws DataError when the file has another schema or none: names both.
FileIdentity read_identity(const Hdf5Reader& file, const std::string& expected_schema);

} // namespace hdap::storage
