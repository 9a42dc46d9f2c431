#include "genome_file.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "hdap/storage/hdf5.hpp"
#include "hdap/storage/user_file.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>

namespace hdap::cli {
namespace {

using nlohmann::ordered_json;

constexpr std::uintmax_t most_bytes = 16U << 20U;

std::string read_text(const std::string& file) {
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(file, error);
    if (error)
        throw core::DataError(fmt::format("cannot read the genome {}: {}", file, error.message()));
    std::ifstream input(file, std::ios::binary);
    if (!input) throw core::DataError("cannot read the genome " + file);
    if (size > most_bytes)
        throw core::DataError(
            fmt::format("{}: a genome has at most 16 MB, this file has {} bytes", file, size));
    return {std::istreambuf_iterator<char>(input), {}};
}

std::int32_t count_from(const std::string& file, const ordered_json& json) {
    const bool fits = json.is_number_integer() && json.get<std::int64_t>() >= 0 &&
                      json.get<std::int64_t>() <= std::numeric_limits<std::int32_t>::max();
    if (!fits)
        throw core::DataError(fmt::format("{}: expected a number of channels, got {}", file,
                                          json.dump().substr(0, 64)));
    return json.get<std::int32_t>();
}

network::Genome genome_from(const std::string& file, const ordered_json& document,
                            const network::SearchSpace& space) {
    network::Genome genome;
    if (document.is_array()) {
        for (const ordered_json& count : document)
            genome.push_back(count_from(file, count));
        return genome;
    }
    if (!document.is_object())
        throw core::DataError(file + ": expected a list of counts, or an object from the names of "
                                     "groups to counts");
    std::vector<std::string> names;
    for (const network::PruningGroup& group : space.groups())
        names.push_back(group.name);
    genome = space.unpruned();
    for (const auto& [name, count] : document.items()) {
        const auto found = std::find(names.begin(), names.end(), name);
        if (found == names.end())
            throw core::DataError(fmt::format("{}: the network has no pruning group '{}'{}", file,
                                              name.substr(0, 64),
                                              core::did_you_mean(name.substr(0, 64), names)));
        genome[static_cast<std::size_t>(found - names.begin())] = count_from(file, count);
    }
    return genome;
}

bool is_hdf5(const std::string& file) {
    return std::filesystem::path(file).extension() == ".h5";
}

} // namespace

network::Genome read_genome(const std::string& file, const network::SearchSpace& space) {
    network::Genome genome;
    if (is_hdf5(file)) {
        const auto read = [](const storage::Hdf5Reader& reader) {
            return reader.read<std::int32_t>("/genome");
        };
        genome = read(storage::open_user_file(file, read));
    } else {
        try {
            genome = genome_from(file, ordered_json::parse(read_text(file)), space);
        } catch (const nlohmann::json::exception& error) {
            throw core::DataError(fmt::format("{}: not JSON: {}", file, error.what()));
        }
    }
    try {
        space.validate(genome);
    } catch (const core::DataError& error) {
        throw core::DataError(fmt::format("{}: {}", file, error.what()));
    }
    return genome;
}

} // namespace hdap::cli
