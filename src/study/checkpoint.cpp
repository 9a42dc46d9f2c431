#include "hdap/study/checkpoint.hpp"

#include "hdap/core/error.hpp"
#include "hdap/study/run_directory.hpp"

#include <fmt/core.h>

namespace hdap::study {

namespace fs = std::filesystem;

namespace {

/// Out of the way, so that the next checkpoint does not keep it as the previous one.
void put_aside(const fs::path& file) {
    fs::path aside = file.string() + ".damaged";
    for (int number = 2; fs::exists(aside); ++number)
        aside = fmt::format("{}.damaged.{}", file.string(), number);
    fs::rename(file, aside);
}

} // namespace

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
            try {
                read(reader);
            } catch (const core::DataError& error) {
                throw core::CorruptFileError(error.what());
            }
            if (!damage.empty())
                log.warning(fmt::format("{}; going on from {}", damage, file.string()));
            return file;
        } catch (const core::CorruptFileError& error) {
            damage = error.what();
            put_aside(file);
        }
    }
    if (!damage.empty())
        throw core::CorruptFileError(
            damage + "; there is no other checkpoint. The damaged files have .damaged behind their "
                     "names now: run the command again to begin anew");
    return {};
}

} // namespace hdap::study
