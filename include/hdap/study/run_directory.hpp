#pragma once

#include "hdap/core/log.hpp"
#include "hdap/storage/hdf5.hpp"
#include "hdap/storage/run_lock.hpp"
#include "hdap/storage/schema.hpp"
#include "hdap/study/settings.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace hdap::study {

/// The folder that holds one study: its configuration and all that came from it. Used on the root.
class RunDirectory {
  public:
    /// Makes the folder, or opens the one that is there, and locks it for this process. Its
    /// search may have had another length, see `lengthen`.
    /// Throws ConfigError when it belongs to another configuration (names the settings that
    /// differ), UsageError when another job uses it, DataError when it cannot
    /// be made.
    RunDirectory(std::filesystem::path path, const Settings& settings, core::Log& log);

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
    [[nodiscard]] std::filesystem::path operator/(const std::string& name) const {
        return path_ / name;
    }

    /// Makes `folder`, it or one in it, with one for networks, where they are not there; removes
    /// what jobs that were killed left unfinished in it. Throws DataError when it cannot be made.
    void make_folder(const std::filesystem::path& folder) const;

    /// Whether its file system has locks.
    [[nodiscard]] bool has_locks() const { return lock_->weakness().empty(); }

    /// Makes the length of the settings' search that of the run directory. `done`: the generations
    /// that its search has done. Where there are more to come, what fewer of them came to
    /// (networks, results, report) is moved to a folder "generations-N", N being the length of
    /// then (a damaged checkpoint does not change it), and made anew.
    void lengthen(const Settings& settings, std::int64_t done, core::Log& log);

  private:
    void continue_with(const Settings& settings);

    std::filesystem::path path_;
    std::int64_t generations_; ///< that config.toml asks for
    std::optional<storage::RunLock> lock_;
};

/// Whether the stage output `file` is there and was made as `expected` says. A damaged one counts
/// as absent, with a warning, as it can be made again.
/// Throws ConfigError when it was made from other inputs: it is never written over.
bool is_up_to_date(const std::filesystem::path& file, const storage::FileIdentity& expected,
                   core::Log& log);

/// What to do when a run directory's file was made from something else.
inline constexpr const char* another_run_directory =
    "choose another run directory with --out, or move the file away";

/// Whether an output that has identity `found` is the one that `expected` describes; throws
/// ConfigError, which ends in `advice`, when it was made from other settings or inputs.
void require_same_identity(const std::filesystem::path& file, const storage::FileIdentity& found,
                           const storage::FileIdentity& expected,
                           const std::string& advice = another_run_directory);

/// Writes a stage's output: `content` fills it, the identity and the seal are added.
void write_stage(const std::filesystem::path& file, const storage::FileIdentity& identity,
                 const std::function<void(storage::Hdf5Writer&)>& content,
                 const std::filesystem::path& previous = {});

/// Opens a stage's output, after checking seal and schema.
storage::Hdf5Reader open_stage(const std::filesystem::path& file, const std::string& schema);

/// A hash that stands for a file of this identity as an input of later stages. It does not depend
/// on when or where the file was made.
std::string identity_key(const storage::FileIdentity& identity);

} // namespace hdap::study
