#include "fleet/groupings/covering.hpp"

#include "fleet/anatomy/made_fleets.hpp"
#include "fleet/resource_fleet.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/statistics.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <omp.h>
#include <tuple>
#include <vector>

using namespace hdap;
using namespace hdap::fleet;
using hdap::test::made_fleet;
using testing::hostile_kinds;
using testing::ResourceFleet;

namespace {

/// The signature distance that a radius bounds.
double distance(const std::vector<double>& signatures, std::size_t benchmarks, std::size_t a,
                std::size_t b) {
    double sum = 0.0;
    for (std::size_t k = 0; k < benchmarks; ++k) {
        const double difference = signatures[a * benchmarks + k] - signatures[b * benchmarks + k];
        sum += difference * difference;
    }
    return std::sqrt(sum / static_cast<double>(benchmarks));
}

/// Whether a cluster of `other` stands for as large a part of the fleet, and its representatives
/// rank and scale benchmarks in the same way, within 1.5 %.
bool has_counterpart(const Fleet& fleet, const Clustering& clustering, std::size_t cluster,
                     const Fleet& other_fleet, const Clustering& other) {
    const auto shape = [](const Fleet& of, std::int32_t device) {
        std::vector<double> logs;
        for (std::size_t b = 0; b < of.benchmarks(); ++b)
            logs.push_back(
                std::log(of.latency_ms[static_cast<std::size_t>(device) * of.benchmarks() + b]));
        const double mean = core::mean(logs);
        for (double& log : logs)
            log -= mean;
        return logs;
    };
    const auto wanted = shape(fleet, clustering.representatives[cluster][0]);
    for (std::size_t k = 0; k < other.clusters(); ++k) {
        const auto found = shape(other_fleet, other.representatives[k][0]);
        double largest = 0.0;
        for (std::size_t b = 0; b < wanted.size(); ++b)
            largest = std::max(largest, std::abs(wanted[b] - found[b]));
        const double share = clustering.cluster_weight[cluster];
        // Five standard errors of the smaller fleet's share.
        const double margin =
            5.0 * std::sqrt(share * (1.0 - share) / static_cast<double>(fleet.devices()));
        if (largest < 0.015 && std::abs(other.cluster_weight[k] - share) < margin) return true;
    }
    return false;
}

} // namespace

TEST_CASE("covering refuses a radius, an error and a number of clusters out of range") {
    const Fleet fleet = ResourceFleet(hostile_kinds(), 0.0).fleet(50, 4);
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    for (const double wrong : {-0.1, 1e4, nan}) {
        CHECK_THROWS_AS(cluster_devices(fleet, {.radius = wrong}), core::ConfigError);
        CHECK_THROWS_AS(cluster_devices(fleet, {.error = wrong}), core::ConfigError);
    }
    CHECK_THROWS_WITH(cluster_devices(fleet, {.most_clusters = 0}),
                      Catch::Contains("most_clusters is 0"));
    CHECK_THROWS_WITH(cluster_devices(fleet, {.method = "coverin"}),
                      Catch::Contains("did you mean 'covering'"));
}

TEST_CASE("members of a covering group lie within the radius of its representative, others not") {
    const Fleet fleet = ResourceFleet(hostile_kinds(), 0.01).fleet(3000, 6);
    const double radius = GENERATE(0.02, 0.05, 0.2);
    const Clustering clustering = cluster_devices(fleet, {.radius = radius});
    CHECK(clustering.facts.radius == radius);
    const auto signatures = latency_signatures(fleet, clustering.metric);
    std::size_t members = 0;
    for (std::size_t i = 0; i < fleet.devices(); ++i) {
        std::size_t nearest = 0;
        double least = std::numeric_limits<double>::infinity();
        for (std::size_t k = 0; k < clustering.clusters(); ++k) {
            const auto centre = static_cast<std::size_t>(clustering.representatives[k][0]);
            const double away = distance(signatures, fleet.benchmarks(), i, centre);
            if (away < least) nearest = k;
            least = std::min(least, away);
        }
        if (least < radius * (1.0 - 1e-9))
            CHECK(clustering.cluster_of_device[i] == static_cast<std::int32_t>(nearest));
        if (least > radius * (1.0 + 1e-9)) CHECK(clustering.cluster_of_device[i] == -1);
        members += clustering.cluster_of_device[i] >= 0 ? 1 : 0;
    }
    if (clustering.clusters() < 24) CHECK(members >= 2955);
}

TEST_CASE("devices that differ by one factor are one group, however much they differ") {
    const Fleet fleet = ResourceFleet({{1.0, {1.0, 1.0, 1.0}}}, 0.005).fleet(1000, 8);
    const Clustering clustering = cluster_devices(fleet, {});
    CHECK(clustering.clusters() == 1);
    REQUIRE(clustering.held_out.has_value());
    CHECK(decisive_error(*clustering.held_out) < 0.005);
    CHECK(clustering.blends.size() == 1);
}

TEST_CASE("devices that differ by noise beside one factor are one group, however large the noise") {
    const std::vector<std::tuple<std::size_t, std::size_t, double>> fleets{
        {300, 8, 0.05}, {2000, 8, 0.1}, {300, 8, 0.2}, {40, 8, 0.1}, {300, 3, 0.1}};
    for (const auto& [devices, benchmarks, noise] : fleets) {
        CAPTURE(devices, benchmarks, noise);
        const Fleet fleet = made_fleet(
            {.devices = devices, .benchmarks = benchmarks, .speed = 0.1, .noise = noise});
        const Clustering clustering = cluster_devices(fleet, {});
        CHECK(clustering.clusters() == 1);
        CHECK(clustering.metric == SignatureMetric::shape);
        CHECK(clustering.facts.shape_is_noise);
        CHECK(clustering.facts.trials.empty());
        CHECK_THAT(grouping_text(clustering), Catch::Contains("speed and noise alone"));
    }
}

TEST_CASE("whether shape is noise is asked where nothing else is: by shape, without a radius") {
    const Fleet noisy = made_fleet({.devices = 300, .speed = 0.1, .noise = 0.1});
    CHECK_FALSE(cluster_devices(noisy, {.metric = MetricChoice::level}).facts.shape_is_noise);
    CHECK_FALSE(cluster_devices(noisy, {.radius = 0.1}).facts.shape_is_noise);
    const Fleet shaped =
        made_fleet({.devices = 300, .speed = 0.1, .noise = 0.02, .factors = 2, .shape = 0.02});
    CHECK_FALSE(cluster_devices(shaped, {}).facts.shape_is_noise);
}

TEST_CASE("groups that respond in their own ways are found, and keep the wanted error") {
    const ResourceFleet model(hostile_kinds(), 0.005);
    const Fleet fleet = model.fleet(2000, 8);
    const Clustering clustering = cluster_devices(fleet, {});
    CAPTURE(clustering.facts.radius);
    REQUIRE(clustering.clusters() == 4);
    for (std::size_t i = 0; i < fleet.devices(); ++i)
        for (const std::size_t k : {0U, 1U, 2U, 3U})
            if (model.kind_of(i) ==
                model.kind_of(static_cast<std::size_t>(clustering.representatives[k][0])))
                CHECK(clustering.assigned_cluster[i] == static_cast<std::int32_t>(k));
    REQUIRE(clustering.held_out.has_value());
    CHECK(decisive_error(*clustering.held_out) <= 0.01);
    // One group is not enough, and was tried.
    REQUIRE(!clustering.facts.trials.empty());
    CHECK(clustering.facts.trials.front().clusters == 1);
    CHECK(decisive_error(clustering.facts.trials.front().errors) > 0.01);
}

TEST_CASE("the error on held-out benchmarks is that on networks that nobody measured") {
    const ResourceFleet model(hostile_kinds(), 0.005);
    const Fleet fleet = model.fleet(2000, 8);
    for (const char* method : {"covering", "whole_fleet"}) {
        const Clustering clustering = cluster_devices(fleet, {.method = method});
        double squares = 0.0;
        constexpr std::uint32_t networks = 40;
        for (std::uint32_t network = 1000; network < 1000 + networks; ++network) {
            std::vector<double> cluster_ms;
            for (const auto& devices : clustering.representatives) {
                std::vector<double> measured;
                for (const std::int32_t device : devices)
                    measured.push_back(
                        model.true_latency_ms(static_cast<std::size_t>(device), network));
                cluster_ms.push_back(core::mean(measured));
            }
            std::vector<double> told;
            std::vector<double> truth;
            for (std::size_t i = 0; i < fleet.devices(); ++i) {
                told.push_back(device_latency_ms(clustering, cluster_ms, i));
                truth.push_back(model.true_latency_ms(i, network));
            }
            const double error = figures_of(told).p95 / figures_of(truth).p95 - 1.0;
            squares += error * error / networks;
        }
        CAPTURE(method, clustering.held_out->p95);
        // Eight benchmarks tell a root mean square to a quarter of it; what is small is noise.
        CHECK(std::sqrt(squares) < 2.0 * clustering.held_out->p95 + 0.002);
        CHECK(std::sqrt(squares) > 0.4 * clustering.held_out->p95 - 0.004);
    }
}

TEST_CASE("a larger sample of the same fleet has the same groups") {
    const ResourceFleet model(hostile_kinds(), 0.005, 3);
    const Fleet small = model.fleet(2'000, 8);
    const Clustering of_small = cluster_devices(small, {});
    const Fleet large = model.fleet(60'000, 8);
    const Clustering of_large = cluster_devices(large, {});
    CHECK(of_small.clusters() == of_large.clusters());
    for (std::size_t k = 0; k < of_small.clusters(); ++k) {
        CAPTURE(k);
        CHECK(has_counterpart(small, of_small, k, large, of_large));
    }
}

TEST_CASE(
    "one device, two devices, devices that are all alike and a single benchmark are grouped") {
    for (const std::size_t devices : {1U, 2U, 50U}) {
        Fleet fleet = ResourceFleet({{1.0, {1.0, 1.0, 1.0}}}, 0.0).fleet(1, 3);
        while (fleet.devices() < devices) {
            fleet.device_ids.push_back(std::to_string(fleet.devices()));
            for (std::size_t b = 0; b < 3; ++b)
                fleet.latency_ms.push_back(fleet.latency_ms[b]);
        }
        const Clustering clustering = cluster_devices(fleet, {});
        CHECK(clustering.clusters() == 1);
        CHECK(clustering.cluster_weight == std::vector<double>{1.0});
        CHECK(clustering.device_ratio == std::vector<double>(devices, 1.0));
        CHECK(decisive_error(clustering.held_out.value()) == Approx(0.0).margin(1e-12));
    }
    const Clustering lonely =
        cluster_devices(ResourceFleet(hostile_kinds(), 0.01).fleet(200, 1), {});
    CHECK(lonely.metric == SignatureMetric::level);
    CHECK_FALSE(lonely.held_out.has_value());
    CHECK(lonely.facts.trials.empty());
}

TEST_CASE("more clusters than are allowed are not made") {
    const Fleet fleet = ResourceFleet(hostile_kinds(), 0.005).fleet(1000, 8);
    const Clustering clustering = cluster_devices(fleet, {.most_clusters = 2});
    CHECK(clustering.clusters() <= 2);
    CHECK(cluster_devices(fleet, {.radius = 0.006, .most_clusters = 7}).clusters() == 7);
}

TEST_CASE("the covering does not depend on the number of threads") {
    const Fleet fleet = ResourceFleet(hostile_kinds(), 0.02).fleet(3000, 5);
    omp_set_num_threads(1);
    const Clustering one = cluster_devices(fleet, {});
    omp_set_num_threads(3);
    const Clustering three = cluster_devices(fleet, {});
    omp_set_num_threads(1);
    CHECK(one.cluster_of_device == three.cluster_of_device);
    CHECK(one.representatives == three.representatives);
    CHECK(one.facts == three.facts);
    CHECK(one.held_out == three.held_out);
    CHECK(one.blends == three.blends);
    CHECK(one.cluster_blend == three.cluster_blend);
}

TEST_CASE("a fifth of the latencies missing leaves the groups as they are") {
    const ResourceFleet model(hostile_kinds(), 0.005);
    Fleet fleet = model.fleet(1000, 8);
    core::RandomStream random(5, core::StreamId::testing);
    for (double& latency : fleet.latency_ms)
        if (random.uniform() < 0.2) latency = std::numeric_limits<double>::quiet_NaN();
    const Clustering clustering = cluster_devices(fleet, {.radius = 0.1});
    REQUIRE(clustering.clusters() >= 4);
    std::size_t right = 0;
    for (std::size_t i = 0; i < fleet.devices(); ++i) {
        const auto k = static_cast<std::size_t>(clustering.assigned_cluster[i]);
        const auto centre = static_cast<std::size_t>(clustering.representatives[k][0]);
        right += model.kind_of(i) == model.kind_of(centre) ? 1 : 0;
    }
    CHECK(right >= 970);
}

TEST_CASE("timers that count in steps do not make groups") {
    Fleet fleet =
        ResourceFleet({{0.6, {1.0, 1.0, 1.0}}, {0.4, {1.0, 2.0, 1.0}}}, 0.005).fleet(1000, 8);
    for (double& latency : fleet.latency_ms)
        latency = std::round(latency / 0.5) * 0.5;
    const Clustering clustering = cluster_devices(fleet, {});
    CHECK(clustering.clusters() >= 1);
    CHECK(clustering.clusters() <= 3);
}

TEST_CASE("every device for itself is for small fleets only, and makes no error") {
    const ResourceFleet model(hostile_kinds(), 0.0);
    const Clustering clustering = cluster_devices(model.fleet(30, 4), {.method = "per_device"});
    CHECK(clustering.clusters() == 30);
    CHECK(decisive_error(clustering.held_out.value()) == Approx(0.0).margin(1e-12));
    CHECK_THROWS_WITH(cluster_devices(model.fleet(1001, 2), {.method = "per_device"}),
                      Catch::Contains("at most 1000 devices") && Catch::Contains("1001"));
}
