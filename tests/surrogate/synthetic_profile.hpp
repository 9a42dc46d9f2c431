#pragma once

#include "hdap/core/random.hpp"
#include "hdap/fleet/profile.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace hdap::test {

/// A profile of the unpruned network, with 32 channels in every group, and random candidates, whose
/// latencies depend on products of neighbouring keep ratios, differently on each cluster, with 1 %
/// of noise.
inline fleet::Profile synthetic_profile(std::size_t candidates, std::size_t genes,
                                        std::size_t clusters) {
    constexpr std::int32_t channels = 32;
    core::RandomStream random(21, core::StreamId::testing);
    fleet::Profile profile;
    profile.clusters = clusters;
    for (std::size_t gene = 0; gene < genes; ++gene)
        profile.group_names.push_back("group" + std::to_string(gene));
    profile.genomes.emplace_back(genes, channels);
    while (profile.candidates() < candidates)
        for (std::int32_t& kept : profile.genomes.emplace_back(genes))
            kept = static_cast<std::int32_t>(1 + random.below(channels));
    for (std::size_t k = 0; k < clusters; ++k) {
        for (const network::Genome& genome : profile.genomes) {
            double sum = 0.1;
            for (std::size_t g = 0; g + 1 < genes; ++g)
                sum += 0.9 / static_cast<double>(genes * channels * channels) *
                       static_cast<double>(genome[g] * genome[g + 1]) *
                       static_cast<double>(1 + (g + k) % 3);
            profile.latency_ms.push_back(10.0 * static_cast<double>(k + 1) * sum *
                                         (1 + 0.01 * random.normal()));
        }
    }
    return profile;
}

/// Random genomes for the same groups.
inline std::vector<network::Genome> random_genomes(std::uint32_t draw, std::size_t count,
                                                   std::size_t genes) {
    core::RandomStream random(22, core::StreamId::testing, draw);
    std::vector<network::Genome> genomes(count, network::Genome(genes));
    for (network::Genome& genome : genomes)
        for (std::int32_t& kept : genome)
            kept = static_cast<std::int32_t>(1 + random.below(32));
    return genomes;
}

} // namespace hdap::test
