#include "hdap/search/variants.hpp"

#include "hdap/core/random.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <limits>

using namespace hdap;

namespace {

double mean_of(const std::vector<double>& latency, const std::vector<double>& weight,
               const std::vector<std::size_t>& variants) {
    double mean = 0.0;
    for (std::size_t k = 0; k < weight.size(); ++k) {
        double best = std::numeric_limits<double>::infinity();
        for (const std::size_t v : variants)
            best = std::min(best, latency[v * weight.size() + k]);
        mean += weight[k] * best;
    }
    return mean;
}

/// The smallest mean over all sets of `count`: tries all of them.
double exhaustive(const std::vector<double>& latency, const std::vector<double>& weight,
                  std::size_t count) {
    const std::size_t candidates = latency.size() / weight.size();
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t set = 1; set < (std::size_t{1} << candidates); ++set) {
        std::vector<std::size_t> variants;
        for (std::size_t v = 0; v < candidates; ++v)
            if ((set >> v & 1) != 0) variants.push_back(v);
        if (variants.size() == count) least = std::min(least, mean_of(latency, weight, variants));
    }
    return least;
}

} // namespace

TEST_CASE("the best single network has the least weighted mean") {
    const std::vector<double> latency{1, 9, 5, 4, 6, 3};
    CHECK(search::choose_variants(latency, std::vector<double>{0.5, 0.5}, 1) ==
          std::vector<std::size_t>{1});
    CHECK(search::choose_variants(latency, std::vector<double>{0.9, 0.1}, 1) ==
          std::vector<std::size_t>{0});
}

TEST_CASE("no more networks are chosen than help") {
    const std::vector<double> weight{0.5, 0.5};
    const std::vector<double> latency{1, 2, 3, 4, 1, 2};
    CHECK(search::choose_variants(latency, weight, 3) == std::vector<std::size_t>{0});
    const std::vector<double> crossed{1, 9, 9, 1, 5, 5};
    CHECK(search::choose_variants(crossed, weight, 3) == std::vector<std::size_t>{0, 1});
    CHECK(search::variant_of_cluster(crossed, 2, std::vector<std::size_t>{0, 1}) ==
          std::vector<std::size_t>{0, 1});
}

namespace {

/// A random fleet, and how far the choice is from the best one: 1 is the best.
double quality(core::RandomStream& random, std::size_t clusters) {
    const std::size_t candidates = 3 + random.below(7);
    std::vector<double> weight(clusters);
    std::vector<double> latency(candidates * clusters);
    for (double& w : weight)
        w = 0.1 + random.uniform();
    for (double& l : latency)
        l = 1.0 + random.uniform();
    const std::size_t count = 1 + random.below(3);
    const auto chosen = search::choose_variants(latency, weight, count);
    REQUIRE(chosen.size() <= count);
    REQUIRE(std::is_sorted(chosen.begin(), chosen.end()));
    return mean_of(latency, weight, chosen) / exhaustive(latency, weight, count);
}

} // namespace

TEST_CASE("up to 12 clusters the choice of variants is the best of all sets") {
    core::RandomStream random(1, core::StreamId::testing);
    for (int round = 0; round < 200; ++round)
        CHECK(quality(random, 1 + random.below(6)) == Approx(1.0).epsilon(1e-12));
    for (int round = 0; round < 3; ++round)
        CHECK(quality(random, 12) == Approx(1.0).epsilon(1e-12));
}

TEST_CASE("above 12 clusters the choice of variants mostly is the best, and never 5 % worse") {
    core::RandomStream random(2, core::StreamId::testing);
    int exact = 0;
    constexpr int rounds = 100;
    for (int round = 0; round < rounds; ++round) {
        const double found = quality(random, 13 + random.below(8));
        CHECK(found <= 1.05);
        exact += found <= 1.0 + 1e-12 ? 1 : 0;
    }
    CHECK(exact > rounds * 8 / 10);
}
