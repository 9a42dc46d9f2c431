#pragma once

#include "genes.hpp"
#include "hdap/search/algorithm.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

/// NSGA-II: Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II" (IEEE TEVC
/// 6(2), 2002). Its first generation is that of random.hpp; the functions below are its other
/// steps. Each is a pure function of its arguments; its random numbers come from streams keyed by
/// (seed, purpose, generation, individual), so the order of calls does not matter.
namespace hdap::search {

/// `parameters.population` children of `parents`, to be evaluated in `generation`.
///
/// A parent is the winner of a binary tournament: the better rank, then the larger crowding
/// distance, then the lower index. Simulated binary crossover (Deb and Agrawal, "Simulated binary
/// crossover for continuous search space", Complex Systems 9, 1995) and polynomial mutation, both
/// in the bounded form, act on the keep ratios, which are then rounded to allowed counts. A gene
/// that mutates moves by at least one allowed count, as long as there is one in its direction.
///
/// A child that is `seen` or equals an earlier child of the generation is mutated again up to 16
/// times; then the genomes that follow it are tried in turn, at most 1,000. Only when all that
/// fails, as in a space that is nearly used up, the child stays as it is.
///
/// @param ranks, crowding of the parents, in their order
/// @param generation from 1; less than 2³²
/// @param seen whether a genome was evaluated before; may be empty
/// Throws ConfigError as `validate`, InternalError when sizes do not fit or there is no parent.
std::vector<network::Genome> offspring(const Genes& genes,
                                       const std::vector<network::Genome>& parents,
                                       std::span<const std::int32_t> ranks,
                                       std::span<const double> crowding, std::int64_t generation,
                                       const AlgorithmParameters& parameters, const Taken& seen);

/// The `n` individuals of parents and children that make the next parents, in the one order that
/// depends on nothing but the values: rank, then crowding distance descending, then index.
///
/// @param objectives [parents + children][m]
/// @param violations [parents + children], or empty when all are feasible
/// Throws InternalError when there are fewer than `n`, and as `non_dominated_rank`.
std::vector<std::size_t> survivors(std::span<const double> objectives, std::size_t m,
                                   std::span<const double> violations, std::size_t n);

std::unique_ptr<Algorithm> make_nsga2(const AlgorithmParameters& parameters,
                                      const AlgorithmProblem& problem);

/// The settings that NSGA-II alone reads; `parameters` must outlive them.
std::vector<core::Setting> nsga2_settings(AlgorithmParameters& parameters);

} // namespace hdap::search
