#include "hdap/fleet/random_networks.hpp"

#include "hdap/core/random.hpp"

#include <algorithm>

namespace hdap::fleet {
namespace {

/// A random candidate: an overall level first, so that all sizes occur, then every group around it.
network::Genome random_genome(const network::SearchSpace& space, core::RandomStream& random) {
    const double level = random.uniform();
    network::Genome genome;
    for (std::size_t g = 0; g < space.groups().size(); ++g) {
        const double keep = std::clamp(level + 0.5 * (random.uniform() - 0.5), 0.0, 1.0);
        genome.push_back(
            space.nearest_allowed(g, keep * static_cast<double>(space.groups()[g].channels)));
    }
    return genome;
}

std::vector<network::Genome> random_genomes(const network::SearchSpace& space,
                                            core::StreamId stream, std::uint64_t seed,
                                            std::int64_t count) {
    std::vector<network::Genome> genomes{space.unpruned()};
    for (std::uint32_t i = 1; i < static_cast<std::uint32_t>(count); ++i) {
        core::RandomStream random(seed, stream, i);
        genomes.push_back(random_genome(space, random));
    }
    return genomes;
}

} // namespace

std::vector<network::Genome> benchmark_genomes(const network::SearchSpace& space,
                                               std::uint64_t seed, std::int64_t count) {
    return random_genomes(space, core::StreamId::benchmark_networks, seed, count);
}

std::vector<std::string> benchmark_names(std::int64_t count) {
    std::vector<std::string> names{"unpruned"};
    for (std::int64_t b = 1; b < count; ++b)
        names.push_back("pruned-" + std::to_string(b));
    return names;
}

std::vector<network::Genome> profile_genomes(const network::SearchSpace& space, std::uint64_t seed,
                                             std::int64_t count) {
    return random_genomes(space, core::StreamId::profile_candidates, seed, count);
}

} // namespace hdap::fleet
