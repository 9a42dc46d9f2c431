#include "search/algorithms/nsga2.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "hdap/search/hypervolume.hpp"
#include "hdap/search/non_dominated_sort.hpp"
#include "search/algorithms/random.hpp"
#include "search/small_space.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>
#include <numeric>
#include <set>
#include <string>
#include <tuple>
#include <utility>

using namespace hdap::search;
using hdap::core::ConfigError;
using hdap::core::InternalError;
using hdap::core::RandomStream;
using hdap::core::StreamId;
using hdap::network::Genome;
using hdap::network::SearchSpace;
using testing::cost_of;
using testing::distinct;
using testing::mobilenet_space;
using testing::small_space;

namespace {

/// Layers are not equally sensitive.
double loss_of(const Genome& genome) {
    constexpr std::array sensitivity{1.0, 0.2, 0.5, 2.0};
    double loss = 0;
    for (std::size_t g = 0; g < genome.size(); ++g) {
        const double removed = 1 - genome[g] / 64.0;
        loss += sensitivity[g % sensitivity.size()] * removed * removed;
    }
    return loss;
}

std::vector<double> objectives_of(const std::vector<Genome>& genomes) {
    std::vector<double> objectives;
    for (const Genome& genome : genomes) {
        objectives.push_back(cost_of(genome));
        objectives.push_back(loss_of(genome));
    }
    return objectives;
}

struct Outcome {
    std::vector<Genome> parents;
    std::vector<Genome> evaluated;
};

Outcome minimise(const SearchSpace& space, std::int64_t generations,
                 const AlgorithmParameters& parameters) {
    Outcome outcome;
    outcome.parents = initial_population(space, parameters);
    outcome.evaluated = outcome.parents;
    std::set<Genome> log(outcome.parents.begin(), outcome.parents.end());
    for (std::int64_t generation = 1; generation <= generations; ++generation) {
        const std::vector<double> objectives = objectives_of(outcome.parents);
        const std::vector<std::int32_t> ranks = non_dominated_rank(objectives, 2, {});
        const std::vector<double> crowding = crowding_distance_by_rank(objectives, 2, ranks);
        std::vector<Genome> all = outcome.parents;
        for (const Genome& child :
             offspring(space, outcome.parents, ranks, crowding, generation, parameters,
                       [&](const Genome& genome) { return log.contains(genome); })) {
            all.push_back(child);
            outcome.evaluated.push_back(child);
            log.insert(child);
        }
        outcome.parents.clear();
        for (const std::size_t i :
             survivors(objectives_of(all), 2, {}, static_cast<std::size_t>(parameters.population)))
            outcome.parents.push_back(all[i]);
    }
    return outcome;
}

std::vector<Genome> all_genomes(const SearchSpace& space) {
    std::vector<Genome> genomes{{}};
    for (std::size_t g = 0; g < space.groups().size(); ++g) {
        std::vector<Genome> longer;
        for (const Genome& genome : genomes) {
            for (const std::int32_t channels : space.allowed_counts(g)) {
                longer.push_back(genome);
                longer.back().push_back(channels);
            }
        }
        genomes = std::move(longer);
    }
    return genomes;
}

std::vector<Genome> children_of(const SearchSpace& space, const std::vector<Genome>& parents,
                                std::int64_t generation, const AlgorithmParameters& parameters,
                                const std::function<bool(const Genome&)>& seen = {}) {
    return offspring(space, parents, std::vector<std::int32_t>(parents.size()),
                     std::vector<double>(parents.size()), generation, parameters, seen);
}

} // namespace

TEST_CASE("offspring refuses parameters out of their range") {
    const AlgorithmParameters none{.population = 0};
    CHECK_THROWS_AS(children_of(small_space(2), {{64, 64}}, 1, none), ConfigError);
}

TEST_CASE("offspring refuses parents that do not fit") {
    const SearchSpace space = small_space(2);
    const AlgorithmParameters parameters;
    const std::vector<Genome> parents{{64, 64}, {8, 8}};
    const std::vector<std::int32_t> ranks{0, 0};
    const std::vector<double> crowding{0, 0};
    CHECK_THROWS_AS(offspring(space, {}, {}, {}, 1, parameters, {}), InternalError);
    CHECK_THROWS_AS(
        offspring(space, parents, std::vector<std::int32_t>{0}, crowding, 1, parameters, {}),
        InternalError);
    CHECK_THROWS_AS(offspring(space, parents, ranks, std::vector<double>{0}, 1, parameters, {}),
                    InternalError);
    CHECK_THROWS_AS(offspring(space, parents, ranks, crowding, -1, parameters, {}), InternalError);
    CHECK_THROWS_AS(
        offspring(space, parents, ranks, crowding, std::int64_t{1} << 32, parameters, {}),
        InternalError);
    CHECK_THROWS_AS(offspring(space, {{64, 64}, {8}}, ranks, crowding, 1, parameters, {}),
                    InternalError);
}

TEST_CASE("there are no more survivors than individuals") {
    CHECK_THROWS_AS(survivors(std::vector<double>{1, 2}, 2, {}, 2), InternalError);
    CHECK(survivors(std::vector<double>{1, 2}, 2, {}, 0).empty());
}

TEST_CASE("a space smaller than the population is used up before genomes repeat") {
    const SearchSpace space = small_space(1); // 8 genomes
    AlgorithmParameters parameters;
    parameters.population = 8;
    CHECK(distinct(initial_population(space, parameters)) == 8);
    parameters.population = 20;
    CHECK(distinct(initial_population(space, parameters)) == 8);
    CHECK(initial_population(space, parameters).size() == 20);

    parameters.population = 64;
    const std::vector<Genome> parents{space.unpruned()};
    CHECK(distinct(children_of(space, parents, 1, parameters)) == 8);
    CHECK(distinct(children_of(small_space(2), {{64, 64}}, 1, parameters)) == 64);
}

TEST_CASE("a space of one genome gives that genome") {
    const SearchSpace space(testing::chain_network(2, 64), {.min_keep = 1, .divisor = 1});
    AlgorithmParameters parameters;
    parameters.population = 3;
    const std::vector<Genome> expected(3, {64, 64});
    CHECK(initial_population(space, parameters) == expected);
    CHECK(children_of(space, expected, 1, parameters, [](const Genome&) { return true; }) ==
          expected);
}

TEST_CASE("the same seed gives the same genomes, whatever was called before") {
    const SearchSpace space = mobilenet_space();
    AlgorithmParameters parameters;
    parameters.seed = 42;
    const std::vector<Genome> population = initial_population(space, parameters);
    const std::vector<Genome> children = children_of(space, population, 3, parameters);
    const std::vector<Genome> other = children_of(space, population, 4, parameters);
    CHECK(children != other);
    CHECK(children_of(space, population, 3, parameters) == children);
    CHECK(initial_population(space, parameters) == population);
    parameters.seed = 43;
    CHECK(initial_population(space, parameters) != population);
    CHECK(children_of(space, population, 3, parameters) != children);
}

TEST_CASE("the known problem ends in the same population at every run") {
    const SearchSpace space = small_space(4);
    const AlgorithmParameters parameters;
    const Outcome first = minimise(space, 5, parameters);
    const Outcome second = minimise(space, 5, parameters);
    CHECK(first.parents == second.parents);
    CHECK(first.evaluated == second.evaluated);
}

TEST_CASE("children are allowed, distinct and not seen before") {
    const SearchSpace space = mobilenet_space();
    AlgorithmParameters parameters;
    parameters.population = 50;
    std::vector<Genome> parents = initial_population(space, parameters);
    std::set<Genome> log(parents.begin(), parents.end());
    for (std::int64_t generation = 1; generation <= 10; ++generation) {
        const std::vector<Genome> children =
            children_of(space, parents, generation, parameters,
                        [&](const Genome& genome) { return log.contains(genome); });
        REQUIRE(children.size() == 50);
        CHECK(distinct(children) == 50);
        for (const Genome& child : children) {
            CHECK_NOTHROW(space.validate(child));
            CHECK(log.insert(child).second);
        }
        parents = children;
    }
}

TEST_CASE("without mutation and crossover every child is a parent") {
    const SearchSpace space = mobilenet_space();
    AlgorithmParameters parameters;
    parameters.nsga2.crossover_probability = 0;
    parameters.nsga2.mutation_probability = 1e-300;
    const std::vector<Genome> parents{space.uniform(0.5)};
    const std::vector<Genome> children = children_of(space, parents, 1, parameters);
    CHECK(children[0] == parents[0]);
    // The others would repeat it, so they are the genomes that follow.
    CHECK(distinct(children) == children.size());
}

TEST_CASE("a gene that mutates moves, and stays near for a large eta") {
    const SearchSpace space = mobilenet_space();
    const Genome parent = space.uniform(0.5);
    AlgorithmParameters parameters;
    parameters.nsga2.crossover_probability = 0;
    parameters.nsga2.mutation_probability = 1;
    for (const double eta : {0.0, 20.0, 1000.0}) {
        parameters.nsga2.mutation_eta = eta;
        double distance = 0;
        for (const Genome& child : children_of(space, {parent}, 1, parameters)) {
            for (std::size_t g = 0; g < child.size(); ++g) {
                CHECK(child[g] != parent[g]);
                distance += std::abs(child[g] - parent[g]) / double(space.unpruned()[g]);
            }
        }
        distance /= double(parent.size()) * double(parameters.population);
        CAPTURE(eta, distance);
        if (eta == 0) CHECK(distance > 0.15);
        if (eta == 1000) CHECK(distance < 0.08);
    }
}

TEST_CASE("crossover keeps the parents' mean and a gene on which they agree") {
    const SearchSpace space(testing::chain_network(8, 4096), {.min_keep = 0.01, .divisor = 1});
    const Genome low(8, 1500);
    Genome high(8, 2500);
    high[3] = 1500;
    AlgorithmParameters parameters;
    parameters.population = 1500;
    parameters.nsga2.crossover_probability = 1;
    parameters.nsga2.mutation_probability = 1e-300;
    double sum = 0;
    double beyond = 0;
    std::size_t count = 0;
    for (const Genome& child : children_of(space, {low, high}, 1, parameters)) {
        // Two tournaments may choose the same parent, whose copies are told apart by force.
        if (std::ranges::count(child, low[0]) >= 7 || std::ranges::count(child, high[0]) >= 6)
            continue;
        CHECK(child[3] == 1500);
        sum += child[0];
        beyond += child[0] < 1500 || child[0] > 2500 ? 1 : 0;
        ++count;
    }
    REQUIRE(count > 400);
    CHECK(sum / double(count) == Approx(2000).margin(60));
    // Half of the genes are crossed, and half of those leave the parents' interval.
    CHECK(beyond / double(count) == Approx(0.25).margin(0.05));
}

TEST_CASE("better parents win tournaments: by rank, then by crowding, then by index") {
    const SearchSpace space = mobilenet_space();
    AlgorithmParameters parameters;
    parameters.population = 900;
    parameters.nsga2.crossover_probability = 0;
    parameters.nsga2.mutation_probability = 1e-300;
    const std::vector<Genome> parents{space.uniform(0.4), space.uniform(0.6), space.uniform(0.8)};
    const auto wins = [&](std::vector<std::int32_t> ranks, std::vector<double> crowding) {
        // A copy that repeats is told apart in its last genes, so the first ones tell the parent.
        std::array<int, 3> count{};
        for (const Genome& child : offspring(space, parents, ranks, crowding, 1, parameters, {})) {
            for (std::size_t p = 0; p < 3; ++p)
                if (child[0] == parents[p][0] && child[1] == parents[p][1]) ++count[p];
        }
        return count;
    };
    // Of two draws out of three, the best is in with 5/9, the worst alone with 1/9.
    const auto by_rank = wins({2, 0, 1}, {9, 0, 9});
    CHECK(by_rank[1] / 900.0 == Approx(5 / 9.0).margin(0.05));
    CHECK(by_rank[0] / 900.0 == Approx(1 / 9.0).margin(0.05));
    const auto by_crowding = wins({0, 0, 0}, {1, 2, std::numeric_limits<double>::infinity()});
    CHECK(by_crowding[2] / 900.0 == Approx(5 / 9.0).margin(0.05));
    CHECK(by_crowding[0] / 900.0 == Approx(1 / 9.0).margin(0.05));
    const auto by_index = wins({0, 0, 0}, {1, 1, 1});
    CHECK(by_index[0] / 900.0 == Approx(5 / 9.0).margin(0.05));
    CHECK(by_index[2] / 900.0 == Approx(1 / 9.0).margin(0.05));
}

TEST_CASE("survivors are ordered by rank, crowding and index") {
    // Front 0: (0,4) (1,1) (4,0); front 1: (2,2); front 2: (3,3) twice; (5,5) alone.
    const std::vector<double> objectives{5, 5, 3, 3, 1, 1, 2, 2, 4, 0, 3, 3, 0, 4};
    CHECK(survivors(objectives, 2, {}, 7) == std::vector<std::size_t>{4, 6, 2, 3, 1, 5, 0});
    CHECK(survivors(objectives, 2, {}, 2) == std::vector<std::size_t>{4, 6});
    const std::vector<double> violations{0, 0, 1, 0, 0, 0, 2};
    CHECK(survivors(objectives, 2, violations, 7) == std::vector<std::size_t>{3, 4, 1, 5, 0, 2, 6});
}

TEST_CASE("survivors of random individuals are sorted and the best ones") {
    RandomStream random(3, StreamId::testing);
    for (int round = 0; round < 100; ++round) {
        std::vector<double> objectives(3 * 40);
        for (double& value : objectives)
            value = static_cast<double>(random.below(6));
        const std::vector<std::int32_t> ranks = non_dominated_rank(objectives, 3, {});
        const std::vector<double> crowding = crowding_distance_by_rank(objectives, 3, ranks);
        std::vector<std::size_t> expected(40);
        std::iota(expected.begin(), expected.end(), std::size_t{0});
        std::ranges::sort(expected, [&](std::size_t a, std::size_t b) {
            return std::tuple(ranks[a], -crowding[a], a) < std::tuple(ranks[b], -crowding[b], b);
        });
        expected.resize(20);
        REQUIRE(survivors(objectives, 3, {}, 20) == expected);
    }
}

TEST_CASE("a known problem converges to the front that exhaustive search finds") {
    const SearchSpace space = small_space(4);
    const std::vector<Genome> every = all_genomes(space);
    REQUIRE(every.size() == 4096);
    const std::vector<double> reference{cost_of(space.unpruned()) * 1.01,
                                        loss_of(space.smallest()) * 1.01};
    const double best = hypervolume(objectives_of(every), 2, reference);
    for (const std::uint64_t seed : {1U, 2U, 3U, 4U, 5U}) {
        AlgorithmParameters parameters;
        parameters.seed = seed;
        const Outcome outcome = minimise(space, 20, parameters);
        CHECK(distinct(outcome.evaluated) == 21 * 32);
        const double found = hypervolume(objectives_of(outcome.parents), 2, reference);
        CAPTURE(seed, found / best);
        CHECK(found / best >= 0.98);
    }
}
