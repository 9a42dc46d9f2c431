#pragma once

#include "genes.hpp"
#include "hdap/search/algorithm.hpp"

#include <memory>
#include <vector>

/// Uniform widths: the same share of every gene, the simplest baseline.
namespace hdap::search {

/// A keep ratio for each different genome that Genes::uniform gives, from 1 down to 0, which stands
/// for the smallest. Complexity: O(n · groups) for n of them, at most the sum of all genes' values.
std::vector<double> uniform_ratios(const Genes& genes);

/// 0 … `count` − 1 in an order in which the first few, however many, are spread about evenly: the
/// first, the last, then by van der Corput's sequence (1/2, 1/4, 3/4, 1/8, 5/8, …) in base 2.
std::vector<std::size_t> spread_order(std::size_t count);

/// Asks for uniform widths only, each once. Generation 0 has `population` of them from the unpruned
/// to the smallest network, about evenly; every other generation refines, with the next
/// `population` in the order of `spread_order`. When all were asked for, only the unpruned network
/// is, which costs no evaluation.
std::unique_ptr<Algorithm> make_uniform(const AlgorithmParameters& parameters,
                                        const AlgorithmProblem& problem);

} // namespace hdap::search
