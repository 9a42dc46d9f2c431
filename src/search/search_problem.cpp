#include "hdap/search/search_problem.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace hdap::search {

namespace {

/// [genome][cluster]
std::vector<double> predicted_by(const surrogate::Surrogate& surrogate,
                                 const SearchProblem& problem,
                                 std::span<const network::Genome> genomes, int threads) {
    std::vector<double> latencies(genomes.size() * problem.fleet.clusters());
    if (!genomes.empty()) surrogate.predict(genomes, latencies, threads);
    // A surrogate that knows next to nothing may predict a little less than no time.
    for (double& latency : latencies)
        latency = std::max(latency, 0.0);
    return latencies;
}

} // namespace

double chance_accuracy(const SearchProblem& problem) {
    return problem.evaluator == nullptr ? 0.0 : problem.evaluator->chance_accuracy();
}

std::vector<double> predicted_latencies(const SearchProblem& problem,
                                        std::span<const network::Genome> genomes, int threads) {
    std::vector<std::vector<double>> tables;
    tables.push_back(predicted_by(*problem.surrogate, problem, genomes, threads));
    for (const auto& [quantity, surrogate] : problem.others)
        tables.push_back(predicted_by(*surrogate, problem, genomes, threads));
    if (tables.size() == 1) return std::move(tables.front());
    const std::size_t clusters = problem.fleet.clusters();
    std::vector<double> all;
    for (std::size_t first = 0; first < tables.front().size(); first += clusters)
        for (const std::vector<double>& table : tables) {
            const auto row = std::span(table).subspan(first, clusters);
            all.insert(all.end(), row.begin(), row.end());
        }
    return all;
}

CandidateFacts facts_of(const SearchProblem& problem, const network::Genome& genome,
                        std::span<const double> predictions, double accuracy) {
    const std::size_t clusters = problem.fleet.clusters();
    const auto usual = predictions.first(std::min(predictions.size(), clusters));
    CandidateFacts facts{.costs = problem.costs.total(genome),
                         .cluster_latency_ms = {usual.begin(), usual.end()},
                         .accuracy = accuracy,
                         .pruning_loss = network::pruning_loss(problem.space, genome)};
    auto rest = predictions.subspan(usual.size());
    for (auto other = problem.others.begin(); !rest.empty() && other != problem.others.end();
         ++other, rest = rest.subspan(clusters)) {
        const auto values = rest.first(clusters);
        facts.cluster_others[other->first] = {values.begin(), values.end()};
    }
    return facts;
}

CandidateFacts facts_of(const SearchProblem& problem, const Evaluation& evaluation) {
    return {.costs = problem.costs.total(evaluation.genome),
            .cluster_latency_ms = evaluation.cluster_latency_ms,
            .cluster_others = evaluation.cluster_others,
            .accuracy = evaluation.accuracy,
            .pruning_loss = network::pruning_loss(problem.space, evaluation.genome)};
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
