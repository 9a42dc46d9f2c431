#include "hdap/search/nsga2.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "hdap/core/text.hpp"
#include "hdap/search/non_dominated_sort.hpp"

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
using network::SearchSpace;

constexpr int remutations = 16;
constexpr std::size_t longest_walk = 1000;

/// A space with the range of every gene at hand.
struct Genes {
    explicit Genes(const SearchSpace& s)
        : space(s), smallest(s.smallest()), unpruned(s.unpruned()) {
        for (std::size_t g = 0; g < count(); ++g)
            allowed.push_back(s.allowed_counts(g));
    }

    [[nodiscard]] std::size_t count() const { return unpruned.size(); }
    [[nodiscard]] double ratio(std::size_t g, std::int32_t channels) const {
        return static_cast<double>(channels) / unpruned[g];
    }
    [[nodiscard]] double lowest_ratio(std::size_t g) const { return ratio(g, smallest[g]); }
    [[nodiscard]] std::int32_t nearest(std::size_t g, double keep_ratio) const {
        return space.nearest_allowed(g, keep_ratio * unpruned[g]);
    }

    /// The next larger (or smaller) allowed count, or `channels` when there is none.
    [[nodiscard]] std::int32_t neighbour(std::size_t g, std::int32_t channels, bool larger) const {
        if (larger) {
            const auto above = std::ranges::upper_bound(allowed[g], channels);
            return above == allowed[g].end() ? channels : *above;
        }
        const auto at = std::ranges::lower_bound(allowed[g], channels);
        return at == allowed[g].begin() ? channels : *std::prev(at);
    }

    const SearchSpace& space;
    Genome smallest;
    Genome unpruned;
    std::vector<std::vector<std::int32_t>> allowed; // ascending
};

using Taken = std::function<bool(const Genome&)>;

/// Counts `genome` up like an odometer until one is free. Among k + 1 genomes in a row one is free
/// when k are taken, so a walk of that length fails only when the space is used up.
std::optional<Genome> next_free(const Genes& genes, Genome genome, const Taken& taken,
                                std::size_t longest) {
    const Genome start = genome;
    for (std::size_t step = 0; step < longest; ++step) {
        std::size_t g = genes.count();
        while (g-- > 0) {
            const std::int32_t next = genes.neighbour(g, genome[g], true);
            if (next != genome[g]) {
                genome[g] = next;
                break;
            }
            genome[g] = genes.smallest[g];
        }
        if (genome == start) return std::nullopt;
        if (!taken(genome)) return genome;
    }
    return std::nullopt;
}

/// Costs go with the square of the width, so levels evenly spread in cost are dense near full
/// width.
Genome random_around_level(const Genes& genes, double cost_level, RandomStream& random) {
    constexpr double spread = 0.3;
    Genome genome(genes.count());
    for (std::size_t g = 0; g < genome.size(); ++g) {
        const double lowest = genes.lowest_ratio(g);
        const double level = std::sqrt(lowest * lowest + (1 - lowest * lowest) * cost_level);
        const double ratio = level + spread * (2 * random.uniform() - 1);
        genome[g] = genes.nearest(g, std::clamp(ratio, lowest, 1.0));
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
        widths.push_back(k == count ? genes.smallest
                                    : genes.space.uniform(1 - (1 - lowest) * share));
    }
    return widths;
}

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
    for (std::size_t g = 0; g < child.size(); ++g) {
        if (random.uniform() >= 0.5 || a[g] == b[g]) continue;
        const double ratio = cross_ratio(genes.ratio(g, a[g]), genes.ratio(g, b[g]),
                                         genes.lowest_ratio(g), eta, random);
        child[g] = genes.nearest(g, ratio);
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
    for (std::size_t g = 0; g < genome.size(); ++g) {
        if (random.uniform() >= probability || genes.smallest[g] == genes.unpruned[g]) continue;
        const double ratio = genes.ratio(g, genome[g]);
        const double lowest = genes.lowest_ratio(g);
        const double step = mutation_step(ratio, lowest, parameters.mutation_eta, random);
        const std::int32_t moved = genes.nearest(g, std::clamp(ratio + step, lowest, 1.0));
        genome[g] = moved != genome[g] ? moved : genes.neighbour(g, moved, step > 0);
    }
}

void check_parents(const Genes& genes, const std::vector<Genome>& parents, std::size_t ranks,
                   std::size_t crowding, std::int64_t generation) {
    if (parents.empty() || parents.size() != ranks || parents.size() != crowding) {
        throw core::InternalError(std::to_string(parents.size()) + " parents with " +
                                  std::to_string(ranks) + " ranks and " + std::to_string(crowding) +
                                  " crowding distances");
    }
    if (generation < 0 || generation > std::numeric_limits<std::uint32_t>::max())
        throw core::InternalError("generation " + std::to_string(generation) + " is out of range");
    for (const Genome& parent : parents) {
        if (parent.size() != genes.count()) {
            throw core::InternalError("a parent has " + std::to_string(parent.size()) +
                                      " genes instead of " + std::to_string(genes.count()));
        }
    }
}

/// The overall keep ratio of individual `i`: one in each n-th of the range.
double level_of(std::size_t i, std::size_t n, RandomStream& random) {
    return (static_cast<double>(i) + random.uniform()) / static_cast<double>(n);
}

/// A random genome around `level` that is not taken, if one can be found.
Genome free_around_level(const Genes& genes, double level, const Taken& taken, std::size_t longest,
                         RandomStream& random) {
    Genome genome = random_around_level(genes, level, random);
    for (int attempt = 0; attempt < remutations && taken(genome); ++attempt)
        genome = random_around_level(genes, level, random);
    return taken(genome) ? next_free(genes, genome, taken, longest).value_or(genome) : genome;
}

} // namespace

void validate(const Nsga2Parameters& parameters) {
    const auto check = [](const char* name, double value, double low, double high) {
        if (value >= low && value <= high) return;
        throw core::ConfigError(std::string(name) + " = " + core::shortest(value) +
                                " is out of range: choose from " + core::shortest(low) + " to " +
                                core::shortest(high));
    };
    check("population", static_cast<double>(parameters.population), 2, 1e6);
    check("generations", static_cast<double>(parameters.generations), 0, 1e6);
    check("crossover_probability", parameters.crossover_probability, 0, 1);
    check("crossover_eta", parameters.crossover_eta, 0, 1000);
    check("mutation_probability", parameters.mutation_probability, 0, 1);
    check("mutation_eta", parameters.mutation_eta, 0, 1000);
    check("give_up_confidence", parameters.give_up_confidence, 0, 1 - 1e-9);
}

std::vector<Genome> initial_population(const SearchSpace& space,
                                       const Nsga2Parameters& parameters) {
    validate(parameters);
    const Genes genes(space);
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

std::vector<Genome> random_candidates(const SearchSpace& space, std::int64_t generation,
                                      const Nsga2Parameters& parameters,
                                      const std::function<bool(const Genome&)>& seen) {
    validate(parameters);
    const Genes genes(space);
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

std::vector<Genome> offspring(const SearchSpace& space, const std::vector<Genome>& parents,
                              std::span<const std::int32_t> ranks, std::span<const double> crowding,
                              std::int64_t generation, const Nsga2Parameters& parameters,
                              const std::function<bool(const Genome&)>& seen) {
    validate(parameters);
    const Genes genes(space);
    check_parents(genes, parents, ranks.size(), crowding.size(), generation);
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
        Genome child = random.uniform() < parameters.crossover_probability
                           ? crossover(genes, first, second, parameters.crossover_eta, random)
                           : first;
        mutate(genes, parameters, child, random);
        for (int attempt = 0; attempt < remutations && taken(child); ++attempt)
            mutate(genes, parameters, child, random);
        if (taken(child)) child = next_free(genes, child, taken, longest_walk).value_or(child);
        siblings.insert(child);
        children.push_back(std::move(child));
    }
    return children;
}

std::vector<std::size_t> survivors(std::span<const double> objectives, std::size_t m,
                                   std::span<const double> violations, std::size_t n) {
    const std::vector<std::int32_t> ranks = non_dominated_rank(objectives, m, violations);
    if (ranks.size() < n) {
        throw core::InternalError(std::to_string(n) + " survivors of " +
                                  std::to_string(ranks.size()) + " individuals");
    }
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

std::vector<core::Setting> settings_of(Nsga2Parameters& parameters) {
    constexpr auto shapes = core::Outputs::search;
    return {core::integer("population", parameters.population, {2, 1'000'000},
                          "Candidates per generation", shapes),
            core::integer("generations", parameters.generations, {0, 1'000'000},
                          "Generations after the first", core::Outputs::search_length),
            core::real("crossover_probability", parameters.crossover_probability, {0.0, 1.0},
                       "That a child has two parents", shapes),
            core::real("crossover_eta", parameters.crossover_eta, {0.0, 1000.0},
                       "Larger: children nearer to their parents", shapes),
            core::real("mutation_probability", parameters.mutation_probability, {0.0, 1.0},
                       "Of each gene; 0 stands for 1 / genes", shapes),
            core::real("mutation_eta", parameters.mutation_eta, {0.0, 1000.0},
                       "Larger: smaller steps", shapes),
            core::real("give_up_confidence", parameters.give_up_confidence, {0.0, 0.999999},
                       "Give up evaluating a candidate that is dominated with this confidence; 0: "
                       "never",
                       shapes)};
}

} // namespace hdap::search
