#pragma once

#include "hdap/network/search_space.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace hdap::fleet {

// Networks to be measured on devices. They depend on the search space, a seed and their number
// alone, so that a measured fleet runs what a simulated one would; a longer list begins with a
// shorter one.

/// The benchmark networks: the unpruned network, then `count` − 1 randomly pruned ones.
std::vector<network::Genome> benchmark_genomes(const network::SearchSpace& space,
                                               std::uint64_t seed, std::int64_t count);

/// Their names: "unpruned", "pruned-1", "pruned-2", …
std::vector<std::string> benchmark_names(std::int64_t count);

/// The candidates of a profile: the unpruned network, then `count` − 1 randomly pruned ones.
std::vector<network::Genome> profile_genomes(const network::SearchSpace& space, std::uint64_t seed,
                                             std::int64_t count);

} // namespace hdap::fleet
