#include "hdap/storage/schema.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/provenance.hpp"

#include <fmt/core.h>

namespace hdap::storage {

void write_identity(Hdf5Writer& file, const FileIdentity& identity) {
    const core::Provenance provenance = core::current_provenance();
    file.attribute("/", "schema", identity.schema);
    file.attribute("/", "software", provenance.software);
    file.attribute("/", "software_version", provenance.software_version);
    file.attribute("/", "git_commit", provenance.git_commit);
    file.attribute("/", "created", provenance.created);
    file.attribute("/", "host", provenance.host);
    file.attribute("/", "job", provenance.job);
    file.attribute("/", "nodes", provenance.nodes);
    file.attribute("/", "libraries", provenance.libraries);
    file.attribute("/", "config_sha256", identity.config_sha256);
    file.attribute("/", "input_sha256", identity.input_sha256);
}

FileIdentity read_identity(const Hdf5Reader& file, const std::string& expected_schema) {
    if (!file.has_attribute("/", "schema"))
        throw core::DataError(fmt::format("{}: no root attribute 'schema'; expected a file of {}",
                                          file.name(), expected_schema));
    FileIdentity identity{
        .schema = file.attribute_string("/", "schema"), .config_sha256 = {}, .input_sha256 = {}};
    if (identity.schema != expected_schema)
        throw core::DataError(fmt::format("{}: holds '{}', expected '{}'", file.name(),
                                          identity.schema, expected_schema));
    // Files made by users may lack these two; they then never count as a stage's output.
    if (file.has_attribute("/", "config_sha256"))
        identity.config_sha256 = file.attribute_string("/", "config_sha256");
    if (file.has_attribute("/", "input_sha256"))
        identity.input_sha256 = file.attribute_string("/", "input_sha256");
    return identity;
}

} // namespace hdap::storage
