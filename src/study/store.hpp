#pragma once

#include "hdap/network/search_space.hpp"
#include "hdap/storage/file_lock.hpp"
#include "hdap/storage/schema.hpp"

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>

/// Private to the module.
namespace hdap::study {

inline constexpr const char* accuracies_schema = "hdap-accuracies/1";

using Accuracies = std::map<network::Genome, double>;

/// A folder that studies share, so that what several of them need is made once: outputs of stages
/// and accuracies of candidates, filed by the hash of all that they depend on. Safe for processes
/// on all machines that see the folder: files appear whole, by renaming, and are never changed;
/// who is killed leaves nothing half done. Without file locks, work may be done twice, but results
/// stay right. Used on the root.
class Store {
  public:
    /// Throws DataError when the folder cannot be made.
    explicit Store(std::filesystem::path folder);

    /// The right to make what `identity` describes; others wait meanwhile. Nothing when `give_up`
    /// said true before it was our turn. See FileLock::acquire.
    [[nodiscard]] std::optional<storage::FileLock>
    lock(const storage::FileIdentity& identity, const std::function<bool()>& give_up,
         const std::function<void(const std::string&)>& tell = {}) const;

    /// Puts the stored file of that identity at `file`. Returns whether there is a sound one.
    [[nodiscard]] bool fetch(const storage::FileIdentity& identity,
                             const std::filesystem::path& file) const;

    /// Stores a stage's output.
    void keep(const storage::FileIdentity& identity, const std::filesystem::path& file) const;

    /// The stored accuracies of that identity; none when there is no sound file.
    [[nodiscard]] Accuracies accuracies(const storage::FileIdentity& identity) const;

    /// Adds accuracies to the stored ones, under the lock. Whose lock is not free within a minute
    /// keeps them for itself.
    void add_accuracies(const storage::FileIdentity& identity, const Accuracies& found) const;

  private:
    [[nodiscard]] std::filesystem::path path_of(const storage::FileIdentity& identity) const;

    std::filesystem::path folder_;
};

} // namespace hdap::study
