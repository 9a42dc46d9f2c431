#include "store.hpp"

#include "hdap/core/error.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "hdap/study/run_directory.hpp"

#include <fmt/core.h>

#include <chrono>
#include <system_error>
#include <vector>

namespace hdap::study {
namespace {

namespace fs = std::filesystem;

/// Runs `read`; nothing when the file is not there, damaged, or of another kind: what a store
/// holds can be made again.
template <class Read>
auto if_sound(const fs::path& file, const Read& read) -> std::optional<decltype(read())> {
    if (!fs::exists(file)) return std::nullopt;
    try {
        return read();
    } catch (const core::Error& error) {
        if (error.kind() != core::ErrorKind::corrupt_file && error.kind() != core::ErrorKind::data)
            throw;
        return std::nullopt;
    }
}

Accuracies read_accuracies(const storage::Hdf5Reader& file) {
    const auto values = file.read<double>("/accuracy");
    const auto shape = file.shape("/genomes");
    if (shape.size() != 2 || shape[0] != values.size())
        throw core::DataError(file.name() + ": /genomes and /accuracy disagree");
    const auto genomes = file.read<std::int32_t>("/genomes");
    Accuracies accuracies;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto first = genomes.begin() + static_cast<std::ptrdiff_t>(i * shape[1]);
        accuracies[{first, first + static_cast<std::ptrdiff_t>(shape[1])}] = values[i];
    }
    return accuracies;
}

void write_accuracies(storage::Hdf5Writer& file, const Accuracies& accuracies) {
    std::vector<std::int32_t> genomes;
    std::vector<double> values;
    for (const auto& [genome, accuracy] : accuracies) {
        genomes.insert(genomes.end(), genome.begin(), genome.end());
        values.push_back(accuracy);
    }
    file.write<std::int32_t>(
        "/genomes", genomes,
        {values.size(), genomes.size() / std::max<std::size_t>(1, values.size())});
    file.attribute("/genomes", "unit", "channels");
    file.write<double>("/accuracy", values);
    file.attribute("/accuracy", "unit", "1");
}

} // namespace

Store::Store(fs::path folder) : folder_(std::move(folder)) {
    std::error_code error;
    fs::create_directories(folder_, error);
    if (error)
        throw core::DataError(
            fmt::format("cannot make the store {}: {}", folder_.string(), error.message()));
}

fs::path Store::path_of(const storage::FileIdentity& identity) const {
    // "hdap-fleet/1" → "fleet-<hash>.h5"
    const std::string& schema = identity.schema;
    const std::size_t first = schema.find('-') + 1;
    const std::string kind = schema.substr(first, schema.find('/') - first);
    return folder_ / fmt::format("{}-{}.h5", kind, identity_key(identity));
}

std::optional<storage::FileLock>
Store::lock(const storage::FileIdentity& identity, const std::function<bool()>& give_up,
            const std::function<void(const std::string&)>& tell) const {
    return storage::FileLock::acquire(path_of(identity).replace_extension(".lock"), give_up, tell);
}

bool Store::fetch(const storage::FileIdentity& identity, const fs::path& file) const {
    const fs::path stored = path_of(identity);
    const auto bytes = if_sound(stored, [&] {
        const auto reader = open_stage(stored, identity.schema);
        require_same_identity(stored, storage::read_identity(reader, identity.schema), identity);
        return storage::read_sealed(stored);
    });
    if (!bytes) return false;
    // A link costs no space where a fleet of millions is shared by a thousand studies. Files are
    // replaced by renaming, never changed, so no study can spoil another's.
    std::error_code error;
    fs::create_hard_link(stored, file, error);
    if (error) storage::write_sealed(file, *bytes);
    return true;
}

void Store::keep(const storage::FileIdentity& identity, const fs::path& file) const {
    const fs::path stored = path_of(identity);
    storage::write_sealed(stored, storage::read_sealed(file));
}

Accuracies Store::accuracies(const storage::FileIdentity& identity) const {
    const fs::path stored = path_of(identity);
    const auto found =
        if_sound(stored, [&] { return read_accuracies(open_stage(stored, identity.schema)); });
    return found.value_or(Accuracies());
}

void Store::add_accuracies(const storage::FileIdentity& identity, const Accuracies& found) const {
    const auto patience_ends = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    const auto held =
        lock(identity, [&] { return std::chrono::steady_clock::now() > patience_ends; });
    if (!held) return;
    Accuracies all = accuracies(identity);
    const std::size_t before = all.size();
    all.insert(found.begin(), found.end());
    if (all.size() == before) return;
    write_stage(path_of(identity), identity,
                [&](storage::Hdf5Writer& file) { write_accuracies(file, all); });
}

} // namespace hdap::study
