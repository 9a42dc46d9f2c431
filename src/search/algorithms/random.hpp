#pragma once

#include "genes.hpp"
#include "hdap/search/algorithm.hpp"

#include <cstdint>
#include <memory>
#include <vector>

/// Random candidates: the search that others are compared with, and where they begin.
namespace hdap::search {

/// The first generation: individual 0 is unpruned; then a few uniform widths, evenly from the
/// widest to the smallest genome; the others have random keep ratios around overall levels that
/// are spread so that the whole range of costs is covered.
/// All are distinct when the genes have that many genomes; otherwise some are repeated.
/// Throws ConfigError as `validate`.
std::vector<network::Genome> initial_population(const Genes& genes,
                                                const AlgorithmParameters& parameters);

/// `parameters.population` random candidates, to be evaluated in `generation`: random keep ratios
/// around overall levels, as in the first generation. They are distinct and not `seen`, which may
/// be empty, unless the space is nearly used up.
/// Throws ConfigError as `validate`.
std::vector<network::Genome> random_candidates(const Genes& genes, std::int64_t generation,
                                               const AlgorithmParameters& parameters,
                                               const Taken& seen);

std::unique_ptr<Algorithm> make_random(const AlgorithmParameters& parameters,
                                       const AlgorithmProblem& problem);

} // namespace hdap::search
