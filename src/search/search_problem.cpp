#include "hdap/search/search_problem.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace hdap::search {

double chance_accuracy(const SearchProblem& problem) {
    return problem.evaluator == nullptr ? 0.0 : problem.evaluator->chance_accuracy();
}

std::vector<double> predicted_latencies(const SearchProblem& problem,
                                        std::span<const network::Genome> genomes, int threads) {
    std::vector<double> latencies(genomes.size() * problem.fleet.clusters());
    if (!genomes.empty()) problem.surrogate->predict(genomes, latencies, threads);
    // A surrogate that knows next to nothing may predict a little less than no time.
    for (double& latency : latencies)
        latency = std::max(latency, 0.0);
    return latencies;
}

CandidateFacts facts_of(const SearchProblem& problem, const network::Genome& genome,
                        std::span<const double> cluster_latency_ms, double accuracy) {
    return {.costs = problem.costs.total(genome),
            .cluster_latency_ms = {cluster_latency_ms.begin(), cluster_latency_ms.end()},
            .accuracy = accuracy};
}

CandidateFacts facts_of(const SearchProblem& problem, const Evaluation& evaluation) {
    return facts_of(problem, evaluation.genome, evaluation.cluster_latency_ms, evaluation.accuracy);
}

void refuse_impossible_constraints(const SearchProblem& problem) {
    const CandidateFacts smallest = facts_of(problem, problem.space.smallest(), {}, 0.0);
    const CandidateFacts reference = problem.reference
                                         ? *problem.reference
                                         : facts_of(problem, problem.space.unpruned(), {}, 0.0);
    for (const Constraint& constraint : problem.goal.constraints) {
        const Metric& metric = constraint.metric;
        if (!metric.follows_from_costs()) continue;
        const double least = metric.value(smallest, reference, problem.fleet);
        const double whole = metric.value(reference, reference, problem.fleet);
        const double miss = violation(constraint, least, whole);
        if (miss <= 0.0) continue;
        throw core::InfeasibleError(fmt::format(
            "constraint '{}' cannot be met: the smallest candidate has {} ({}x of the unpruned "
            "network's), {} % too much; raise the bound or lower network.min_keep",
            constraint.text, core::significant(least), core::significant(least / whole),
            core::significant(100.0 * miss, 3)));
    }
}

} // namespace hdap::search
