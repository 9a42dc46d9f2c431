#pragma once

#include "hdap/accuracy/candidate_evaluator.hpp"
#include "hdap/fleet/distribution.hpp"
#include "hdap/network/prunable.hpp"
#include "hdap/search/goal.hpp"
#include "hdap/search/metrics.hpp"
#include "hdap/surrogate/surrogate.hpp"

#include <map>
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
    fleet::FleetDistribution fleet; ///< of as many clusters as the surrogates'
    Goal goal;
    /// What metrics are relative to, where that is not the largest genome of the space: the study's
    /// own network, where an earlier round pruned it already.
    std::optional<CandidateFacts> reference = {};
    /// Predict other quantities: those that a metric of the study needs.
    std::map<fleet::Quantity, std::unique_ptr<const surrogate::Surrogate>> others = {};

    /// Predictions of a candidate: of each quantity one per cluster.
    [[nodiscard]] std::size_t predictions() const { return fleet.clusters() * (1 + others.size()); }
};

/// The accuracy of guessing; 0 without an evaluator.
double chance_accuracy(const SearchProblem& problem);

/// What each genome takes on each cluster's representatives: [genome][prediction], where a genome's
/// predictions are the latency on each cluster, in ms, and then what else is predicted, quantity
/// by quantity in their order, each on each cluster.
std::vector<double> predicted_latencies(const SearchProblem& problem,
                                        std::span<const network::Genome> genomes, int threads);

/// What is known of a candidate with these predictions, those of predicted_latencies or none, and
/// this accuracy.
CandidateFacts facts_of(const SearchProblem& problem, const network::Genome& genome,
                        std::span<const double> predictions, double accuracy);

/// The same of an entry of the evaluation log.
CandidateFacts facts_of(const SearchProblem& problem, const Evaluation& evaluation);

/// Throws InfeasibleError when a constraint on what follows from the costs lies below what the
/// smallest candidate needs.
void refuse_impossible_constraints(const SearchProblem& problem);

} // namespace hdap::search
