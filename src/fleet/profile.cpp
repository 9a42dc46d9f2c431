#include "hdap/fleet/profile.hpp"

#include "hdap/core/error.hpp"

#include <fmt/core.h>

#include <cmath>
#include <span>
#include <utility>

namespace hdap::fleet {
namespace {

constexpr const char* sustained_path = "/sustained_latency_ms";

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
            throw core::DataError(fmt::format("{}[{}][{}] is {}, expected a positive latency", name,
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
    if (!profile.sustained_ms.empty())
        check_latencies(profile, profile.sustained_ms, where + ": sustained_latency_ms");
}

Profile sustained_profile(const Profile& profile) {
    if (profile.sustained_ms.empty())
        throw core::InternalError("a profile without latencies under continuous load");
    Profile sustained = profile;
    sustained.latency_ms = std::move(sustained.sustained_ms);
    sustained.sustained_ms.clear();
    return sustained;
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
    if (profile.sustained_ms.empty()) return;
    file.write(sustained_path, profile.sustained_ms, {profile.clusters, profile.candidates()});
    file.attribute(sustained_path, "unit", "ms");
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
    if (file.contains(sustained_path))
        profile.sustained_ms = file.read<double>(sustained_path, {latency[0], shape[0]});
    const auto genomes = file.read<std::int32_t>("/genomes", shape);
    for (std::size_t i = 0; i < shape[0]; ++i) {
        const auto genome = std::span(genomes).subspan(i * shape[1], shape[1]);
        profile.genomes.emplace_back(genome.begin(), genome.end());
    }
    check_profile(profile, file.name());
    return profile;
}

} // namespace hdap::fleet
