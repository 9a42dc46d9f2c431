#include "hdap/fleet/drift.hpp"

#include "hdap/core/error.hpp"
#include "resource_fleet.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

using namespace hdap;
using namespace hdap::fleet;
using testing::hostile_kinds;
using testing::ResourceFleet;

namespace {

ClusteringParameters four_groups() {
    ClusteringParameters parameters;
    parameters.radius = 0.1;
    return parameters;
}

/// The kinds of hostile_kinds with these shares.
std::vector<testing::DeviceKind> kinds_with(const std::vector<double>& shares) {
    auto kinds = hostile_kinds();
    for (std::size_t k = 0; k < kinds.size(); ++k)
        kinds[k].share = shares[k];
    return kinds;
}

std::int64_t changed_shares(const FleetDrift& drift) {
    return std::ranges::count_if(drift.clusters, &ClusterDrift::share_changed);
}

} // namespace

TEST_CASE("a drift refuses fleets that cannot be compared") {
    const Fleet before = ResourceFleet(hostile_kinds(), 0.005).fleet(200, 4);
    const Clustering clustering = cluster_devices(before, four_groups());
    Fleet other = before;
    other.sku = "another";
    CHECK_THROWS_WITH(drift_of(before, clustering, other),
                      Catch::Contains("'board' and 'another'"));
    other = before;
    for (std::string& name : other.benchmark_names)
        name += "'";
    CHECK_THROWS_WITH(drift_of(before, clustering, other), Catch::Contains("share 0 benchmarks"));
    Fleet with_genomes = before;
    for (std::size_t b = 0; b < 4; ++b)
        with_genomes.benchmark_genomes.push_back({static_cast<std::int32_t>(b + 1)});
    other = with_genomes;
    for (std::size_t b = 1; b < 4; ++b)
        other.benchmark_genomes[b] = {static_cast<std::int32_t>(b + 10)};
    CHECK_THROWS_WITH(drift_of(with_genomes, clustering, other),
                      Catch::Contains("share 1 benchmark "));
    CHECK_THROWS_AS(drift_of(ResourceFleet(hostile_kinds(), 0.0).fleet(100, 4), clustering, before),
                    core::DataError);
    other = before;
    other.latency_ms[3] = -1.0;
    CHECK_THROWS_AS(drift_of(before, clustering, other), core::DataError);
}

TEST_CASE("a fleet that is the same has not drifted") {
    const Fleet fleet = ResourceFleet(hostile_kinds(), 0.005).fleet(800, 6);
    const FleetDrift drift = drift_of(fleet, cluster_devices(fleet, four_groups()), fleet);
    CHECK(drift.common_devices == 800);
    CHECK(drift.common_benchmarks == 6);
    CHECK(drift.new_devices + drift.gone_devices == 0);
    CHECK(drift.moved.empty());
    CHECK_FALSE(drift.outside_changed);
    CHECK(changed_shares(drift) == 0);
    for (const ClusterDrift& cluster : drift.clusters) {
        CHECK(cluster.moved == 0.0);
        CHECK(cluster.overall_ratio == 1.0);
        CHECK(cluster.is_valid);
        CHECK(cluster.old_share == cluster.new_share);
    }
}

TEST_CASE("devices that were in no cluster before are no change") {
    ClusteringParameters narrow;
    narrow.radius = 0.004;
    narrow.most_clusters = 2;
    const Fleet fleet = ResourceFleet(hostile_kinds(), 0.005).fleet(800, 6);
    const Clustering clustering = cluster_devices(fleet, narrow);
    REQUIRE(std::ranges::count(clustering.cluster_of_device, -1) > 100);
    const FleetDrift same = drift_of(fleet, clustering, fleet);
    CHECK(same.outside_share > 0.1);
    CHECK(same.outside_before == same.outside_share);
    CHECK_FALSE(same.outside_changed);
}

TEST_CASE("other devices of the same kinds are the same fleet, in 19 of 20 draws at least") {
    const Fleet before = ResourceFleet(hostile_kinds(), 0.005, 1).fleet(600, 6);
    const Clustering clustering = cluster_devices(before, four_groups());
    int alarms = 0;
    for (std::uint64_t seed = 2; seed < 42; ++seed) {
        const FleetDrift drift =
            drift_of(before, clustering, ResourceFleet(hostile_kinds(), 0.005, seed).fleet(600, 6));
        alarms += changed_shares(drift) > 0 || drift.outside_changed ? 1 : 0;
        for (const ClusterDrift& cluster : drift.clusters)
            CHECK(cluster.is_valid);
    }
    CHECK(alarms <= 2);
}

TEST_CASE("a mixture that has changed is told, and its clusters stay valid") {
    const Fleet before = ResourceFleet(hostile_kinds(), 0.005, 1).fleet(600, 6);
    const Clustering clustering = cluster_devices(before, four_groups());
    Fleet now = ResourceFleet(kinds_with({0.35, 0.35, 0.2, 0.1}), 0.005, 5).fleet(900, 6);
    for (std::string& id : now.device_ids)
        id += " of another customer";
    const FleetDrift drift = drift_of(before, clustering, now);
    CHECK(drift.common_devices == 0);
    CHECK(drift.new_devices == 900);
    CHECK(changed_shares(drift) >= 2);
    CHECK(std::ranges::all_of(drift.clusters, &ClusterDrift::is_valid));
    CHECK(drift.clustering.devices() == 900);
}

TEST_CASE("devices that moved to another cluster are named") {
    const ResourceFleet model(hostile_kinds(), 0.002);
    const Fleet before = model.fleet(400, 6);
    const Clustering clustering = cluster_devices(before, four_groups());
    // Twenty devices of the first kind get a slow memory.
    Fleet now = before;
    std::vector<std::string> changed;
    std::size_t donor = 0;
    while (model.kind_of(donor) != 1)
        ++donor;
    for (std::size_t i = 0; i < 400 && changed.size() < 20; ++i) {
        if (model.kind_of(i) != 0) continue;
        changed.push_back(now.device_ids[i]);
        for (std::size_t b = 0; b < 6; ++b)
            now.latency_ms[6 * i + b] = before.latency_ms[6 * donor + b];
    }
    const FleetDrift drift = drift_of(before, clustering, now);
    REQUIRE(drift.moved.size() == 20);
    for (std::size_t m = 0; m < 20; ++m) {
        CHECK(drift.moved[m].device_id == changed[m]);
        CHECK(drift.moved[m].from ==
              clustering.assigned_cluster[static_cast<std::size_t>(
                  std::ranges::find(before.device_ids, changed[m]) - before.device_ids.begin())]);
        CHECK(drift.moved[m].to == clustering.assigned_cluster[donor]);
    }
    CHECK(changed_shares(drift) == 2);
    CHECK(std::ranges::all_of(drift.clusters, &ClusterDrift::is_valid));
}

TEST_CASE("a driver that changes how a kind of device responds ends its cluster's validity only") {
    const ResourceFleet model(hostile_kinds(), 0.002);
    const Fleet before = model.fleet(400, 6);
    const Clustering clustering = cluster_devices(before, four_groups());
    Fleet now = before;
    for (std::size_t i = 0; i < 400; ++i)
        if (model.kind_of(i) == 3) // networks 0 and 1 are twice as slow
            for (const std::size_t b : {0U, 1U})
                now.latency_ms[6 * i + b] *= 2.0;
    const FleetDrift drift = drift_of(before, clustering, now);
    std::size_t example = 0;
    while (model.kind_of(example) != 3)
        ++example;
    const auto changed = static_cast<std::size_t>(clustering.assigned_cluster[example]);
    CHECK(drift.outside_changed);
    for (std::size_t k = 0; k < drift.clusters.size(); ++k)
        if (k != changed && drift.clusters[k].left == 0 && drift.clusters[k].joined == 0)
            CHECK(drift.clusters[k].is_valid);
    CHECK_FALSE((drift.clusters[changed].is_valid && drift.clusters[changed].left == 0));
}

TEST_CASE("a fleet that is slower by one factor is told so, and its surrogates hold") {
    const Fleet before = ResourceFleet(hostile_kinds(), 0.005).fleet(300, 6);
    Fleet now = before;
    for (double& latency : now.latency_ms)
        latency *= 1.25;
    now.latency_ms[7] = std::numeric_limits<double>::quiet_NaN();
    const FleetDrift drift = drift_of(before, cluster_devices(before, four_groups()), now);
    for (const ClusterDrift& cluster : drift.clusters) {
        CHECK(cluster.overall_ratio == Approx(1.25).epsilon(0.001));
        CHECK(cluster.is_valid);
    }
    for (std::size_t i = 0; i < 300; ++i)
        CHECK(drift.clustering.device_ratio[i] > 1.0);
}

TEST_CASE("what responds as no cluster does leaves the cluster valid that is nearest to it") {
    const ResourceFleet model(hostile_kinds(), 0.002);
    const Fleet before = model.fleet(400, 6);
    const Clustering clustering = cluster_devices(before, four_groups());
    // Of half of the fleet, or as many new devices: more than any other cluster has.
    for (const bool are_new : {false, true}) {
        Fleet now = before;
        for (std::size_t i = 0; i < 400; ++i) {
            if (model.kind_of(i) != 0) continue;
            for (const std::size_t b : {0U, 1U})
                now.latency_ms[6 * i + b] *= 2.0;
            if (are_new) now.device_ids[i] += " of another customer";
        }
        const FleetDrift drift = drift_of(before, clustering, now);
        CHECK(drift.outside_changed);
        CHECK(std::ranges::count_if(drift.clusters, &ClusterDrift::is_valid) == 3);
        for (const ClusterDrift& cluster : drift.clusters)
            CHECK((cluster.joined == 0 && (!cluster.is_valid || !cluster.share_changed)));
        for (const MovedDevice& device : drift.moved)
            CHECK(device.to == -1);
    }
}

TEST_CASE("a few devices that are measured again are not outside for the noise of it") {
    const ResourceFleet model(hostile_kinds(), 0.0);
    int alarms = 0;
    for (std::uint32_t day = 1; day <= 40; ++day) {
        const auto measured = [&](std::uint32_t number) {
            Fleet fleet = model.fleet(16, 6);
            core::RandomStream random(day, core::StreamId::testing, number);
            for (double& latency : fleet.latency_ms)
                latency *= std::exp(0.005 * random.normal());
            return fleet;
        };
        const Fleet before = measured(1);
        const FleetDrift drift =
            drift_of(before, cluster_devices(before, four_groups()), measured(2));
        alarms += drift.outside_changed ? 1 : 0;
    }
    CHECK(alarms <= 2);
}

TEST_CASE("runs that scatter are a reason not to believe that a device moved") {
    const ResourceFleet model(hostile_kinds(), 0.0);
    Fleet before = model.fleet(0, 6);
    const Fleet many = model.fleet(400, 6);
    for (std::size_t kind = 0; kind < 4; ++kind) {
        std::size_t example = 0;
        while (model.kind_of(example) != kind)
            ++example;
        before.device_ids.push_back(many.device_ids[example]);
        for (std::size_t b = 0; b < 6; ++b)
            before.latency_ms.push_back(many.latency_ms[6 * example + b]);
    }
    const Clustering alone = cluster_devices(before, {.method = "per_device"});
    Fleet now = before;
    core::RandomStream random(3, core::StreamId::testing, 1);
    for (double& latency : now.latency_ms)
        latency *= std::exp(0.01 * random.normal());
    CHECK_FALSE(drift_of(before, alone, now).clusters[0].is_valid);
    // The median of so many runs is off by 1 %, as these quartiles have it.
    for (const double latency : before.latency_ms) {
        LatencySpread spread{.runs = 9};
        for (std::size_t q = 0; q < spread.quantile_ms.size(); ++q)
            spread.quantile_ms[q] =
                static_cast<float>(latency * (1.0 + 0.02 * (static_cast<double>(q) - 2.0)));
        before.spreads.push_back(spread);
    }
    for (const ClusterDrift& cluster : drift_of(before, alone, now).clusters)
        CHECK(cluster.is_valid);
}
