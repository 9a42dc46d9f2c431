#include "hdap/study/run_directory.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/hash.hpp"
#include "hdap/core/text.hpp"
#include "hdap/storage/sealed_file.hpp"

#include <fmt/format.h>

#include <array>
#include <string_view>
#include <vector>

namespace hdap::study {
namespace {

namespace fs = std::filesystem;

/// What the end of a study writes.
constexpr std::array end_of_study{"networks", "results.h5", "front.csv", "report.html"};

/// The first folder of that name, or with a number behind it, that is not there.
fs::path free_folder(const fs::path& wanted) {
    fs::path folder = wanted;
    for (int number = 2; fs::exists(folder); ++number)
        folder = fmt::format("{}.{}", wanted.string(), number);
    return folder;
}

} // namespace

RunDirectory::RunDirectory(fs::path path, const Settings& settings, core::Log& log)
    : path_(std::move(path)), generations_(settings.search.length.generations) {
    std::error_code error;
    fs::create_directories(path_, error);
    if (error)
        throw core::DataError(
            fmt::format("cannot make the run directory {}: {}", path_.string(), error.message()));
    lock_.emplace(path_);
    if (!lock_->weakness().empty()) log.warning(lock_->weakness());
    if (!lock_->stale_owner().empty())
        log.info(fmt::format("taking over {} from a job that did not end in order ({})",
                             path_.string(), lock_->stale_owner()));
    storage::remove_temporary_files(path_);
    if (fs::exists(path_ / "config.toml"))
        continue_with(settings);
    else
        storage::write_atomically(path_ / "config.toml", settings_text(settings));
}

void RunDirectory::make_folder(const fs::path& folder) const {
    std::error_code error;
    fs::create_directories(folder / "networks", error);
    if (error)
        throw core::DataError(
            fmt::format("cannot make the folder {}: {}", folder.string(), error.message()));
    storage::remove_temporary_files(folder);
    storage::remove_temporary_files(folder / "networks");
}

void RunDirectory::continue_with(const Settings& settings) {
    const Settings there = load_settings_file(path_ / "config.toml", {});
    // The rounds after the first are of a search of this length.
    const bool may_lengthen = settings.rounds == 1;
    auto different = setting_differences(
        there, settings,
        may_lengthen ? core::without(core::Outputs::everything, core::Outputs::search_length)
                     : core::Outputs::everything);
    // A preset is no difference, but may be why there are some.
    if (there.preset != settings.preset && !different.empty())
        different.insert(different.begin(), fmt::format("preset = \"{}\" there, \"{}\" here",
                                                        there.preset, settings.preset));
    if (!different.empty())
        throw core::ConfigError(
            fmt::format("run directory {} belongs to another configuration: {}. Choose another "
                        "one with --out, or use its settings",
                        path_.string(), core::join(different, "; ")));
    generations_ = there.search.length.generations;
}

void RunDirectory::lengthen(const Settings& settings, std::int64_t done, core::Log& log) {
    if (settings.search.length.generations == generations_) return;
    const bool has_results = !fs::is_empty(path_ / "networks") || fs::exists(path_ / "results.h5");
    if (done < settings.search.length.generations && has_results) {
        const fs::path aside = free_folder(path_ / fmt::format("generations-{}", generations_));
        fs::create_directories(aside);
        for (const char* name : end_of_study)
            if (fs::exists(path_ / name)) fs::rename(path_ / name, aside / name);
        fs::create_directories(path_ / "networks");
        log.info(fmt::format("what {} came to is kept in {}",
                             core::counted(generations_, "generation"), aside.string()));
    }
    storage::write_atomically(path_ / "config.toml", settings_text(settings));
    generations_ = settings.search.length.generations;
}

void require_same_identity(const fs::path& file, const storage::FileIdentity& found,
                           const storage::FileIdentity& expected, const std::string& advice) {
    if (found.config_sha256 == expected.config_sha256 &&
        found.input_sha256 == expected.input_sha256)
        return;
    const bool settings_differ = found.config_sha256 != expected.config_sha256;
    throw core::ConfigError(fmt::format(
        "{} was made from other {}; it is not written over: {}", file.string(),
        settings_differ ? "settings" : "input files (weights, images, measurements)", advice));
}

bool is_up_to_date(const fs::path& file, const storage::FileIdentity& expected, core::Log& log) {
    if (!fs::exists(file)) return false;
    storage::FileIdentity found;
    try {
        found = storage::read_identity(open_stage(file, expected.schema), expected.schema);
    } catch (const core::Error& error) {
        if (error.kind() != core::ErrorKind::corrupt_file && error.kind() != core::ErrorKind::data)
            throw;
        log.warning(fmt::format("{}; making it again", error.what()));
        return false;
    }
    require_same_identity(file, found, expected);
    return true;
}

void write_stage(const fs::path& file, const storage::FileIdentity& identity,
                 const std::function<void(storage::Hdf5Writer&)>& content,
                 const fs::path& previous) {
    storage::Hdf5Writer writer;
    storage::write_identity(writer, identity);
    content(writer);
    storage::write_sealed(file, writer.finish(), previous);
}

storage::Hdf5Reader open_stage(const fs::path& file, const std::string& schema) {
    auto reader = storage::Hdf5Reader::from_bytes(storage::read_sealed(file), file.string());
    storage::read_identity(reader, schema);
    return reader;
}

std::string identity_key(const storage::FileIdentity& identity) {
    const std::string text =
        fmt::format("{}|{}|{}", identity.schema, identity.config_sha256, identity.input_sha256);
    return core::sha256_hex(std::string_view(text));
}

} // namespace hdap::study
