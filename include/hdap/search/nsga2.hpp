#pragma once

#include "hdap/core/settings.hpp"
#include "hdap/network/search_space.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace hdap::search {

/// Where the candidates of a generation come from.
enum class Offspring {
    of_parents, ///< crossover and mutation of selected parents
    random,     ///< the baseline: random candidates, as in the first generation
};

/// NSGA-II: Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II" (IEEE TEVC
/// 6(2), 2002). The functions below are its steps. Each is a pure function of its arguments; its
/// random numbers come from streams keyed by (seed, purpose, generation, individual), so any rank
/// can compute them and the order of calls does not matter.
struct Nsga2Parameters {
    std::int64_t population = 32;       ///< individuals; [2, 1000000]
    std::int64_t generations = 20;      ///< [0, 1000000]
    double crossover_probability = 0.9; ///< that a child has two parents; [0, 1]
    double crossover_eta = 15;          ///< larger: children nearer to their parents; [0, 1000]
    double mutation_probability = 0;    ///< of each gene; [0, 1]; 0 stands for 1 ÷ genes
    double mutation_eta = 20;           ///< larger: smaller steps; [0, 1000]
    /// That a candidate whose evaluation is given up is dominated; 0: none is given up; [0, 1)
    double give_up_confidence = 0;
    Offspring offspring = Offspring::of_parents;
    std::uint64_t seed = 1;
};

/// Throws ConfigError for a parameter out of its range: names it, its value and the range.
void validate(const Nsga2Parameters& parameters);

/// The first generation: individual 0 is unpruned; then a few uniform widths, evenly from the
/// widest to the smallest genome; the others have random keep ratios around overall levels that
/// are spread so that the whole range of costs is covered.
/// All are distinct when the space has that many genomes; otherwise some are repeated.
/// Throws ConfigError as `validate`.
std::vector<network::Genome> initial_population(const network::SearchSpace& space,
                                                const Nsga2Parameters& parameters);

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
std::vector<network::Genome> offspring(const network::SearchSpace& space,
                                       const std::vector<network::Genome>& parents,
                                       std::span<const std::int32_t> ranks,
                                       std::span<const double> crowding, std::int64_t generation,
                                       const Nsga2Parameters& parameters,
                                       const std::function<bool(const network::Genome&)>& seen);

/// `parameters.population` random candidates, to be evaluated in `generation`: random keep ratios
/// around overall levels, as in the first generation. Distinct and not `seen`, as `offspring`.
/// Throws ConfigError as `validate`.
std::vector<network::Genome>
random_candidates(const network::SearchSpace& space, std::int64_t generation,
                  const Nsga2Parameters& parameters,
                  const std::function<bool(const network::Genome&)>& seen);

/// The `n` individuals of parents and children that make the next parents, in the one order that
/// depends on nothing but the values: rank, then crowding distance descending, then index.
///
/// @param objectives [parents + children][m]
/// @param violations [parents + children], or empty when all are feasible
/// Throws InternalError when there are fewer than `n`, and as `non_dominated_rank`.
std::vector<std::size_t> survivors(std::span<const double> objectives, std::size_t m,
                                   std::span<const double> violations, std::size_t n);

/// The settings of `parameters`, which must outlive them; all but the seed.
std::vector<core::Setting> settings_of(Nsga2Parameters& parameters);

} // namespace hdap::search
