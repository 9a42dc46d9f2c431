#include "hdap/search/hypervolume.hpp"
#include "stages.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace hdap::study {
namespace {

double mean_latency_ms(const search::SearchProblem& problem, const network::Genome& genome) {
    const std::vector<network::Genome> one{genome};
    const auto latencies = search::cluster_latencies_ms(problem, one, 1);
    return search::candidate_figures(problem, genome, latencies, 0.0, 0.0).latency_mean_ms;
}

/// The uniform width whose predicted latency is nearest to `latency_ms`.
network::Genome uniform_of_latency(const search::SearchProblem& problem, double latency_ms) {
    network::Genome best = problem.space.unpruned();
    double least = std::numeric_limits<double>::infinity();
    constexpr int steps = 200;
    for (int i = 1; i <= steps; ++i) {
        const auto genome = problem.space.uniform(static_cast<double>(i) / steps);
        const double miss = std::abs(mean_latency_ms(problem, genome) - latency_ms);
        if (miss < least) {
            least = miss;
            best = genome;
        }
    }
    return best;
}

/// Greedy subset selection: adds the point that raises the hypervolume most, `count` times.
std::vector<std::size_t> best_subset(const search::SearchProblem& problem,
                                     const search::EvaluationLog& log,
                                     const std::vector<std::size_t>& front, std::size_t count) {
    std::vector<std::size_t> chosen;
    while (chosen.size() < std::min(count, front.size())) {
        std::size_t best = front.size();
        double most = -1.0;
        for (std::size_t i = 0; i < front.size(); ++i) {
            if (std::find(chosen.begin(), chosen.end(), front[i]) != chosen.end()) continue;
            auto trial = chosen;
            trial.push_back(front[i]);
            const double volume = search::normalised_hypervolume(problem, log, trial);
            if (volume > most) {
                most = volume;
                best = i;
            }
        }
        chosen.push_back(front[best]);
    }
    // In the order of the front, so that ids ascend with the first objective.
    std::vector<std::size_t> ordered;
    for (const std::size_t index : front)
        if (std::find(chosen.begin(), chosen.end(), index) != chosen.end())
            ordered.push_back(index);
    return ordered;
}

std::string numbered(const std::string& prefix, std::size_t number) {
    return prefix + (number < 10 ? "-0" : "-") + std::to_string(number);
}

} // namespace

std::vector<Selection> select_networks(const search::SearchProblem& problem,
                                       const search::EvaluationLog& log, std::int64_t count) {
    const auto front = search::current_front(problem, log);
    std::vector<Selection> selection;
    for (const std::size_t index :
         best_subset(problem, log, front, static_cast<std::size_t>(count))) {
        const auto position =
            static_cast<std::size_t>(std::find(front.begin(), front.end(), index) - front.begin());
        selection.push_back({numbered("front", position + 1), log[index].genome});
        selection.push_back({numbered("uniform", position + 1),
                             uniform_of_latency(problem, log[index].figures.latency_mean_ms)});
    }
    return selection;
}

} // namespace hdap::study
