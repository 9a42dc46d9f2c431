#pragma once

#include "hdap/network/search_space.hpp"
#include "hdap/study/settings.hpp"

#include <string>
#include <vector>

namespace hdap::study {

// The networks that a study measures on devices. They depend on its seed, its network and their
// number alone, so that a measured fleet runs what a simulated one would.

/// The benchmark networks: the unpruned network, then `fleet.benchmarks` − 1 randomly pruned ones.
std::vector<network::Genome> benchmark_genomes(const Settings& settings,
                                               const network::SearchSpace& space);

/// Their names: "unpruned", "pruned-1", "pruned-2", …
std::vector<std::string> benchmark_names(const Settings& settings);

/// The candidates of the profile: the unpruned network, then `profile.candidates` − 1 randomly
/// pruned ones.
std::vector<network::Genome> profile_genomes(const Settings& settings,
                                             const network::SearchSpace& space);

} // namespace hdap::study
