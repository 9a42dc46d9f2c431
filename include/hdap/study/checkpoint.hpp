#pragma once

#include "hdap/core/log.hpp"
#include "hdap/storage/hdf5.hpp"
#include "hdap/storage/schema.hpp"

#include <filesystem>
#include <functional>

namespace hdap::study {

/// Gives the newest usable one of a checkpoint and the one before it to `read`, which throws
/// DataError when the content is damaged, and returns its path; empty when there is none.
///
/// A damaged one is renamed, ".damaged" behind its name, with a warning, and the one before it is
/// taken. Throws CorruptFileError, which says how to begin anew, when there are only damaged ones;
/// DataError when one cannot be opened or is of another version, which touches nothing: nobody
/// should lose days of work to a disk that could not be read for a moment; ConfigError with
/// `advice` when one belongs to something else (require_same_identity).
std::filesystem::path
newest_checkpoint(const std::filesystem::path& current, const std::filesystem::path& previous,
                  const storage::FileIdentity& identity, const std::string& advice, core::Log& log,
                  const std::function<void(const storage::Hdf5Reader&)>& read);

} // namespace hdap::study
