#pragma once

#include "hdap/search/algorithm.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

/// Negatively Correlated Search: Tang, Yang and Yao, "Negatively Correlated Search" (IEEE Journal
/// on Selected Areas in Communications 34(3), 2016). Several (1+1) searches run side by side, each
/// a Gaussian around its parent; an offspring is judged by its fitness and by how far its Gaussian
/// is from those of the other searches, so that they look where the others do not.
///
/// The functions below are its steps. Each is a pure function of its arguments; random numbers come
/// from streams keyed by (seed, purpose, generation, individual). They know nothing of networks: a
/// point has a coordinate in [0, max_step] for each gene, in a search its pruning rate, and its
/// fitness, of any kind, is minimised.
namespace hdap::search::ncs {

using Point = std::vector<double>;

/// One search.
struct Process {
    Point parent;
    double deviation = 0;       ///< standard deviation of each coordinate of an offspring; (0, 1]
    std::int32_t successes = 0; ///< how often its parent was replaced in this epoch; [0, epoch)
};

/// A number of a parent and of its offspring.
struct Pair {
    double parent = 0;
    double offspring = 0;
};

/// The processes of generation 0, `parameters.population` of them: the first parent is 0, which
/// prunes nothing; the others are uniformly random. `genes` is at least 1.
std::vector<Process> first_processes(std::size_t genes, const AlgorithmParameters& parameters);

/// [process] An offspring of each parent, x' = x + N(0, σ²·I), clipped to [0, max_step].
/// @param generation that they are evaluated in, from 1; less than 2³²
std::vector<Point> offspring(std::span<const Process> processes, std::int64_t generation,
                             const AlgorithmParameters& parameters);

/// The Bhattacharyya distance of the Gaussians N(a, σa²·I) and N(b, σb²·I); 0 only for equal ones.
double distance(const Point& a, double deviation_a, const Point& b, double deviation_b);

/// The correlation of `process`, were `point` its parent: the smallest distance of its Gaussian to
/// that of another process. There are at least two. Complexity: O(processes · genes).
double correlation(std::span<const Process> processes, std::size_t process, const Point& point);

/// λ, what an offspring is accepted by in `generation`: 1 + N(0, 1)·(0.1 − 0.1·t/T) with
/// t = generation − 1 and T = `generations`. One draw for all processes.
double threshold(std::int64_t generation, std::int64_t generations, std::uint64_t seed);

/// Whether the offspring replaces its parent: f'/Corr' < λ, both normalised to shares of what
/// parent and offspring have together. As in the authors' code, a fitness counts from the least one
/// of the search so far, `best`: the shares of two fitnesses far from 0 would hardly differ, and
/// those of numbers below 0 would mean nothing. Of what the paper does not tell:
/// - where both have nothing (two fitnesses as good as the best, two Gaussians on top of others),
///   their shares are 1/2 each;
/// - an offspring with no correlation beside a parent with some is refused, whatever its fitness;
/// - an infinite fitness is that of a failure, which replaces nothing, and which anything finite
///   replaces.
bool replaces_parent(const Pair& fitness, double best, const Pair& correlation, double lambda);

/// [process] Whether its offspring replaces its parent. All offspring are compared with the parents
/// that the generation began with, so their order plays no part.
/// @param fitness [process]
/// @param best the least fitness of the search so far, that of `offspring` included
std::vector<bool> replacements(std::span<const Process> processes, std::span<const Point> offspring,
                               std::span<const Pair> fitness, double best, double lambda);

/// Puts the offspring that replace their parents in their places. At the end of every epoch the 1/5
/// rule follows: σ / r for a process of which more than a fifth of the epoch's offspring replaced
/// their parents, σ · r where less did, as it was for a fifth. σ stays within [1e-9, 1], which the
/// paper does not ask for, only for sums and quotients to stay finite in searches of any length.
void advance(std::vector<Process>& processes, std::span<const Point> offspring,
             const std::vector<bool>& replaced, std::int64_t generation,
             const NcsParameters& parameters);

/// What a search minimises. Where all constraints are met it is the objective, relative to the
/// reference's, or as it is where that is 0 or may be 0 (accuracy drops, shares of devices).
/// Elsewhere it is 1 + the sum of the violations; infinite for what could not be measured.
///
/// Of mean latency and `accuracy_drop.relative <= 0.1` this is the fitness of "Hardware-Aware DNN
/// Compression for Homogeneous Edge Devices" (arXiv 2501.15240), as public code has it: the mean
/// latency ÷ the unpruned network's, or (1 − a) / (1 − 0.9) where the accuracy is a < 0.9 of its.
double fitness(const Goal& goal, const EvaluationLog& log, std::size_t entry);

} // namespace hdap::search::ncs

namespace hdap::search {

std::unique_ptr<Algorithm> make_ncs(const AlgorithmParameters& parameters,
                                    const AlgorithmProblem& problem);

/// The settings that NCS alone reads; `parameters` must outlive them.
std::vector<core::Setting> ncs_settings(AlgorithmParameters& parameters);

} // namespace hdap::search
