#include "hdap/fleet/profile.hpp"

#include "hdap/core/error.hpp"

#include <fmt/core.h>

#include <cmath>
#include <span>
#include <utility>

namespace hdap::fleet {
namespace {

void check_genome(const Profile& profile, std::size_t candidate, const std::string& where) {
    const network::Genome& genome = profile.genomes[candidate];
    if (genome.size() != profile.genes())
        throw core::DataError(fmt::format("{}: genomes[{}] has {} counts, expected {}", where,
                                          candidate, genome.size(), profile.genes()));
    for (std::size_t gene = 0; gene < genome.size(); ++gene) {
        const std::int32_t unpruned = profile.genomes[0][gene];
        if (genome[gene] < 1 || genome[gene] > unpruned)
            throw core::DataError(fmt::format(
                "{}: genomes[{}][{}] is {}, expected 1 to {}, the channels of the first candidate, "
                "which is the unpruned network",
                where, candidate, gene, genome[gene], unpruned));
    }
}

/// `name`: of these latencies, for messages.
void check_latencies(const Profile& profile, const std::vector<double>& latency_ms,
                     const std::string& name) {
    const std::size_t expected = profile.clusters * profile.candidates();
    if (latency_ms.size() / profile.candidates() != profile.clusters ||
        latency_ms.size() != expected)
        throw core::DataError(fmt::format("{} has {} values, expected {} x {}", name,
                                          latency_ms.size(), profile.clusters,
                                          profile.candidates()));
    for (std::size_t i = 0; i < expected; ++i) {
        const double latency = latency_ms[i];
        if (!std::isfinite(latency) || latency <= 0)
            throw core::DataError(fmt::format("{}[{}][{}] is {}, expected a positive number", name,
                                              i / profile.candidates(), i % profile.candidates(),
                                              latency));
    }
}

} // namespace

void check_profile(const Profile& profile, const std::string& where) {
    if (profile.candidates() == 0 || profile.genes() == 0 || profile.clusters == 0)
        throw core::DataError(
            fmt::format("{}: a profile needs candidates, genes and clusters, not {}, {} and {}",
                        where, profile.candidates(), profile.genes(), profile.clusters));
    for (std::size_t i = 0; i < profile.candidates(); ++i)
        check_genome(profile, i, where);
    check_latencies(profile, profile.latency_ms, where + ": latency_ms");
    for (const auto& [quantity, values] : profile.others)
        check_latencies(profile, values,
                        fmt::format("{}: {}", where, row_of(quantity).profile_path.substr(1)));
}

Profile profile_of_quantity(const Profile& profile, Quantity quantity) {
    const auto values = profile.others.find(quantity);
    if (values == profile.others.end())
        throw core::InternalError(fmt::format("a profile without {}", row_of(quantity).what));
    Profile alone = profile;
    alone.latency_ms = values->second;
    alone.others.clear();
    return alone;
}

void write_profile(storage::Hdf5Writer& file, const Profile& profile) {
    check_profile(profile, "the profile to write");
    std::vector<std::int32_t> genomes;
    for (const network::Genome& genome : profile.genomes)
        genomes.insert(genomes.end(), genome.begin(), genome.end());
    file.write_strings("/group_names", profile.group_names);
    file.write("/genomes", genomes, {profile.candidates(), profile.genes()});
    file.attribute("/genomes", "unit", "channels");
    file.write("/latency_ms", profile.latency_ms, {profile.clusters, profile.candidates()});
    file.attribute("/latency_ms", "unit", "ms");
    for (const auto& [quantity, values] : profile.others) {
        const std::string path(row_of(quantity).profile_path);
        file.write(path, values, {profile.clusters, profile.candidates()});
        file.attribute(path, "unit", std::string(row_of(quantity).unit));
    }
}

Profile read_profile(const storage::Hdf5Reader& file) {
    const storage::Shape shape = file.shape("/genomes");
    const storage::Shape latency = file.shape("/latency_ms");
    if (shape.size() != 2 || latency.size() != 2)
        throw core::DataError(
            fmt::format("{}: /genomes and /latency_ms must have 2 dimensions, not {} and {}",
                        file.name(), shape.size(), latency.size()));
    Profile profile;
    profile.group_names = file.read_strings("/group_names");
    profile.clusters = latency[0];
    profile.latency_ms = file.read<double>("/latency_ms", {latency[0], shape[0]});
    for (const QuantityRow& row : other_quantities())
        if (const std::string path(row.profile_path); file.contains(path))
            profile.others[row.quantity] = file.read<double>(path, {latency[0], shape[0]});
    const auto genomes = file.read<std::int32_t>("/genomes", shape);
    for (std::size_t i = 0; i < shape[0]; ++i) {
        const auto genome = std::span(genomes).subspan(i * shape[1], shape[1]);
        profile.genomes.emplace_back(genome.begin(), genome.end());
    }
    check_profile(profile, file.name());
    return profile;
}

} // namespace hdap::fleet
