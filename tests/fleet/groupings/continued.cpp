#include "fleet/groupings/continued.hpp"

#include "fleet/equal_clusterings.hpp"
#include "fleet/resource_fleet.hpp"
#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <omp.h>
#include <set>

using namespace hdap;
using namespace hdap::fleet;
using testing::check_equal;
using testing::hostile_kinds;
using testing::ResourceFleet;

namespace {

constexpr std::uint32_t benchmarks = 6;

/// A fleet and its clusters.
FormerClusters former_of(const Fleet& fleet, const ClusteringParameters& parameters = {}) {
    return {fleet, cluster_devices(fleet, parameters)};
}

/// The cluster that most devices of a kind are in.
std::int32_t cluster_of_kind(const ResourceFleet& model, const Clustering& clustering,
                             std::size_t kind) {
    std::vector<std::size_t> devices(clustering.clusters(), 0);
    for (std::size_t i = 0; i < clustering.devices(); ++i)
        if (model.kind_of(i) == kind && clustering.cluster_of_device[i] >= 0)
            ++devices[static_cast<std::size_t>(clustering.cluster_of_device[i])];
    return static_cast<std::int32_t>(std::ranges::max_element(devices) - devices.begin());
}

/// Devices of a kind get slower on networks 0 and 1.
Fleet with_new_driver(const ResourceFleet& model, Fleet fleet, std::size_t kind) {
    for (std::size_t i = 0; i < fleet.devices(); ++i)
        if (model.kind_of(i) == kind)
            for (const std::size_t b : {0U, 1U})
                fleet.latency_ms[benchmarks * i + b] *= 2.0;
    return fleet;
}

std::set<std::string> names_of(const Fleet& fleet, const std::vector<std::int32_t>& devices) {
    std::set<std::string> names;
    for (const std::int32_t device : devices)
        names.insert(fleet.device_ids[static_cast<std::size_t>(device)]);
    return names;
}

/// The numbers of all kept clusters, and how many are new.
std::pair<std::set<std::int32_t>, std::ptrdiff_t> kept_and_new(const Clustering& clustering) {
    std::set<std::int32_t> kept(clustering.former_cluster.begin(), clustering.former_cluster.end());
    kept.erase(-1);
    return {kept, std::ranges::count(clustering.former_cluster, -1)};
}

} // namespace

TEST_CASE("clusters made in another way are not kept") {
    const Fleet fleet = ResourceFleet(hostile_kinds(), 0.005).fleet(300, benchmarks);
    const FormerClusters former = former_of(fleet);
    CHECK_THROWS_WITH(continue_clusters(fleet, {.method = "dbscan"}, former),
                      Catch::Contains("\"covering\"") && Catch::Contains("\"dbscan\"") &&
                          Catch::Contains("clusters.keep"));
    CHECK_THROWS_WITH(continue_clusters(fleet, {.metric = MetricChoice::level}, former),
                      Catch::Contains("compare devices by \"shape\"") &&
                          Catch::Contains("clusters.metric"));
    Fleet other = fleet;
    other.sku = "another";
    CHECK_THROWS_AS(continue_clusters(other, {}, former), core::DataError);
    other = fleet;
    for (std::string& name : other.benchmark_names)
        name += "'";
    CHECK_THROWS_AS(continue_clusters(other, {}, former), core::DataError);
    CHECK_THROWS_AS(continue_clusters(fleet, {.representatives = 0}, former), core::ConfigError);
}

TEST_CASE("a fleet that is the same gets the same clusters, bit for bit, by every method") {
    Fleet fleet = ResourceFleet(hostile_kinds(), 0.01).fleet(400, benchmarks);
    fleet.latency_ms[17] = std::numeric_limits<double>::quiet_NaN();
    for (const std::string& method : grouping_method_names())
        for (const NoisePolicy noise : {NoisePolicy::nearest_cluster, NoisePolicy::drop}) {
            INFO(method);
            const ClusteringParameters parameters{.method = method, .noise = noise};
            const FormerClusters former = former_of(fleet, parameters);
            const Clustering now = continue_clusters(fleet, parameters, former);
            check_equal(now, former.clustering);
            std::vector<std::int32_t> all(now.clusters());
            std::iota(all.begin(), all.end(), 0);
            CHECK(now.former_cluster == all);
        }
}

TEST_CASE("a fleet that is measured again keeps all clusters with their representatives") {
    // Of one seed: the same devices, other noise.
    const ResourceFleet model(hostile_kinds(), 0.0);
    for (const std::size_t devices : {30U, 60U, 600U}) {
        INFO(devices);
        const auto measured = [&](std::uint32_t day) {
            Fleet fleet = model.fleet(devices, benchmarks);
            core::RandomStream random(5, core::StreamId::testing, day);
            for (double& latency : fleet.latency_ms)
                latency *= std::exp(0.004 * random.normal());
            return fleet;
        };
        const FormerClusters former = former_of(measured(1), {.radius = 0.1});
        const Fleet now = measured(2);
        const Clustering clustering = continue_clusters(now, {.radius = 0.1}, former);
        REQUIRE(kept_and_new(clustering).second == 0);
        REQUIRE(clustering.clusters() == former.clustering.clusters());
        for (std::size_t k = 0; k < clustering.clusters(); ++k) {
            const auto old = static_cast<std::size_t>(clustering.former_cluster[k]);
            CHECK(names_of(now, clustering.representatives[k]) ==
                  names_of(former.fleet, former.clustering.representatives[old]));
        }
    }
}

TEST_CASE("a kind of device that responds otherwise gets a new cluster, and only this kind") {
    const ResourceFleet model(hostile_kinds(), 0.002);
    const FormerClusters former = former_of(model.fleet(400, benchmarks), {.radius = 0.1});
    REQUIRE(former.clustering.clusters() == 4);
    for (const std::size_t kind : {0U, 1U, 2U, 3U}) {
        INFO("kind " << kind);
        const Fleet now = with_new_driver(model, former.fleet, kind);
        const Clustering clustering = continue_clusters(now, {.radius = 0.1}, former);
        const std::int32_t drifted = cluster_of_kind(model, former.clustering, kind);
        const auto [kept, made] = kept_and_new(clustering);
        CHECK(made == 1);
        CHECK(kept.size() == 3);
        CHECK_FALSE(kept.contains(drifted));
        for (std::size_t i = 0; i < now.devices(); ++i) {
            const std::int32_t own = clustering.cluster_of_device[i];
            const std::int32_t before = former.clustering.cluster_of_device[i];
            if (own < 0 || before < 0) continue;
            CHECK(clustering.former_cluster[static_cast<std::size_t>(own)] ==
                  (model.kind_of(i) == kind ? -1 : before));
        }
        const std::set<std::int32_t> sizes(clustering.cluster_of_device.begin(),
                                           clustering.cluster_of_device.end());
        for (std::size_t k = 1; k < clustering.clusters(); ++k)
            CHECK(clustering.cluster_weight[k - 1] >= clustering.cluster_weight[k]);
    }
}

TEST_CASE("representatives that are gone are replaced, and the others stay") {
    const ResourceFleet model(hostile_kinds(), 0.002);
    const FormerClusters former = former_of(model.fleet(400, benchmarks), {.radius = 0.1});
    const auto& wanted = former.clustering.representatives;
    // The first of cluster 0 and all of cluster 1 are not there any more.
    std::set<std::int32_t> gone(wanted[1].begin(), wanted[1].end());
    gone.insert(wanted[0][0]);
    Fleet now = former.fleet;
    now.device_ids.clear();
    now.latency_ms.clear();
    for (std::size_t i = 0; i < former.fleet.devices(); ++i) {
        if (gone.contains(static_cast<std::int32_t>(i))) continue;
        now.device_ids.push_back(former.fleet.device_ids[i]);
        for (std::size_t b = 0; b < benchmarks; ++b)
            now.latency_ms.push_back(former.fleet.latency_ms[i * benchmarks + b]);
    }
    const Clustering clustering = continue_clusters(now, {.radius = 0.1}, former);
    REQUIRE(kept_and_new(clustering).first.size() == 4);
    for (std::size_t k = 0; k < clustering.clusters(); ++k) {
        const auto old = static_cast<std::size_t>(clustering.former_cluster[k]);
        const auto names = names_of(now, clustering.representatives[k]);
        CHECK(names.size() == wanted[old].size());
        std::vector<std::int32_t> left;
        for (const std::int32_t device : wanted[old])
            if (!gone.contains(device)) left.push_back(device);
        for (const std::string& name : names_of(former.fleet, left))
            CHECK(names.contains(name));
    }
}

TEST_CASE("devices that all get slower are told so by what was measured of them before, then too "
          "when that was two fleets ago") {
    const ResourceFleet model(hostile_kinds(), 0.002);
    const FormerClusters first = former_of(model.fleet(400, benchmarks), {.radius = 0.1});
    const auto slower = [](Fleet fleet, double factor) {
        for (double& latency : fleet.latency_ms)
            latency *= factor;
        return fleet;
    };
    FormerClusters second{slower(first.fleet, 1.25), {}};
    second.clustering = continue_clusters(second.fleet, {.radius = 0.1}, first);
    const Clustering third = continue_clusters(slower(first.fleet, 1.5), {.radius = 0.1}, second);
    REQUIRE(kept_and_new(third).first.size() == 4);
    for (std::size_t i = 0; i < 400; ++i) {
        CHECK(second.clustering.device_ratio[i] ==
              Approx(1.25 * first.clustering.device_ratio[i]).epsilon(1e-9));
        CHECK(third.device_ratio[i] ==
              Approx(1.5 * first.clustering.device_ratio[i]).epsilon(1e-9));
    }
    CHECK(third.blends.size() == first.clustering.blends.size());
}

TEST_CASE("devices that respond as no cluster does are grouped only where there are more than "
          "chance would have") {
    const ResourceFleet model(hostile_kinds(), 0.002);
    const FormerClusters former = former_of(model.fleet(400, benchmarks), {.radius = 0.1});
    const auto with_odd = [&](std::size_t odd) {
        Fleet now = former.fleet;
        for (std::size_t n = 0; n < odd; ++n) {
            now.device_ids.push_back("odd-" + std::to_string(n));
            for (std::size_t b = 0; b < benchmarks; ++b)
                now.latency_ms.push_back(former.fleet.latency_ms[b] * (b % 2 == 0 ? 3.0 : 1.0));
        }
        return continue_clusters(now, {.radius = 0.1}, former);
    };
    const Clustering few = with_odd(2);
    CHECK(kept_and_new(few) == std::pair(std::set<std::int32_t>{0, 1, 2, 3}, std::ptrdiff_t{0}));
    CHECK(few.cluster_of_device.back() == -1);
    CHECK(few.assigned_cluster.back() >= 0);
    const Clustering many = with_odd(40);
    CHECK(kept_and_new(many) == std::pair(std::set<std::int32_t>{0, 1, 2, 3}, std::ptrdiff_t{1}));
    CHECK(many.former_cluster[static_cast<std::size_t>(many.cluster_of_device.back())] == -1);
}

TEST_CASE("kept clusters do not depend on the threads, and what became of them is written") {
    const ResourceFleet model(hostile_kinds(), 0.002);
    const FormerClusters former = former_of(model.fleet(400, benchmarks), {.radius = 0.1});
    const Fleet now = with_new_driver(model, former.fleet, 2);
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    const Clustering alone = continue_clusters(now, {.radius = 0.1}, former);
    omp_set_num_threads(3);
    const Clustering together = continue_clusters(now, {.radius = 0.1}, former);
    omp_set_num_threads(threads);
    check_equal(alone, together);
    storage::Hdf5Writer writer;
    write_clustering(writer, alone);
    const auto bytes = writer.finish();
    CHECK(read_clustering(storage::Hdf5Reader::from_bytes(bytes, "clusters.h5")).former_cluster ==
          alone.former_cluster);
    Clustering wrong = alone;
    wrong.former_cluster.assign(wrong.clusters(), 1);
    storage::Hdf5Writer of_wrong;
    write_clustering(of_wrong, wrong);
    CHECK_THROWS_WITH(
        read_clustering(storage::Hdf5Reader::from_bytes(of_wrong.finish(), "clusters.h5")),
        Catch::Contains("/former_cluster"));
}

TEST_CASE("a fleet of which nothing is left of the clusters is grouped as a new one") {
    const ResourceFleet model(hostile_kinds(), 0.002);
    const FormerClusters former = former_of(model.fleet(200, benchmarks), {.radius = 0.1});
    Fleet now = former.fleet;
    for (std::size_t i = 0; i < now.latency_ms.size(); ++i)
        now.latency_ms[i] *= i % benchmarks == 0 ? 20.0 : i % benchmarks == 1 ? 0.05 : 1.0;
    const Clustering clustering = continue_clusters(now, {.radius = 0.1}, former);
    CHECK(kept_and_new(clustering).first.empty());
    const Clustering anew = cluster_devices(now, {.radius = 0.1});
    CHECK(clustering.cluster_of_device == anew.cluster_of_device);
    CHECK(clustering.representatives == anew.representatives);
    CHECK(clustering.device_ratio == anew.device_ratio);
}
