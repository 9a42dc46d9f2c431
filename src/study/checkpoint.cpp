#include "hdap/study/checkpoint.hpp"

#include "hdap/core/error.hpp"
#include "hdap/study/run_directory.hpp"

namespace hdap::study {

namespace fs = std::filesystem;

fs::path newest_checkpoint(const fs::path& current, const fs::path& previous,
                           const storage::FileIdentity& identity, const std::string& advice,
                           core::Log& log,
                           const std::function<void(const storage::Hdf5Reader&)>& read) {
    std::string damage;
    for (const fs::path& file : {current, previous}) {
        if (!fs::exists(file)) continue;
        try {
            const auto reader = open_stage(file, identity.schema);
            require_same_identity(file, storage::read_identity(reader, identity.schema), identity,
                                  advice);
            read(reader);
            if (!damage.empty()) log.warning(damage + "; going on from " + file.string());
            return file;
        } catch (const core::Error& error) {
            if (error.kind() != core::ErrorKind::corrupt_file &&
                error.kind() != core::ErrorKind::data)
                throw;
            damage = error.what();
            // Out of the way, so that the next checkpoint does not keep it as the previous one.
            fs::rename(file, file.string() + ".damaged");
        }
    }
    if (!damage.empty())
        throw core::CorruptFileError(
            damage + "; there is no other checkpoint. The damaged files end in .damaged now: run "
                     "the command again to begin anew");
    return {};
}

} // namespace hdap::study
