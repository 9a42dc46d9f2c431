#include "hdap/surrogate/profile.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <cmath>

namespace hdap::surrogate {
namespace {

void check_size(const std::string& where, const char* name, std::size_t size, std::size_t outer,
                std::size_t inner) {
    if (inner == 0 || size % inner != 0 || size / inner != outer)
        throw core::DataError(where + ": " + name + " has " + std::to_string(size) +
                              " values, expected " + std::to_string(outer) + " x " +
                              std::to_string(inner));
}

/// Checks every value of a matrix with `inner` columns by `valid`.
template <class T, class Valid>
void check_values(const std::string& where, const char* name, const std::vector<T>& values,
                  std::size_t inner, const char* expected, Valid valid) {
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (!valid(values[i]))
            throw core::DataError(where + ": " + name + "[" + std::to_string(i / inner) + "][" +
                                  std::to_string(i % inner) + "] is " +
                                  core::shortest(static_cast<double>(values[i])) + ", expected " +
                                  expected);
    }
}

} // namespace

void check_profile(const Profile& profile, const std::string& where) {
    if (profile.candidates == 0 || profile.genes == 0 || profile.clusters == 0)
        throw core::DataError(where + ": a profile needs candidates, genes and clusters, not " +
                              std::to_string(profile.candidates) + ", " +
                              std::to_string(profile.genes) + " and " +
                              std::to_string(profile.clusters));
    check_size(where, "genomes", profile.genomes.size(), profile.candidates, profile.genes);
    check_size(where, "features", profile.features.size(), profile.candidates, profile.genes);
    check_size(where, "latency_ms", profile.latency_ms.size(), profile.clusters,
               profile.candidates);
    check_size(where, "unpruned_latency_ms", profile.unpruned_latency_ms.size(), profile.clusters,
               1);
    if (!profile.group_names.empty())
        check_size(where, "group_names", profile.group_names.size(), profile.genes, 1);

    check_values(where, "genomes", profile.genomes, profile.genes, "1 channel or more",
                 [](std::int32_t channels) { return channels >= 1; });
    check_values(where, "features", profile.features, profile.genes,
                 "a keep ratio above 0 and at most 1",
                 [](float ratio) { return ratio > 0 && ratio <= 1; });
    const auto positive = [](double latency) { return std::isfinite(latency) && latency > 0; };
    check_values(where, "latency_ms", profile.latency_ms, profile.candidates, "a positive latency",
                 positive);
    check_values(where, "unpruned_latency_ms", profile.unpruned_latency_ms, 1, "a positive latency",
                 positive);
}

void write_profile(storage::Hdf5Writer& file, const Profile& profile) {
    check_profile(profile, "the profile to write");
    const storage::Shape by_gene{profile.candidates, profile.genes};
    file.write_strings("/group_names", profile.group_names);
    file.write("/genomes", profile.genomes, by_gene);
    file.attribute("/genomes", "unit", "channels");
    file.write("/features", profile.features, by_gene);
    file.write("/latency_ms", profile.latency_ms, {profile.clusters, profile.candidates});
    file.attribute("/latency_ms", "unit", "ms");
    file.write("/unpruned_latency_ms", profile.unpruned_latency_ms);
    file.attribute("/unpruned_latency_ms", "unit", "ms");
}

Profile read_profile(const storage::Hdf5Reader& file) {
    const storage::Shape genomes = file.shape("/genomes");
    const storage::Shape latency = file.shape("/latency_ms");
    if (genomes.size() != 2 || latency.size() != 2)
        throw core::DataError(
            file.name() + ": /genomes and /latency_ms must have 2 dimensions, not " +
            std::to_string(genomes.size()) + " and " + std::to_string(latency.size()));
    Profile profile{
        .group_names = file.read_strings("/group_names"),
        .candidates = genomes[0],
        .genes = genomes[1],
        .genomes = file.read<std::int32_t>("/genomes", genomes),
        .features = file.read<float>("/features", genomes),
        .clusters = latency[0],
        .latency_ms = file.read<double>("/latency_ms", {latency[0], genomes[0]}),
        .unpruned_latency_ms = file.read<double>("/unpruned_latency_ms", {latency[0]}),
    };
    check_profile(profile, file.name());
    return profile;
}

} // namespace hdap::surrogate
