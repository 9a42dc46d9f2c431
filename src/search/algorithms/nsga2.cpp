#include "nsga2.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "hdap/search/non_dominated_sort.hpp"
#include "random.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace hdap::search {

namespace {

using core::RandomStream;
using core::StreamId;
using network::Genome;

/// Binary tournaments among the parents.
struct Contest {
    std::span<const std::int32_t> ranks;
    std::span<const double> crowding;

    [[nodiscard]] std::size_t winner(RandomStream& random) const {
        const auto draw = [&] { return static_cast<std::size_t>(random.below(ranks.size())); };
        const std::size_t a = draw();
        const std::size_t b = draw();
        if (ranks[a] != ranks[b]) return ranks[a] < ranks[b] ? a : b;
        if (crowding[a] != crowding[b]) return crowding[a] > crowding[b] ? a : b;
        return std::min(a, b);
    }
};

/// One child of `a` and `b` in one gene: simulated binary crossover within [lowest, 1].
double cross_ratio(double a, double b, double lowest, double eta, RandomStream& random) {
    const double low = std::min(a, b);
    const double high = std::max(a, b);
    const bool towards_low = random.uniform() < 0.5;
    const double room = towards_low ? low - lowest : 1 - high;
    const double u = random.uniform();
    const double reach = 1 + 2 * room / (high - low);
    const double alpha = 2 - std::pow(reach, -(eta + 1));
    const double base = u * alpha <= 1 ? u * alpha : 1 / (2 - u * alpha);
    const double spread = std::pow(base, 1 / (eta + 1));
    const double offset = 0.5 * spread * (high - low);
    const double child = 0.5 * (low + high) + (towards_low ? -offset : offset);
    return std::clamp(child, lowest, 1.0);
}

Genome crossover(const Genes& genes, const Genome& a, const Genome& b, double eta,
                 RandomStream& random) {
    Genome child = a;
    for (std::size_t g = 0; g < genes.count(); ++g) {
        const std::int32_t of_a = genes.value(a, g);
        const std::int32_t of_b = genes.value(b, g);
        if (random.uniform() >= 0.5 || of_a == of_b) continue;
        genes.keep(child, g,
                   cross_ratio(genes.ratio(g, of_a), genes.ratio(g, of_b), genes.lowest_ratio(g),
                               eta, random));
    }
    return child;
}

/// The step of polynomial mutation within [lowest, 1], in the form that Deb's NSGA-II code made
/// usual: the nearer bound shapes the distribution on its own side only.
double mutation_step(double ratio, double lowest, double eta, RandomStream& random) {
    const double range = 1 - lowest;
    const double u = random.uniform();
    const double power = 1 / (eta + 1);
    if (u < 0.5) {
        const double room = 1 - (ratio - lowest) / range;
        const double value = 2 * u + (1 - 2 * u) * std::pow(room, eta + 1);
        return (std::pow(value, power) - 1) * range;
    }
    const double room = 1 - (1 - ratio) / range;
    const double value = 2 * (1 - u) + (2 * u - 1) * std::pow(room, eta + 1);
    return (1 - std::pow(value, power)) * range;
}

void mutate(const Genes& genes, const Nsga2Parameters& parameters, Genome& genome,
            RandomStream& random) {
    const double probability = parameters.mutation_probability > 0
                                   ? parameters.mutation_probability
                                   : 1 / static_cast<double>(genes.count());
    for (std::size_t g = 0; g < genes.count(); ++g) {
        if (random.uniform() >= probability || genes.is_fixed(g)) continue;
        const std::int32_t value = genes.value(genome, g);
        const double ratio = genes.ratio(g, value);
        const double lowest = genes.lowest_ratio(g);
        const double step = mutation_step(ratio, lowest, parameters.mutation_eta, random);
        const std::int32_t moved = genes.nearest(g, std::clamp(ratio + step, lowest, 1.0));
        genes.set(genome, g, moved != value ? moved : genes.neighbour(g, moved, step > 0));
    }
}

void check_parents(const Genes& genes, const std::vector<Genome>& parents, std::size_t ranks,
                   std::size_t crowding, std::int64_t generation) {
    if (parents.empty() || parents.size() != ranks || parents.size() != crowding)
        throw core::InternalError(fmt::format("{} parents with {} ranks and {} crowding distances",
                                              parents.size(), ranks, crowding));
    if (generation < 0 || generation > std::numeric_limits<std::uint32_t>::max())
        throw core::InternalError(fmt::format("generation {} is out of range", generation));
    for (const Genome& parent : parents)
        if (parent.size() != genes.unpruned.size())
            throw core::InternalError(fmt::format("a parent has {} counts instead of {}",
                                                  parent.size(), genes.unpruned.size()));
}

constexpr const char* population_path = "/algorithm/population";

/// Its state is the present parents, as indices into the log.
class Nsga2 final : public Algorithm {
  public:
    Nsga2(const AlgorithmParameters& parameters, const AlgorithmProblem& problem)
        : parameters_(parameters), genes_(genes_of(parameters, problem)), goal_(problem.goal) {}

    std::vector<Genome> ask(std::int64_t generation, const EvaluationLog& log) override {
        if (generation == 0) return initial_population(genes_, parameters_);
        std::vector<Genome> parents;
        for (const std::int32_t entry : population_)
            parents.push_back(log[static_cast<std::size_t>(entry)].genome);
        const std::vector<double> objectives = goal_.objectives_of(log, population_);
        const std::size_t m = goal_.objectives.size();
        const auto ranks = non_dominated_rank(objectives, m, goal_.violations_of(log, population_));
        return offspring(genes_, parents, ranks, crowding_distance_by_rank(objectives, m, ranks),
                         generation, parameters_,
                         [&](const Genome& genome) { return log.index_of(genome).has_value(); });
    }

    /// Chooses the next parents among the present ones and their children.
    void tell(std::span<const std::int32_t> entries, const EvaluationLog& log) override {
        std::vector<std::int32_t> candidates = population_;
        std::set<std::int32_t> present(candidates.begin(), candidates.end());
        for (const std::int32_t child : entries)
            if (present.insert(child).second) candidates.push_back(child);
        const auto wanted =
            std::min(static_cast<std::size_t>(parameters_.population), candidates.size());
        const auto chosen = survivors(goal_.objectives_of(log, candidates), goal_.objectives.size(),
                                      goal_.violations_of(log, candidates), wanted);
        population_.clear();
        for (const std::size_t i : chosen)
            population_.push_back(candidates[i]);
    }

    void save(storage::Hdf5Writer& file) const override {
        file.write(population_path, population_);
    }

    void restore(const storage::Hdf5Reader& file, const EvaluationLog& log) override {
        auto population = file.read<std::int32_t>(population_path);
        for (const std::int32_t entry : population)
            if (entry < 0 || static_cast<std::size_t>(entry) >= log.size())
                throw core::DataError(
                    fmt::format("{}: {}: entry {} is not in the evaluation log of {}", file.name(),
                                population_path, entry, log.size()));
        if (population.empty() && !log.empty())
            throw core::DataError(fmt::format("{}: {} is empty, though the evaluation log is not",
                                              file.name(), population_path));
        population_ = std::move(population);
    }

  private:
    AlgorithmParameters parameters_;
    Genes genes_;
    Goal goal_;
    std::vector<std::int32_t> population_;
};

} // namespace

std::vector<Genome> offspring(const Genes& genes, const std::vector<Genome>& parents,
                              std::span<const std::int32_t> ranks, std::span<const double> crowding,
                              std::int64_t generation, const AlgorithmParameters& parameters,
                              const Taken& seen) {
    validate(parameters);
    check_parents(genes, parents, ranks.size(), crowding.size(), generation);
    const Nsga2Parameters& nsga2 = parameters.nsga2;
    const Contest contest{ranks, crowding};
    std::set<Genome> siblings;
    const Taken taken = [&](const Genome& genome) {
        return siblings.contains(genome) || (seen && seen(genome));
    };
    std::vector<Genome> children;
    for (std::int64_t i = 0; i < parameters.population; ++i) {
        RandomStream random(parameters.seed, StreamId::mating,
                            static_cast<std::uint32_t>(generation), static_cast<std::uint32_t>(i));
        const Genome& first = parents[contest.winner(random)];
        const Genome& second = parents[contest.winner(random)];
        Genome child = random.uniform() < nsga2.crossover_probability
                           ? crossover(genes, first, second, nsga2.crossover_eta, random)
                           : first;
        mutate(genes, nsga2, child, random);
        for (int attempt = 0; attempt < redraws && taken(child); ++attempt)
            mutate(genes, nsga2, child, random);
        if (taken(child)) child = next_free(genes, child, taken, longest_walk).value_or(child);
        siblings.insert(child);
        children.push_back(std::move(child));
    }
    return children;
}

std::vector<std::size_t> survivors(std::span<const double> objectives, std::size_t m,
                                   std::span<const double> violations, std::size_t n) {
    const std::vector<std::int32_t> ranks = non_dominated_rank(objectives, m, violations);
    if (ranks.size() < n)
        throw core::InternalError(fmt::format("{} survivors of {} individuals", n, ranks.size()));
    std::vector<std::size_t> chosen;
    for (const std::vector<std::size_t>& front : fronts_of(ranks)) {
        if (chosen.size() == n) break;
        const std::vector<double> crowding = crowding_distance(objectives, m, front);
        std::vector<std::size_t> order(front.size());
        for (std::size_t i = 0; i < order.size(); ++i)
            order[i] = i;
        std::ranges::stable_sort(order, std::ranges::greater{},
                                 [&](std::size_t i) { return crowding[i]; });
        for (const std::size_t i : order)
            if (chosen.size() < n) chosen.push_back(front[i]);
    }
    return chosen;
}

std::unique_ptr<Algorithm> make_nsga2(const AlgorithmParameters& parameters,
                                      const AlgorithmProblem& problem) {
    return std::make_unique<Nsga2>(parameters, problem);
}

std::vector<core::Setting> nsga2_settings(AlgorithmParameters& parameters) {
    constexpr auto shapes = core::Outputs::search;
    Nsga2Parameters& nsga2 = parameters.nsga2;
    return {core::real("crossover_probability", nsga2.crossover_probability, {0.0, 1.0},
                       "That a child has two parents", shapes),
            core::real("crossover_eta", nsga2.crossover_eta, {0.0, 1000.0},
                       "Larger: children nearer to their parents", shapes),
            core::real("mutation_probability", nsga2.mutation_probability, {0.0, 1.0},
                       "Of each gene; 0 stands for 1 / genes", shapes),
            core::real("mutation_eta", nsga2.mutation_eta, {0.0, 1000.0}, "Larger: smaller steps",
                       shapes)};
}

} // namespace hdap::search
