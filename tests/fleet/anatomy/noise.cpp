#include "hdap/fleet/noise.hpp"

#include "hdap/core/random.hpp"
#include "hdap/core/statistics.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

using namespace hdap;
using namespace hdap::fleet;

namespace {

/// A fleet of identical devices whose runs have this noise.
Fleet repeated(std::size_t devices, std::int64_t runs, double sd) {
    core::RandomStream random(7, core::StreamId::testing);
    Fleet fleet;
    fleet.sku = "board";
    fleet.benchmark_names = {"a", "b"};
    for (std::size_t i = 0; i < devices; ++i) {
        fleet.device_ids.push_back(std::to_string(i));
        for (std::size_t b = 0; b < 2; ++b) {
            std::vector<double> of_run;
            for (std::int64_t k = 0; k < runs; ++k)
                of_run.push_back(10.0 * std::exp(sd * random.normal()));
            std::sort(of_run.begin(), of_run.end());
            LatencySpread spread{.runs = runs};
            for (std::size_t q = 0; q < kept_quantiles.size(); ++q)
                spread.quantile_ms[q] =
                    static_cast<float>(core::quantile_of_sorted(of_run, kept_quantiles[q]));
            fleet.spreads.push_back(spread);
            fleet.latency_ms.push_back(core::median(of_run));
        }
    }
    return fleet;
}

double variance_of_latencies(const Fleet& fleet) {
    double sum = 0.0;
    for (const double latency : fleet.latency_ms)
        sum += std::pow(std::log(latency / 10.0), 2.0);
    return sum / static_cast<double>(fleet.latency_ms.size());
}

} // namespace

TEST_CASE("noise is not known without runs, or with runs of less than half of the latencies") {
    Fleet fleet = repeated(50, 20, 0.02);
    REQUIRE(noise_of_runs(fleet));
    for (std::size_t i = 0; i < 60; ++i)
        fleet.spreads[i] = {.runs = 20}; // the tool told no quantiles
    CHECK_FALSE(noise_of_runs(fleet));
    fleet.spreads.clear();
    CHECK_FALSE(noise_of_runs(fleet));
    CHECK_FALSE(noise_of_runs(repeated(50, 1, 0.02)));
}

TEST_CASE("the noise of runs is the variance that their medians have between identical devices") {
    for (const std::int64_t runs : {3, 4, 5, 6, 10, 101}) {
        const Fleet fleet = repeated(4000, runs, 0.02);
        const auto noise = noise_of_runs(fleet);
        REQUIRE(noise);
        INFO(runs);
        CHECK(mean_variance(*noise) == Approx(variance_of_latencies(fleet)).epsilon(0.15));
    }
}

TEST_CASE("a benchmark without runs takes after the others") {
    Fleet fleet = repeated(100, 20, 0.02);
    for (std::size_t i = 1; i < fleet.spreads.size(); i += 2)
        fleet.spreads[i] = {};
    const auto noise = noise_of_runs(fleet);
    REQUIRE(noise);
    CHECK(noise->variance[1] == noise->variance[0]);
}

TEST_CASE("devices whose runs are far apart hardly change the noise of the others") {
    Fleet fleet = repeated(400, 20, 0.01);
    const double before = mean_variance(*noise_of_runs(fleet));
    for (std::size_t i = 0; i < 16; ++i) // 2 %
        fleet.spreads[i].quantile_ms[3] *= 2.0F;
    CHECK(mean_variance(*noise_of_runs(fleet)) < 1.5 * before);
}

TEST_CASE("the noise of rounds is the variance of latencies from all of them") {
    core::RandomStream random(8, core::StreamId::testing);
    MeasuredFleet measured;
    measured.parameters = {.rounds = 40, .quantile = 0.5};
    measured.fleet.benchmark_names = {"a", "b"};
    double squares = 0.0;
    constexpr int devices = 500;
    for (int i = 0; i < devices; ++i) {
        measured.fleet.device_ids.push_back(std::to_string(i));
        for (int k = 0; k < 80; ++k)
            measured.round_latency_ms.push_back(10.0 * std::exp(0.05 * random.normal()));
        const auto rounds = rounds_of_device(measured, static_cast<std::size_t>(i));
        for (const double latency : latency_estimates(rounds, 2, 0.5))
            squares += std::pow(std::log(latency / 10.0), 2.0) / (2.0 * devices);
    }
    const auto noise = noise_of_rounds(measured);
    REQUIRE(noise);
    CHECK(noise->source == NoiseSource::rounds);
    CHECK(mean_variance(*noise) == Approx(squares).epsilon(0.15));
    measured.parameters.rounds = 1;
    CHECK_FALSE(noise_of_rounds(measured));
}
