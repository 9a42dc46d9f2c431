#include "hdap/fleet/regret.hpp"

#include "fleet/anatomy/made_fleets.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/fleet/figure_errors.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

using namespace hdap;
using namespace hdap::fleet;
using hdap::test::made_fleet;

namespace {

Noise noise_of(const Fleet& fleet, double sd) {
    return {.variance = test::variances(fleet, sd)};
}

/// Every second device takes 1.2 times as long on benchmarks 4 … 7.
Fleet of_two_groups(double noise) {
    Fleet fleet = made_fleet({.devices = 400, .speed = 0.02, .noise = noise});
    for (std::size_t i = 0; i < 400; i += 2)
        test::slow_down(fleet, i, i + 1, 1.2, 4);
    return fleet;
}

std::vector<std::int32_t> alternating(std::size_t devices) {
    std::vector<std::int32_t> groups;
    for (std::size_t i = 0; i < devices; ++i)
        groups.push_back(static_cast<std::int32_t>(i % 2));
    return groups;
}

/// The largest regret of choosing between any two benchmarks by a device, pair by pair.
double plain_bound(const Fleet& fleet, std::size_t device, const std::vector<double>& truth) {
    double largest = 0.0;
    for (std::size_t a = 0; a < truth.size(); ++a)
        for (std::size_t b = 0; b < truth.size(); ++b) {
            const double* const row = fleet.latency_ms.data() + device * truth.size();
            const double by_view = std::log(row[a] / row[b]);
            const double by_truth = std::log(truth[a] / truth[b]);
            largest = std::max(largest, by_truth - by_view);
        }
    return std::expm1(largest);
}

} // namespace

TEST_CASE("noise and groups that do not fit the fleet are refused") {
    const Fleet fleet = made_fleet({.devices = 5, .speed = 0.1});
    CHECK_THROWS_AS(regret_bounds(fleet, {}), core::InternalError);
    const Noise noise = noise_of(fleet, 0.0);
    CHECK_THROWS_AS(regret_bounds(fleet, noise, std::vector<std::int32_t>(4)), core::InternalError);
    CHECK_THROWS_AS(regret_bounds(fleet, noise, std::vector<std::int32_t>{0, 1, 2, 3, 1 << 30}),
                    core::InternalError);
}

TEST_CASE("one device or one benchmark leaves no choice to regret") {
    for (const Fleet& fleet : {made_fleet({.devices = 1, .speed = 0.1}),
                               made_fleet({.devices = 9, .benchmarks = 1, .speed = 0.1})}) {
        const RegretBounds bounds = regret_bounds(fleet, noise_of(fleet, 0.0));
        CHECK_FALSE(bounds.unknown.empty());
        CHECK(bounds.figures.empty());
    }
}

TEST_CASE("bounds are those of all pairs of benchmarks on all devices") {
    const Fleet fleet =
        made_fleet({.devices = 101, .benchmarks = 5, .speed = 0.05, .factors = 2, .shape = 0.04});
    std::vector<double> mean;
    for (std::size_t b = 0; b < 5; ++b)
        mean.push_back(core::mean(measured_latencies(fleet, b)));
    std::vector<double> bounds;
    for (std::size_t i = 0; i < 101; ++i)
        bounds.push_back(plain_bound(fleet, i, mean));
    std::sort(bounds.begin(), bounds.end());
    const RegretBounds found = regret_bounds(fleet, noise_of(fleet, 0.0));
    const RegretBound& of_mean = found.figures.at(0);
    CHECK(of_mean.figure == FleetFigure::mean);
    CHECK(of_mean.one_device.value == Approx(bounds[50]));
    CHECK(of_mean.one_device_p95.value == Approx(bounds[95]));
    CHECK(of_mean.one_device_raw == Approx(bounds[95]));
    CHECK(of_mean.central_device.value == Approx(plain_bound(fleet, found.central_device, mean)));
    for (const RegretBound& bound : found.figures) {
        CHECK(bound.one_device.interval.lower <= bound.one_device.value);
        CHECK(bound.one_device.interval.upper >= bound.one_device.value);
        CHECK(bound.one_device.value <= bound.one_device_p95.value);
    }
}

TEST_CASE("the slowest hundredth is of as many devices as elsewhere") {
    const Fleet fleet =
        made_fleet({.devices = 160, .benchmarks = 5, .speed = 0.05, .factors = 2, .shape = 0.04});
    std::vector<double> slowest;
    for (std::size_t b = 0; b < 5; ++b)
        slowest.push_back(figures_of(measured_latencies(fleet, b)).slowest);
    const RegretBounds found = regret_bounds(fleet, noise_of(fleet, 0.0));
    const RegretBound& bound = found.figures.at(2);
    CHECK(bound.figure == FleetFigure::worst_percent);
    CHECK(bound.central_device.value == Approx(plain_bound(fleet, found.central_device, slowest)));
}

TEST_CASE("noise is no regret, even where it differs between benchmarks") {
    Fleet fleet = made_fleet({.devices = 1000, .speed = 0.06, .noise = 0.003});
    core::RandomStream random(2, core::StreamId::testing);
    for (std::size_t i = 0; i < 1000; ++i) // the last one is noisier
        fleet.latency_ms[8 * i + 7] *= std::exp(0.02 * random.normal());
    Noise noise = noise_of(fleet, 0.003);
    noise.variance[7] += 0.02 * 0.02;
    for (const RegretBound& bound : regret_bounds(fleet, noise).figures) {
        CHECK(bound.one_device_p95.value < 0.003);
        CHECK(bound.one_device_raw > 0.02);
    }
}

TEST_CASE("a shape beside noise costs what it costs without") {
    const auto p95 = [](const Fleet& fleet, double noise) {
        return regret_bounds(fleet, noise_of(fleet, noise)).figures.at(0).one_device_p95.value;
    };
    const test::MadeOf quiet{.devices = 2000, .speed = 0.03, .factors = 2, .shape = 0.01};
    test::MadeOf noisy = quiet;
    noisy.noise = 0.01;
    CHECK(p95(made_fleet(noisy), 0.01) == Approx(p95(made_fleet(quiet), 0.0)).epsilon(0.25));
}

TEST_CASE("odd devices keep their shape where most have none") {
    Fleet fleet = made_fleet({.devices = 500, .speed = 0.02, .noise = 0.002});
    test::slow_down(fleet, 0, 50, 1.3, 4);
    const RegretBounds bounds = regret_bounds(fleet, noise_of(fleet, 0.002));
    CHECK(bounds.figures.at(0).one_device.value < 0.05);
    CHECK(bounds.figures.at(0).one_device_p95.value == Approx(0.27).margin(0.03));
}

TEST_CASE("a search on one group's device makes the other group slower") {
    const Fleet fleet = of_two_groups(0.0);
    const auto groups = alternating(400);
    const RegretBounds bounds = regret_bounds(fleet, noise_of(fleet, 0.0), groups);
    REQUIRE(bounds.figures.size() == 4);
    const RegretBound& slowest = bounds.figures[3];
    CHECK(slowest.figure == FleetFigure::worst_group);
    CHECK(slowest.one_device_p95.value == Approx(0.2).margin(0.01));
    // Mean: 1.1 against 1.0 or 1.2.
    CHECK(bounds.figures[0].one_device.value == Approx(0.095).margin(0.01));
    REQUIRE(bounds.figures[0].equal_groups);
    CHECK(bounds.figures[0].equal_groups->value == Approx(0.0).margin(0.001));
}

TEST_CASE("groups that count the same are wrong where one of them is small") {
    Fleet fleet = made_fleet({.devices = 400, .speed = 0.01});
    std::vector<std::int32_t> groups(400, 0);
    for (std::size_t i = 0; i < 20; ++i)
        groups[i] = 1;
    test::slow_down(fleet, 0, 20, 1.5, 4);
    const RegretBounds bounds = regret_bounds(fleet, noise_of(fleet, 0.0), groups);
    // 1.25 in equal shares, 1.025 by devices.
    CHECK(bounds.figures.at(0).equal_groups->value == Approx(1.25 / 1.025 - 1.0).margin(0.01));
}
