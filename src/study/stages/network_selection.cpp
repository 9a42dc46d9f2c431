#include "found_constraints.hpp"
#include "hdap/search/metrics.hpp"
#include "study_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace hdap::study {
namespace {

double mean_latency_ms(const search::SearchProblem& problem, const network::Genome& genome) {
    const auto facts = predicted_facts(problem, genome);
    return search::parse_metric("latency.mean").value(facts, facts, problem.fleet);
}

/// The uniform width whose predicted latency is nearest to `latency_ms`.
network::Genome uniform_of_latency(const search::SearchProblem& problem, double latency_ms) {
    const network::SearchSpace& space = problem.space;
    network::Genome best = space.unpruned();
    double least = std::numeric_limits<double>::infinity();
    constexpr int steps = 200;
    for (int i = 1; i <= steps; ++i) {
        const auto genome = space.uniform(static_cast<double>(i) / steps);
        const double miss = std::abs(mean_latency_ms(problem, genome) - latency_ms);
        if (miss < least) {
            least = miss;
            best = genome;
        }
    }
    return best;
}

/// Greedy subset selection: adds the point that raises the hypervolume most, `count` times.
std::vector<std::size_t> best_subset(const StudyRun& run, const std::vector<std::size_t>& front,
                                     std::size_t count) {
    std::vector<std::size_t> chosen;
    while (chosen.size() < std::min(count, front.size())) {
        std::size_t best = front.size();
        double most = -1.0;
        for (std::size_t i = 0; i < front.size(); ++i) {
            if (std::find(chosen.begin(), chosen.end(), front[i]) != chosen.end()) continue;
            auto trial = chosen;
            trial.push_back(front[i]);
            const double volume = search::normalised_hypervolume(*run.problem, run.found, trial);
            if (volume > most) {
                most = volume;
                best = i;
            }
        }
        chosen.push_back(front[best]);
    }
    return chosen;
}

/// The entries of the front that break a constraint on the devices, where that is known.
std::vector<std::size_t> broken_of(const StudyRun& run, const std::vector<std::size_t>& front) {
    const auto& bounds = run.problem->goal.constraints;
    if (std::ranges::none_of(bounds, [](const search::Constraint& constraint) {
            return constraint.metric.follows_from_latencies();
        }))
        return {};
    const FleetTruth truth(
        *run.inputs.source,
        fleet::read_clustering(open_stage(run.output(Stage::clusters), fleet::clusters_schema)),
        run.own().space.unpruned(), quantities_of(run.settings()));
    const FoundConstraints constraints(*run.problem, truth, run.own().space.unpruned());
    std::vector<std::size_t> broken;
    for (const std::size_t index : front)
        if (constraints.breaks(run.found.log[index].genome)) broken.push_back(index);
    return broken;
}

/// `count` networks of the front that keep most of its hypervolume, rather such as keep the
/// constraints. In the order of the front.
std::vector<std::size_t> chosen_of(const StudyRun& run, const std::vector<std::size_t>& front,
                                   std::size_t count) {
    if (count == 0) return {};
    const auto broken = broken_of(run, front);
    std::vector<std::size_t> usable;
    for (const std::size_t index : front)
        if (std::ranges::find(broken, index) == broken.end()) usable.push_back(index);
    auto chosen = best_subset(run, usable, count);
    const auto filling = best_subset(run, broken, count - chosen.size());
    chosen.insert(chosen.end(), filling.begin(), filling.end());
    // So that ids ascend with the first objective.
    std::vector<std::size_t> ordered;
    for (const std::size_t index : front)
        if (std::ranges::find(chosen, index) != chosen.end()) ordered.push_back(index);
    return ordered;
}

} // namespace

search::CandidateFacts predicted_facts(const search::SearchProblem& problem,
                                       const network::Genome& genome) {
    const auto latencies = search::predicted_latencies(problem, std::span(&genome, 1), 1);
    return search::facts_of(problem, genome, latencies, std::numeric_limits<double>::quiet_NaN());
}

std::vector<Selection> select_networks(const StudyRun& run) {
    const auto front = search::current_front(*run.problem, run.found);
    std::vector<Selection> selection;
    for (const std::size_t index :
         chosen_of(run, front, static_cast<std::size_t>(run.settings().finetune.candidates))) {
        const auto number = std::find(front.begin(), front.end(), index) - front.begin() + 1;
        const network::Genome& genome = run.found.log[index].genome;
        selection.push_back({fmt::format("front-{:02}", number), genome});
        selection.push_back(
            {fmt::format("uniform-{:02}", number),
             uniform_of_latency(*run.problem, mean_latency_ms(*run.problem, genome))});
    }
    return selection;
}

} // namespace hdap::study
