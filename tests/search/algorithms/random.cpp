#include "search/algorithms/random.hpp"

#include "hdap/core/error.hpp"
#include "search/small_space.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <set>
#include <vector>

using namespace hdap::search;
using hdap::core::ConfigError;
using hdap::network::Genome;
using hdap::network::SearchSpace;
using testing::cost_of;
using testing::distinct;
using testing::mobilenet_space;
using testing::small_space;

TEST_CASE("random genomes are refused for parameters out of their range") {
    const AlgorithmParameters none{.population = 0};
    CHECK_THROWS_AS(initial_population(small_space(2), none), ConfigError);
    CHECK_THROWS_AS(random_candidates(small_space(2), 1, none, {}), ConfigError);
}

TEST_CASE("the first generation is allowed, distinct and begins unpruned") {
    for (const SearchSpace& space : {mobilenet_space(), small_space(4)}) {
        for (const std::int64_t n : {2, 3, 12, 32, 200}) {
            AlgorithmParameters parameters;
            parameters.population = n;
            const std::vector<Genome> population = initial_population(space, parameters);
            REQUIRE(population.size() == static_cast<std::size_t>(n));
            CHECK(population[0] == space.unpruned());
            CHECK(std::ranges::find(population, space.smallest()) != population.end());
            CHECK(distinct(population) == population.size());
            for (const Genome& genome : population)
                CHECK_NOTHROW(space.validate(genome));
        }
    }
}

TEST_CASE("the first generation covers the whole range of costs") {
    const SearchSpace space = small_space(4);
    const double most = cost_of(space.unpruned());
    for (const std::uint64_t seed : {1U, 2U, 3U}) {
        AlgorithmParameters parameters;
        parameters.population = 64;
        parameters.seed = seed;
        std::array<int, 5> fifths{};
        for (const Genome& genome : initial_population(space, parameters)) {
            ++fifths[std::min<std::size_t>(4,
                                           static_cast<std::size_t>(cost_of(genome) / most * 5))];
        }
        CHECK(*std::ranges::min_element(fifths) >= 5);
    }
}

TEST_CASE("random candidates are allowed, distinct, not seen before, and new in each generation") {
    const SearchSpace space = mobilenet_space();
    const AlgorithmParameters parameters{.population = 50, .seed = 4};
    std::set<Genome> seen;
    for (std::int64_t generation = 1; generation <= 3; ++generation) {
        const auto candidates =
            random_candidates(space, generation, parameters,
                              [&](const Genome& genome) { return seen.contains(genome); });
        REQUIRE(candidates.size() == 50);
        CHECK(candidates ==
              random_candidates(space, generation, parameters,
                                [&](const Genome& genome) { return seen.contains(genome); }));
        for (const Genome& genome : candidates) {
            CHECK(seen.insert(genome).second);
            for (std::size_t g = 0; g < genome.size(); ++g)
                CHECK(space.nearest_allowed(g, genome[g]) == genome[g]);
        }
    }
}
