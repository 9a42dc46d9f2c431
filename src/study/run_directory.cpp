#include "hdap/study/run_directory.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/hash.hpp"
#include "hdap/core/text.hpp"
#include "hdap/storage/sealed_file.hpp"

#include <algorithm>
#include <array>
#include <sstream>
#include <string_view>
#include <vector>

namespace hdap::study {
namespace {

namespace fs = std::filesystem;

void write_text(const fs::path& file, const std::string& text) {
    storage::write_atomically(file, std::as_bytes(std::span(text.data(), text.size())));
}

} // namespace

RunDirectory::RunDirectory(fs::path path, const Settings& settings, core::Log& log)
    : path_(std::move(path)) {
    std::error_code error;
    fs::create_directories(path_ / "networks", error);
    if (error)
        throw core::DataError("cannot make the run directory " + path_.string() + ": " +
                              error.message());
    lock_.emplace(path_);
    if (!lock_->stale_owner().empty())
        log.info("taking over " + path_.string() + " from a job that did not end in order (" +
                 lock_->stale_owner() + ")");
    storage::remove_temporary_files(path_);
    storage::remove_temporary_files(path_ / "networks");
    const fs::path config = path_ / "config.toml";
    if (!fs::exists(config)) {
        write_text(config, settings_text(settings));
        return;
    }
    const auto different =
        setting_differences(load_settings_file(config, {}), settings, core::Outputs::everything);
    if (!different.empty())
        throw core::ConfigError(
            "run directory " + path_.string() + " belongs to another configuration: " +
            core::join(different, "; ") + ". Choose another one with --out, or use its settings");
}

void require_same_identity(const fs::path& file, const storage::FileIdentity& found,
                           const storage::FileIdentity& expected, const std::string& advice) {
    if (found.config_sha256 == expected.config_sha256 &&
        found.input_sha256 == expected.input_sha256)
        return;
    const bool settings_differ = found.config_sha256 != expected.config_sha256;
    throw core::ConfigError(file.string() + " was made from other " +
                            (settings_differ ? "settings" : "input files (weights or images)") +
                            "; it is not written over: " + advice);
}

bool is_up_to_date(const fs::path& file, const storage::FileIdentity& expected, core::Log& log) {
    if (!fs::exists(file)) return false;
    storage::FileIdentity found;
    try {
        found = storage::read_identity(open_stage(file, expected.schema), expected.schema);
    } catch (const core::Error& error) {
        if (error.kind() != core::ErrorKind::corrupt_file && error.kind() != core::ErrorKind::data)
            throw;
        log.warning(std::string(error.what()) + "; making it again");
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
    return core::sha256_hex(std::string_view(identity.schema + "|" + identity.config_sha256 + "|" +
                                             identity.input_sha256));
}

} // namespace hdap::study
