#include "hdap/fleet/ticks.hpp"

#include "by_density.hpp"
#include "hdap/core/random.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

using namespace hdap;
using namespace hdap::fleet;

namespace {

/// 600 devices of three groups, 1.0, 1.15 and 1.4 times as slow, on eight benchmarks of 2.4 ms to
/// 8.8 ms. `runs` measurements each, with a timer of `tick` ms; a latency is their mean.
Fleet timed_fleet(double tick, int runs = 1) {
    const double base[] = {3.1, 4.7, 6.2, 2.4, 8.8, 5.5, 3.9, 7.1};
    core::RandomStream random(7, core::StreamId::testing);
    Fleet fleet;
    fleet.sku = "board";
    for (std::size_t b = 0; b < std::size(base); ++b)
        fleet.benchmark_names.push_back("b" + std::to_string(b));
    for (std::size_t i = 0; i < 600; ++i) {
        fleet.device_ids.push_back("d" + std::to_string(i));
        const double group = i < 420 ? 1.0 : i < 540 ? 1.15 : 1.4;
        const double speed = group * std::exp(0.02 * random.normal());
        for (const double latency : base) {
            double sum = 0.0;
            for (int run = 0; run < runs; ++run) {
                const double exact = latency * speed * std::exp(0.01 * random.normal());
                sum += tick > 0.0 ? tick * std::max(1.0, std::round(exact / tick)) : exact;
            }
            fleet.latency_ms.push_back(sum / runs);
        }
    }
    return fleet;
}

/// Whether most devices of each of the three groups are in one cluster, which is not another's. A
/// few stragglers may make small clusters, with ticks or without.
bool finds_groups(const Clustering& clustering) {
    const std::size_t firsts[] = {0, 420, 540, 600};
    std::set<std::size_t> largest;
    for (std::size_t group = 0; group < 3; ++group) {
        std::vector<std::size_t> devices(clustering.clusters(), 0);
        for (std::size_t i = firsts[group]; i < firsts[group + 1]; ++i)
            ++devices[static_cast<std::size_t>(clustering.assigned_cluster[i])];
        const auto most = std::max_element(devices.begin(), devices.end());
        if (10 * *most < 8 * (firsts[group + 1] - firsts[group])) return false;
        largest.insert(static_cast<std::size_t>(most - devices.begin()));
    }
    return largest.size() == 3;
}

Fleet one_benchmark(const std::vector<double>& latencies) {
    Fleet fleet;
    fleet.sku = "board";
    fleet.benchmark_names = {"b"};
    for (std::size_t i = 0; i < latencies.size(); ++i)
        fleet.device_ids.push_back("d" + std::to_string(i));
    fleet.latency_ms = latencies;
    return fleet;
}

std::vector<double> repeated(const std::vector<double>& values, std::size_t times) {
    std::vector<double> all;
    for (std::size_t i = 0; i < times; ++i)
        all.insert(all.end(), values.begin(), values.end());
    return all;
}

} // namespace

TEST_CASE("latencies of no common step have no ticks") {
    CHECK(latency_ticks(timed_fleet(0.0)) == std::vector<double>(8, 0.0));
    // Too few devices; one value; exact groups, however few values they make; values all distinct.
    CHECK(latency_ticks(one_benchmark({3, 3, 4, 4, 5}))[0] == 0.0);
    CHECK(latency_ticks(one_benchmark(repeated({5}, 100)))[0] == 0.0);
    CHECK(latency_ticks(one_benchmark(repeated({10.173, 13.918}, 50)))[0] == 0.0);
    CHECK(latency_ticks(one_benchmark(repeated({3.1, 3.565, 4.34, 9.1237}, 50)))[0] == 0.0);
    std::vector<double> counted(100);
    std::iota(counted.begin(), counted.end(), 1.0);
    CHECK(latency_ticks(one_benchmark(counted))[0] == 0.0);
    CHECK(ticks_text(timed_fleet(0.0), std::vector<double>(8, 0.0)).empty());
}

TEST_CASE("a fleet of noise-free groups has no ticks") {
    Fleet fleet = timed_fleet(0.0);
    const double base[] = {3.1, 4.7, 6.2, 2.4, 8.8, 5.5, 3.9, 7.1};
    for (std::size_t i = 0; i < fleet.latency_ms.size(); ++i)
        fleet.latency_ms[i] = base[i % 8] * (i < 420 * 8 ? 1.0 : i < 540 * 8 ? 1.15 : 1.4);
    CHECK(latency_ticks(fleet) == std::vector<double>(8, 0.0));
}

TEST_CASE("the step of a timer is found, that of a mean of k runs as its k-th part") {
    for (const double tick : {0.05, 0.1, 0.25, 0.5, 1.0, 15.625 / 16}) {
        CAPTURE(tick);
        for (const double found : latency_ticks(timed_fleet(tick)))
            CHECK(found == Approx(tick));
    }
    for (const double found : latency_ticks(timed_fleet(0.05, 3)))
        CHECK(found == Approx(0.05 / 3));
    // Runs that all show the same step resolve no more than one of them.
    for (const double found : latency_ticks(timed_fleet(0.5, 3)))
        CHECK(found == Approx(0.5));
}

TEST_CASE("a benchmark on which nearly all devices are within a step has the others' ticks") {
    Fleet fleet = timed_fleet(1.0);
    for (std::size_t i = 0; i < fleet.devices(); ++i)
        fleet.latency_ms[8 * i] = i % 50 == 0 ? 4.0 : 3.0;
    for (const double found : latency_ticks(fleet))
        CHECK(found == Approx(1.0));
}

TEST_CASE("ticks are found in single precision, and where a few devices have no ticks") {
    Fleet fleet = timed_fleet(0.5);
    const Fleet exact = timed_fleet(0.0);
    for (double& value : fleet.latency_ms)
        value = static_cast<double>(static_cast<float>(value));
    std::copy_n(exact.latency_ms.begin(), 20 * 8, fleet.latency_ms.begin());
    for (const double found : latency_ticks(fleet))
        CHECK(found == Approx(0.5));
}

TEST_CASE(
    "latencies are spread by half a tick at most, without ticks not at all, and always alike") {
    const Fleet fleet = timed_fleet(0.5);
    std::vector<double> ticks(8, 0.5);
    ticks[2] = 0.0;
    const std::vector<double> spread = spread_over_ticks(fleet, ticks);
    double sum = 0.0;
    for (std::size_t i = 0; i < spread.size(); ++i) {
        const double moved = spread[i] - fleet.latency_ms[i];
        CHECK(std::abs(moved) <= (i % 8 == 2 ? 0.0 : 0.25));
        sum += moved;
    }
    CHECK(std::abs(sum) < 0.01 * 0.5 * static_cast<double>(spread.size()));
    CHECK(spread == spread_over_ticks(fleet, ticks));
    CHECK(spread_over_ticks(one_benchmark({0.01, 0.5}), {1.0}) == std::vector<double>{0.01, 0.5});
}

TEST_CASE("what is missing neither shows nor hides a timer's steps, and is not spread over them") {
    Fleet fleet = timed_fleet(0.1);
    for (std::size_t i = 0; i < fleet.latency_ms.size(); i += 5)
        fleet.latency_ms[i] = std::numeric_limits<double>::quiet_NaN();
    for (std::size_t i = 5; i < fleet.devices(); ++i) // 5 devices are too few
        fleet.latency_ms[8 * i + 7] = std::numeric_limits<double>::quiet_NaN();
    const std::vector<double> ticks = latency_ticks(fleet);
    for (std::size_t b = 0; b < 7; ++b)
        CHECK(ticks[b] == Approx(0.1));
    const std::vector<double> spread = spread_over_ticks(fleet, ticks);
    for (std::size_t i = 0; i < spread.size(); ++i)
        CHECK(std::isnan(spread[i]) == std::isnan(fleet.latency_ms[i]));
    CHECK(std::isfinite(tick_distance(fleet, ticks, SignatureMetric::level)));
    CHECK(finds_groups(cluster_devices(fleet, by_density())));
    const Fleet exact = timed_fleet(0.0);
    fleet.latency_ms = exact.latency_ms;
    fleet.latency_ms[3] = std::numeric_limits<double>::quiet_NaN();
    CHECK(latency_ticks(fleet) == std::vector<double>(8, 0.0));
}

TEST_CASE("the distance of equal devices is that of half a tick squared per benchmark") {
    const Fleet fleet = one_benchmark(repeated({9, 10, 11}, 20));
    CHECK(tick_distance(fleet, {1.0}, SignatureMetric::level) == Approx(0.1 * std::sqrt(0.5)));
    const Fleet many = timed_fleet(0.5);
    const std::vector<double> ticks = latency_ticks(many);
    CHECK(tick_distance(many, ticks, SignatureMetric::shape) ==
          Approx(std::sqrt(7.0 / 8) * tick_distance(many, ticks, SignatureMetric::level)));
}

TEST_CASE("a timer's steps do not split groups, and are told once they matter") {
    const Clustering exact = cluster_devices(timed_fleet(0.0), by_density());
    CHECK(finds_groups(exact));
    CHECK(tick_warning(timed_fleet(0.0), exact).empty());
    for (const double tick : {0.02, 0.05, 0.1, 0.2, 0.5}) {
        CAPTURE(tick);
        for (const int runs : {1, 3}) {
            const Fleet fleet = timed_fleet(tick, runs);
            const Clustering clustering = cluster_devices(fleet, by_density());
            CAPTURE(runs, clustering.clusters());
            CHECK(finds_groups(clustering));
            if (tick / runs > 0.1)
                CHECK_THAT(tick_warning(fleet, clustering), Catch::Contains("in steps of"));
        }
    }
}

TEST_CASE("steps too coarse for any group are told, and an eps below them") {
    const Fleet fleet = timed_fleet(5.0);
    const Clustering clustering = cluster_devices(fleet, by_density());
    CAPTURE(clustering.clusters());
    CHECK_THAT(tick_warning(fleet, clustering), Catch::Contains("steps of 5 ms"));
    ClusteringParameters parameters = by_density();
    parameters.eps = 0.01;
    const Fleet finer = timed_fleet(0.5);
    CHECK_THAT(tick_warning(finer, cluster_devices(finer, parameters)),
               Catch::Contains("the radius of a group is 1 %"));
}
