#include "search/algorithms/uniform.hpp"

#include "hdap/core/error.hpp"
#include "search/small_space.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <set>
#include <vector>

using namespace hdap::search;
using hdap::core::ConfigError;
using hdap::network::Genome;
using hdap::network::Network;
using hdap::network::SearchSpace;
using testing::bottleneck_network;
using testing::chain_network;
using testing::distinct;
using testing::mobilenet_space;
using testing::small_space;

namespace {

const Network network = bottleneck_network(2);
const SearchSpace space(network, {.min_keep = 0.1});

/// All that is asked for in generations 0 … `generations`, the log staying empty.
std::vector<Genome> asked(const AlgorithmParameters& parameters, std::int64_t generations) {
    const auto algorithm = make_uniform(parameters, {network, space, {}, generations});
    const EvaluationLog log({});
    std::vector<Genome> all;
    for (std::int64_t generation = 0; generation <= generations; ++generation)
        for (Genome& genome : algorithm->ask(generation, log))
            all.push_back(std::move(genome));
    return all;
}

double width_of(const Genome& genome) {
    return genome[1] / 48.0;
}

} // namespace

TEST_CASE("uniform widths of blocks are refused where the network has none") {
    const Network chain = chain_network(1, 64);
    const SearchSpace without = small_space(1);
    CHECK_THROWS_AS(make_uniform({.genes = GeneLayout::block}, {chain, without, {}, 1}),
                    ConfigError);
}

TEST_CASE("the uniform ratios give every different uniform genome once, from wide to narrow") {
    const SearchSpace coarse(network, {.min_keep = 0.3, .divisor = 8});
    for (const Genes& genes : {Genes(space), Genes(coarse), Genes(coarse, {{1, 2}, {3, 4}})}) {
        std::set<Genome> expected;
        for (int i = 0; i <= 100000; ++i)
            expected.insert(genes.uniform(i / 100000.0));
        const std::vector<double> ratios = uniform_ratios(genes);
        CHECK(std::ranges::is_sorted(ratios, std::ranges::greater{}));
        std::vector<Genome> found;
        for (const double ratio : ratios)
            found.push_back(genes.uniform(ratio));
        CHECK(std::set(found.begin(), found.end()) == expected);
        CHECK(found.size() == expected.size());
        CHECK(found.front() == genes.unpruned);
        CHECK(found.back() == genes.smallest);
    }
    // Nothing can be pruned.
    CHECK(uniform_ratios(Genes(SearchSpace(network, {.min_keep = 1}))) == std::vector<double>{1});
}

TEST_CASE("the order of widths is a permutation, whose beginnings are spread evenly") {
    CHECK(spread_order(0).empty());
    CHECK(spread_order(1) == std::vector<std::size_t>{0});
    CHECK(spread_order(2) == std::vector<std::size_t>{0, 1});
    CHECK(spread_order(9) == std::vector<std::size_t>{0, 8, 4, 2, 6, 1, 5, 3, 7});
    for (const std::size_t count : {3U, 10U, 100U, 1000U}) {
        std::vector<std::size_t> order = spread_order(count);
        for (const std::size_t beginning : {5U, 12U, 33U}) {
            if (beginning > count) continue;
            std::vector<std::size_t> first(order.begin(), order.begin() + beginning);
            std::ranges::sort(first);
            std::size_t widest = 0;
            for (std::size_t i = 1; i < beginning; ++i)
                widest = std::max(widest, first[i] - first[i - 1]);
            // Half of the gaps may have been halved already.
            CHECK(static_cast<double>(widest) <=
                  2.0 * static_cast<double>(count - 1) / static_cast<double>(beginning - 1) + 1);
        }
        std::ranges::sort(order);
        for (std::size_t i = 0; i < count; ++i)
            CHECK(order[i] == i);
    }
}

TEST_CASE("all that is asked for is uniform and different, and each generation refines") {
    const AlgorithmParameters parameters{.population = 8};
    const std::vector<Genome> all = asked(parameters, 3);
    REQUIRE(all.size() == 32);
    CHECK(distinct(all) == 32);
    CHECK(all[0] == space.unpruned());
    CHECK(all[1] == space.smallest());
    const Genes genes(space);
    std::set<Genome> uniform;
    for (const double ratio : uniform_ratios(genes))
        uniform.insert(space.uniform(ratio));
    double widest = 1;
    for (std::size_t generations = 1; generations <= 4; ++generations) {
        std::vector<double> widths;
        for (std::size_t i = 0; i < 8 * generations; ++i) {
            CHECK(uniform.contains(all[i]));
            widths.push_back(width_of(all[i]));
        }
        std::ranges::sort(widths);
        double gap = 0;
        for (std::size_t i = 1; i < widths.size(); ++i)
            gap = std::max(gap, widths[i] - widths[i - 1]);
        CHECK(gap < widest);
        widest = gap;
    }
}

TEST_CASE("when all uniform widths were asked for, only the unpruned network is") {
    const std::size_t count = uniform_ratios(Genes(space)).size();
    const std::vector<Genome> all = asked({.population = 20}, 20);
    CHECK(count < 20 * 21);
    CHECK(distinct(all) == count);
    CHECK(all.back() == space.unpruned());
    CHECK(all[all.size() - 2] == space.unpruned());
}

TEST_CASE("uniform widths of blocks leave the rest whole") {
    for (const Genome& genome : asked({.population = 10, .genes = GeneLayout::block}, 2))
        CHECK(genome[0] == 32);
}
