#include "random.hpp"

#include "hdap/core/random.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

namespace hdap::search {

namespace {

using core::RandomStream;
using core::StreamId;
using network::Genome;

/// Costs go with the square of the width, so levels evenly spread in cost are dense near full
/// width.
Genome random_around_level(const Genes& genes, double cost_level, RandomStream& random) {
    constexpr double spread = 0.3;
    Genome genome = genes.unpruned;
    for (std::size_t g = 0; g < genes.count(); ++g) {
        const double lowest = genes.lowest_ratio(g);
        const double level = std::sqrt(lowest * lowest + (1 - lowest * lowest) * cost_level);
        const double ratio = level + spread * (2 * random.uniform() - 1);
        genes.keep(genome, g, std::clamp(ratio, lowest, 1.0));
    }
    return genome;
}

std::vector<Genome> uniform_widths(const Genes& genes, std::size_t count) {
    double lowest = 1;
    for (std::size_t g = 0; g < genes.count(); ++g)
        lowest = std::min(lowest, genes.lowest_ratio(g));
    std::vector<Genome> widths;
    for (std::size_t k = 1; k <= count; ++k) {
        const double share = static_cast<double>(k) / static_cast<double>(count);
        widths.push_back(k == count ? genes.smallest : genes.uniform(1 - (1 - lowest) * share));
    }
    return widths;
}

/// The overall keep ratio of individual `i`: one in each n-th of the range.
double level_of(std::size_t i, std::size_t n, RandomStream& random) {
    return (static_cast<double>(i) + random.uniform()) / static_cast<double>(n);
}

/// A random genome around `level` that is not taken, if one can be found.
Genome free_around_level(const Genes& genes, double level, const Taken& taken, std::size_t longest,
                         RandomStream& random) {
    Genome genome = random_around_level(genes, level, random);
    for (int attempt = 0; attempt < redraws && taken(genome); ++attempt)
        genome = random_around_level(genes, level, random);
    return taken(genome) ? next_free(genes, genome, taken, longest).value_or(genome) : genome;
}

/// The baseline: random candidates in all generations.
class RandomSearch final : public Algorithm {
  public:
    RandomSearch(const AlgorithmParameters& parameters, const AlgorithmProblem& problem)
        : parameters_(parameters), genes_(genes_of(parameters, problem)) {}

    std::vector<Genome> ask(std::int64_t generation, const EvaluationLog& log) override {
        if (generation == 0) return initial_population(genes_, parameters_);
        return random_candidates(genes_, generation, parameters_, [&](const Genome& genome) {
            return log.index_of(genome).has_value();
        });
    }

    // It learns nothing, so there is nothing to keep.
    void tell(std::span<const std::int32_t> /*entries*/, const EvaluationLog& /*log*/) override {}
    void save(storage::Hdf5Writer& /*file*/) const override {}
    void restore(const storage::Hdf5Reader& /*file*/, const EvaluationLog& /*log*/) override {}

  private:
    AlgorithmParameters parameters_;
    Genes genes_;
};

} // namespace

std::vector<Genome> initial_population(const Genes& genes, const AlgorithmParameters& parameters) {
    validate(parameters);
    const auto n = static_cast<std::size_t>(parameters.population);
    std::vector<Genome> population{genes.unpruned};
    std::set<Genome> present{genes.unpruned};
    for (Genome& width : uniform_widths(genes, std::clamp<std::size_t>(n / 6, 1, 6)))
        if (present.insert(width).second) population.push_back(std::move(width));
    const Taken taken = [&](const Genome& genome) { return present.contains(genome); };
    for (std::size_t i = population.size(); i < n; ++i) {
        RandomStream random(parameters.seed, StreamId::initial_population, 0,
                            static_cast<std::uint32_t>(i));
        // A walk of n + 1 steps finds a genome that none of n has, if there is one.
        population.push_back(
            free_around_level(genes, level_of(i, n, random), taken, n + 1, random));
        present.insert(population.back());
    }
    return population;
}

std::vector<Genome> random_candidates(const Genes& genes, std::int64_t generation,
                                      const AlgorithmParameters& parameters, const Taken& seen) {
    validate(parameters);
    const auto n = static_cast<std::size_t>(parameters.population);
    std::vector<Genome> candidates;
    std::set<Genome> present;
    const Taken taken = [&](const Genome& genome) {
        return present.contains(genome) || (seen && seen(genome));
    };
    for (std::size_t i = 0; i < n; ++i) {
        RandomStream random(parameters.seed, StreamId::random_search,
                            static_cast<std::uint32_t>(generation), static_cast<std::uint32_t>(i));
        candidates.push_back(
            free_around_level(genes, level_of(i, n, random), taken, longest_walk, random));
        present.insert(candidates.back());
    }
    return candidates;
}

std::unique_ptr<Algorithm> make_random(const AlgorithmParameters& parameters,
                                       const AlgorithmProblem& problem) {
    return std::make_unique<RandomSearch>(parameters, problem);
}

} // namespace hdap::search
