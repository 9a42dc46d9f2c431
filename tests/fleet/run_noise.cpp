#include "hdap/fleet/run_noise.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/statistics.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <vector>

using namespace hdap;
using namespace hdap::fleet;

namespace {

/// Run after run.
double plain_median(double sigma, int runs, core::RandomStream& random) {
    std::vector<double> factors;
    for (int run = 0; run < runs; ++run) {
        const double noise = std::exp(sigma * random.normal());
        const bool outlier = random.uniform() < 0.01;
        const double excess = -0.2 * std::log1p(-random.uniform());
        factors.push_back(noise * (outlier ? 1.0 + excess : 1.0));
    }
    return core::median(factors);
}

} // namespace

TEST_CASE("noise of no runs is refused") {
    core::RandomStream random(3, core::StreamId::testing);
    CHECK_THROWS_AS(median_run_noise(0.01, 0, random), core::InternalError);
    CHECK_THROWS_AS(RunNoise(1, 0), core::InternalError);
    CHECK_THROWS_AS(RunNoise(1, -1), core::InternalError);
}

TEST_CASE("the median of noisy runs has the bits of a plain one, though few runs are computed") {
    for (const int runs : {1, 2, 3, 9, 10, 11, 101}) {
        RunNoise noise(3, runs);
        for (std::uint32_t i = 0; i < 20'000; ++i) {
            const double sigma = 0.001 * (i % 20);
            core::RandomStream plain(3, core::StreamId::measurement_noise, i, 5);
            core::RandomStream random = plain;
            const double expected = plain_median(sigma, runs, plain);
            REQUIRE(noise.median(sigma, i, 5) == expected);
            if (i % 100 != 0) continue;
            REQUIRE(median_run_noise(sigma, runs, random) == expected);
            REQUIRE(random() == plain());
        }
    }
}
