#pragma once

#include "hdap/accuracy/candidate_evaluator.hpp"
#include "hdap/fleet/distribution.hpp"
#include "hdap/network/prunable.hpp"
#include "hdap/search/goal.hpp"
#include "hdap/search/metrics.hpp"
#include "hdap/surrogate/surrogate.hpp"

#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace hdap::search {

/// What is searched: the same on every rank.
struct SearchProblem {
    const network::SearchSpace& space; ///< what candidates are chosen from
    /// Of the study's own network, whatever part of its genomes is searched.
    const network::CostModel& costs;
    std::unique_ptr<const surrogate::Surrogate> surrogate;
    /// Null: nothing measures accuracies, and no metric of the goal needs them.
    const accuracy::CandidateEvaluator* evaluator = nullptr;
    fleet::FleetDistribution fleet; ///< of as many clusters as the surrogate's
    Goal goal;
    /// What metrics are relative to, where that is not the largest genome of the space: the study's
    /// own network, where an earlier round pruned it already.
    std::optional<CandidateFacts> reference = {};
};

/// The accuracy of guessing; 0 without an evaluator.
double chance_accuracy(const SearchProblem& problem);

/// The latency of each genome on each cluster's representatives, [genome][cluster], in ms.
std::vector<double> predicted_latencies(const SearchProblem& problem,
                                        std::span<const network::Genome> genomes, int threads);

/// What is known of a candidate with these latencies, [cluster], and this accuracy.
CandidateFacts facts_of(const SearchProblem& problem, const network::Genome& genome,
                        std::span<const double> cluster_latency_ms, double accuracy);

/// The same of an entry of the evaluation log.
CandidateFacts facts_of(const SearchProblem& problem, const Evaluation& evaluation);

/// Throws InfeasibleError when a constraint on what follows from the costs lies below what the
/// smallest candidate needs.
void refuse_impossible_constraints(const SearchProblem& problem);

} // namespace hdap::search
