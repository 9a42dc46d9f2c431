#pragma once

#include "hdap/core/random.hpp"
#include "hdap/surrogate/profile.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace hdap::test {

/// A profile of random candidates whose latencies depend on products of neighbouring genes,
/// differently on each cluster, with 1 % of noise.
inline surrogate::Profile synthetic_profile(std::size_t candidates, std::size_t genes,
                                            std::size_t clusters) {
    constexpr std::uint64_t channels = 32;
    surrogate::Profile profile;
    profile.candidates = candidates;
    profile.genes = genes;
    profile.clusters = clusters;
    core::RandomStream random(21, core::StreamId::testing);
    for (std::size_t gene = 0; gene < genes; ++gene)
        profile.group_names.push_back("group" + std::to_string(gene));
    for (std::size_t i = 0; i < candidates * genes; ++i) {
        const std::uint64_t kept = 1 + random.below(channels);
        profile.genomes.push_back(static_cast<std::int32_t>(kept));
        profile.features.push_back(static_cast<float>(kept) / static_cast<float>(channels));
    }
    for (std::size_t k = 0; k < clusters; ++k) {
        const double unpruned = 10.0 * static_cast<double>(k + 1);
        profile.unpruned_latency_ms.push_back(unpruned);
        for (std::size_t i = 0; i < candidates; ++i) {
            const float* x = profile.features.data() + i * genes;
            double sum = 0.1;
            for (std::size_t g = 0; g + 1 < genes; ++g)
                sum += 0.9 / static_cast<double>(genes) * static_cast<double>(x[g] * x[g + 1]) *
                       static_cast<double>(1 + (g + k) % 3);
            profile.latency_ms.push_back(unpruned * sum * (1 + 0.01 * random.normal()));
        }
    }
    return profile;
}

} // namespace hdap::test
