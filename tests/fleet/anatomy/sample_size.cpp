#include "hdap/fleet/sample_size.hpp"

#include "fleet/anatomy/made_fleets.hpp"
#include "hdap/core/statistics.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

using namespace hdap;
using namespace hdap::fleet;
using hdap::test::made_fleet;

namespace {

using Figure = std::function<double(std::span<const double>)>;
using Size = std::size_t (*)(std::span<const double>, double);

double p95(std::span<const double> sorted) {
    return core::quantile_of_sorted(sorted, 0.95);
}

/// How many of 600 draws of `devices` latencies tell the figure of all within 1 %.
double good_draws(const std::vector<double>& sorted, std::size_t devices, const Figure& figure) {
    constexpr int draws = 600;
    int good = 0;
    core::RandomStream random(5, core::StreamId::testing);
    std::vector<double> shuffled = sorted;
    for (int k = 0; k < draws; ++k) {
        for (std::size_t i = 0; i < devices; ++i)
            std::swap(shuffled[i], shuffled[i + random.below(shuffled.size() - i)]);
        std::vector<double> drawn(shuffled.begin(),
                                  shuffled.begin() + static_cast<std::ptrdiff_t>(devices));
        std::sort(drawn.begin(), drawn.end());
        good += std::abs(figure(drawn) / figure(sorted) - 1.0) <= 0.01 ? 1 : 0;
    }
    return static_cast<double>(good) / draws;
}

/// Latencies of normal logs, of which some are slower: by `slower` for a share of `slow`.
std::vector<double> latencies(std::size_t devices, double sd, double slow, double slower,
                              double slow_sd = 0.0) {
    core::RandomStream random(6, core::StreamId::testing);
    std::vector<double> sorted;
    for (std::size_t i = 0; i < devices; ++i) {
        const bool is_slow = static_cast<double>(i) < slow * static_cast<double>(devices);
        sorted.push_back(10.0 * (is_slow ? slower : 1.0) *
                         std::exp((is_slow && slow_sd > 0.0 ? slow_sd : sd) * random.normal()));
    }
    std::sort(sorted.begin(), sorted.end());
    return sorted;
}

std::vector<std::vector<double>> fleets() {
    return {latencies(3000, 0.06, 0.0, 1.0), latencies(3000, 0.02, 0.13, 1.4),
            latencies(3000, 0.02, 0.02, 2.0, 0.3), latencies(400, 0.05, 0.03, 1.3),
            latencies(20000, 0.03, 0.08, 1.2, 0.1)};
}

void check_enough(Size size, const Figure& figure) {
    for (const auto& sorted : fleets()) {
        const std::size_t devices = size(sorted, 0.01);
        INFO(devices << " of " << sorted.size());
        REQUIRE(devices >= 1);
        REQUIRE(devices <= sorted.size());
        CHECK(good_draws(sorted, devices, figure) >= 0.93);
    }
}

} // namespace

TEST_CASE("identical devices, and a single one, need one measurement") {
    for (const std::size_t devices : {1, 2, 1000}) {
        const std::vector<double> same(devices, 10.0);
        CHECK(devices_for_mean(same, 0.01) == 1);
        CHECK(devices_for_p95(same, 0.01) == 1);
        CHECK(devices_for_worst_percent(same, 0.01) == 1);
    }
}

TEST_CASE("so many devices tell the mean within 1 % in 93 of 100 draws or more") {
    check_enough(devices_for_mean,
                 [](std::span<const double> sorted) { return core::mean(sorted); });
}

TEST_CASE("so many devices tell the 95th percentile within 1 % in 93 of 100 draws or more") {
    check_enough(devices_for_p95, p95);
}

TEST_CASE("so many devices tell the slowest hundredth within 1 % in 93 of 100 draws or more") {
    check_enough(devices_for_worst_percent, mean_of_slowest);
}

TEST_CASE("half as many devices are too few, so that nobody measures for nothing") {
    const auto sorted = latencies(20000, 0.06, 0.0, 1.0);
    CHECK(devices_for_mean(sorted, 0.01) == Approx(std::pow(1.96 * 6.0, 2.0)).epsilon(0.1));
    const auto mean = [](std::span<const double> of) { return core::mean(of); };
    CHECK(good_draws(sorted, devices_for_mean(sorted, 0.01) / 2, mean) < 0.93);
    CHECK(good_draws(sorted, devices_for_p95(sorted, 0.01) / 2, p95) < 0.93);
    CHECK(good_draws(sorted, devices_for_worst_percent(sorted, 0.01) / 2, mean_of_slowest) < 0.93);
}

TEST_CASE("a percentile on the edge of a group of devices needs almost all of them") {
    CHECK(devices_for_p95(latencies(2000, 0.001, 0.05, 1.5), 0.01) > 1500);
}

TEST_CASE("a fleet's sizes are those of its most varied benchmark, and of devices that ran it") {
    Fleet fleet = made_fleet({.devices = 500, .benchmarks = 3, .speed = 0.01});
    for (std::size_t i = 0; i < 500; ++i)
        fleet.latency_ms[3 * i + 1] *= i % 2 == 0 ? 1.5 : 1.0;
    const SampleSizes sizes = sample_sizes(fleet);
    CHECK(sizes.mean.benchmark == 1);
    CHECK(sizes.mean.devices > 300);
    for (std::size_t i = 1; i < 500; ++i)
        fleet.latency_ms[3 * i + 1] = std::numeric_limits<double>::quiet_NaN();
    CHECK(sample_sizes(fleet).mean.devices < 20);
}
