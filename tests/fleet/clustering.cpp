#include "hdap/fleet/clustering.hpp"

#include "by_density.hpp"
#include "fleet/equal_clusterings.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <omp.h>
#include <set>

using namespace hdap;
using namespace hdap::fleet;
using testing::check_equal;

namespace {

struct Group {
    std::size_t devices;
    std::vector<double> slowdown; ///< per benchmark
};

/// Groups of devices with a scatter of `sigma`, on benchmarks of 10 ms, 20 ms, …
Fleet grouped_fleet(const std::vector<Group>& groups, double sigma, std::uint32_t number = 0) {
    core::RandomStream random(41, core::StreamId::testing, number);
    Fleet fleet;
    fleet.sku = "board";
    for (std::size_t b = 0; b < groups[0].slowdown.size(); ++b)
        fleet.benchmark_names.push_back("benchmark-" + std::to_string(b));
    for (const Group& group : groups) {
        for (std::size_t i = 0; i < group.devices; ++i) {
            fleet.device_ids.push_back(std::to_string(fleet.device_ids.size()));
            for (std::size_t b = 0; b < fleet.benchmarks(); ++b)
                fleet.latency_ms.push_back(10.0 * static_cast<double>(b + 1) * group.slowdown[b] *
                                           std::exp(sigma * random.normal()));
        }
    }
    return fleet;
}

Fleet standard_fleet() {
    return grouped_fleet(
        {{60, {1.0, 1.0}}, {30, {1.2, 1.2}}, {12, {1.0, 1.3}}, {1, {2.0, 2.5}}, {1, {1.5, 1.0}}},
        0.003);
}

Clustering round_trip(const Clustering& clustering) {
    storage::Hdf5Writer writer;
    write_clustering(writer, clustering);
    return read_clustering(storage::Hdf5Reader::from_bytes(writer.finish(), "clusters.h5"));
}

} // namespace

TEST_CASE("clustering parameters and fleets out of range are refused") {
    const Fleet fleet = standard_fleet();
    ClusteringParameters parameters = by_density();
    for (const double eps : {-0.1, 1e9, std::numeric_limits<double>::quiet_NaN()}) {
        parameters.eps = eps;
        CHECK_THROWS_AS(cluster_devices(fleet, parameters), core::ConfigError);
    }
    parameters = {};
    parameters.min_points = -1;
    CHECK_THROWS_WITH(cluster_devices(fleet, parameters), Catch::Contains("min_points is -1"));
    parameters = {};
    parameters.representatives = 0;
    CHECK_THROWS_AS(cluster_devices(fleet, parameters), core::ConfigError);
    CHECK_THROWS_AS(cluster_devices(Fleet{}, {}), core::DataError);
    Fleet broken = fleet;
    broken.latency_ms[5] = -1.0;
    CHECK_THROWS_AS(cluster_devices(broken, by_density()), core::DataError);
}

TEST_CASE("signatures are logs of latencies relative to the fleet's median") {
    Fleet fleet = grouped_fleet({{6, {1.0, 1.0}}, {1, {1.5, 3.0}}}, 0.0);
    const auto level = latency_signatures(fleet, SignatureMetric::level);
    CHECK(level[0] == Approx(0.0).margin(1e-15));
    CHECK(level[12] == Approx(std::log(1.5)));
    CHECK(level[13] == Approx(std::log(3.0)));
    const auto shape = latency_signatures(fleet, SignatureMetric::shape);
    CHECK(shape[12] == Approx(-0.5 * std::log(2.0)));
    CHECK(shape[12] + shape[13] == Approx(0.0).margin(1e-15));
    fleet.latency_ms[0] *= 4.0;
    fleet.latency_ms[1] *= 4.0;
    const auto scaled = latency_signatures(fleet, SignatureMetric::shape);
    CHECK(scaled[0] == Approx(shape[0]).margin(1e-12));
}

TEST_CASE("level finds the groups, numbered by size, and gives noise to the nearest one") {
    const Fleet fleet = standard_fleet();
    const Clustering clustering = cluster_devices(fleet, by_density());
    CAPTURE(clustering.facts.eps);
    REQUIRE(clustering.clusters() == 3);
    CHECK_FALSE(clustering.facts.no_dense_group);
    CHECK(clustering.facts.min_points == 5);
    CHECK(clustering.cluster_of_device[0] == 0);
    CHECK(clustering.cluster_of_device[60] == 1);
    CHECK(clustering.cluster_of_device[90] == 2);
    CHECK(clustering.cluster_of_device[102] == -1);
    CHECK(clustering.cluster_of_device[103] == -1);
    // (1.5, 1.0) is nearer to (1.2, 1.2) than to the others, (2, 2.5) too.
    CHECK(clustering.assigned_cluster[102] == 1);
    CHECK(clustering.assigned_cluster[103] == 1);
    CHECK(clustering.cluster_weight == std::vector<double>{60.0 / 104, 32.0 / 104, 12.0 / 104});
    CHECK(clustering.device_ratio[0] == Approx(1.0).margin(0.02));
    CHECK(clustering.device_ratio[102] == Approx(std::sqrt(5.0) / 1.2).epsilon(0.02));
    for (std::size_t c = 0; c < 3; ++c) {
        REQUIRE(clustering.representatives[c].size() == 3);
        double sum = 0.0;
        double devices = 0.0;
        for (std::size_t i = 0; i < clustering.devices(); ++i) {
            if (clustering.assigned_cluster[i] != static_cast<std::int32_t>(c)) continue;
            sum += clustering.device_ratio[i];
            devices += 1.0;
        }
        CHECK(clustering.cluster_mean_ratio[c] == Approx(sum / devices));
    }
}

TEST_CASE("dropped noise devices have no cluster, ratio or weight") {
    ClusteringParameters parameters = by_density();
    parameters.noise = NoisePolicy::drop;
    const Clustering clustering = cluster_devices(standard_fleet(), parameters);
    CHECK(clustering.assigned_cluster[102] == -1);
    CHECK(clustering.device_ratio[102] == 0.0);
    CHECK(clustering.cluster_weight == std::vector<double>{60.0 / 102, 30.0 / 102, 12.0 / 102});
    check_equal(round_trip(clustering), clustering);
}

TEST_CASE("shape joins groups that differ by a factor only, and keeps the factor") {
    const Fleet fleet = standard_fleet();
    ClusteringParameters parameters = by_density();
    parameters.metric = MetricChoice::shape;
    parameters.eps = 0.02;
    const Clustering clustering = cluster_devices(fleet, parameters);
    REQUIRE(clustering.clusters() == 2);
    CHECK(clustering.cluster_of_device[0] == clustering.cluster_of_device[60]);
    CHECK(clustering.cluster_of_device[90] == 1);
    CHECK(clustering.device_ratio[75] / clustering.device_ratio[10] == Approx(1.2).epsilon(0.02));
}

TEST_CASE("representatives are the devices nearest to the centre, the nearest first") {
    Fleet fleet = grouped_fleet({{9, {1.0}}}, 0.0);
    for (std::size_t i = 0; i < 9; ++i)
        fleet.latency_ms[i] = 10.0 * std::exp(0.001 * (static_cast<double>((i * 4) % 9) - 4.0));
    ClusteringParameters parameters = by_density();
    parameters.eps = 0.1;
    parameters.representatives = 3;
    // Offsets −4 0 4 −1 3 −2 2 −3 1: the mean is device 1, then 3 and 8 at equal distance.
    const auto three = cluster_devices(fleet, parameters).representatives[0];
    REQUIRE(three.size() == 3);
    CHECK(three[0] == 1);
    CHECK(std::set<std::int32_t>(three.begin(), three.end()) == std::set<std::int32_t>{1, 3, 8});
    parameters.representatives = 100;
    CHECK(cluster_devices(fleet, parameters).representatives[0].size() == 9);
}

TEST_CASE("signatures of a fleet that lacks latencies are relative to what was measured") {
    Fleet fleet = standard_fleet();
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    const auto before = latency_signatures(fleet, SignatureMetric::level);
    fleet.latency_ms[2 * 102] = nan; // the slowest device is beyond the median, as is this one
    fleet.latency_ms[2 * 50] = nan;
    const auto level = latency_signatures(fleet, SignatureMetric::level);
    CHECK(std::isnan(level[2 * 102]));
    CHECK(level[2 * 102 + 1] == before[2 * 102 + 1]);
    CHECK(level[0] == Approx(before[0]).margin(0.003));
    const auto shape = latency_signatures(fleet, SignatureMetric::shape);
    CHECK(shape[2 * 102 + 1] == 0.0); // relative to itself
}

TEST_CASE(
    "representatives are among the quarter of a cluster that was measured on most benchmarks") {
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    Fleet fleet = grouped_fleet({{40, {1.0, 1.0, 1.0, 1.0}}}, 0.003);
    const Clustering full = cluster_devices(fleet, by_density());
    REQUIRE(full.clusters() == 1);
    // 30 devices are left with one benchmark; their estimates make them typical.
    for (std::size_t i = 0; i < 30; ++i)
        for (std::size_t b = 0; b < 4; ++b)
            if (b != i % 4) fleet.latency_ms[4 * i + b] = nan;
    ClusteringParameters parameters = by_density();
    parameters.eps = 0.1;
    const auto three = cluster_devices(fleet, parameters).representatives[0];
    CHECK(three.size() == 3);
    for (const std::int32_t device : three)
        CHECK(device >= 30);
    // Where more are wanted, the others join in.
    parameters.representatives = 20;
    const auto many = cluster_devices(fleet, parameters).representatives[0];
    CHECK(many.size() == 20);
    // A lone device of all benchmarks that lies at the edge is no better than the next of a
    // quarter.
    for (std::size_t i = 30; i < 39; ++i)
        fleet.latency_ms[4 * i] = nan;
    for (std::size_t b = 0; b < 4; ++b)
        fleet.latency_ms[4 * 39 + b] *= 1.05;
    parameters.representatives = 3;
    const auto inner = cluster_devices(fleet, parameters).representatives[0];
    CHECK(inner.size() == 3);
    for (const std::int32_t device : inner) {
        CHECK(device >= 30);
        CHECK(device != 39);
    }
}

TEST_CASE("devices of a fleet in two halves that share no benchmark get clusters and ratios") {
    Fleet fleet = grouped_fleet({{60, {1.0, 1.0}}, {40, {1.3, 1.3}}}, 0.003);
    for (std::size_t i = 0; i < 100; ++i)
        fleet.latency_ms[2 * i + i % 2] = std::numeric_limits<double>::quiet_NaN();
    const Clustering clustering = cluster_devices(fleet, by_density());
    CHECK(std::none_of(clustering.assigned_cluster.begin(), clustering.assigned_cluster.end(),
                       [](std::int32_t cluster) { return cluster < 0; }));
    REQUIRE(clustering.clusters() >= 2);
    for (std::size_t slow = 60; slow < 100; ++slow)
        CHECK(std::count(clustering.assigned_cluster.begin(),
                         clustering.assigned_cluster.begin() + 60,
                         clustering.assigned_cluster[slow]) == 0);
    for (const double ratio : clustering.device_ratio)
        CHECK(ratio == Approx(1.0).margin(0.05));
    check_equal(round_trip(clustering), clustering);
}

TEST_CASE("identical devices are one cluster, with the smallest automatic eps") {
    const Clustering clustering =
        cluster_devices(grouped_fleet({{50, {1.0, 1.0, 1.0}}}, 0.0), by_density());
    CHECK(clustering.facts.eps == smallest_automatic_eps);
    CHECK(clustering.clusters() == 1);
    CHECK_FALSE(clustering.facts.no_dense_group);
    CHECK(clustering.cluster_weight == std::vector<double>{1.0});
    CHECK(clustering.cluster_mean_ratio[0] == Approx(1.0));
}

TEST_CASE("without any dense group the whole fleet is one cluster and it is stated") {
    ClusteringParameters parameters = by_density();
    parameters.eps = 1e-6;
    const Clustering clustering = cluster_devices(standard_fleet(), parameters);
    CHECK(clustering.facts.no_dense_group);
    REQUIRE(clustering.clusters() == 1);
    CHECK(clustering.cluster_weight[0] == 1.0);
    CHECK(std::count(clustering.cluster_of_device.begin(), clustering.cluster_of_device.end(), 0) ==
          104);
    check_equal(round_trip(clustering), clustering);
    const Clustering lonely = cluster_devices(grouped_fleet({{1, {1.0, 2.0}}}, 0.0), by_density());
    CHECK(lonely.facts.no_dense_group);
    CHECK(lonely.representatives[0] == std::vector<std::int32_t>{0});
    CHECK(lonely.device_ratio[0] == 1.0);
}

TEST_CASE("the baselines make one cluster of all devices, represented by one or by several") {
    const Fleet fleet = standard_fleet();
    ClusteringParameters parameters;
    parameters.method = "whole_fleet";
    const Clustering whole = cluster_devices(fleet, parameters);
    CHECK(whole.cluster_of_device == std::vector<std::int32_t>(fleet.devices(), 0));
    CHECK(whole.cluster_weight == std::vector<double>{1.0});
    CHECK(whole.representatives[0].size() == 3);
    CHECK_FALSE(whole.facts.no_dense_group);

    parameters.method = "single_device";
    std::set<std::int32_t> drawn;
    for (parameters.seed = 1; parameters.seed <= 20; ++parameters.seed) {
        const Clustering single = cluster_devices(fleet, parameters);
        REQUIRE(single.clusters() == 1);
        REQUIRE(single.representatives[0].size() == 1);
        const auto device = static_cast<std::size_t>(single.representatives[0][0]);
        CHECK(single.device_ratio[device] == Approx(1.0));
        drawn.insert(single.representatives[0][0]);
        check_equal(single, cluster_devices(fleet, parameters));
    }
    CHECK(drawn.size() > 10);
}

TEST_CASE("the single device is one that has measured as much as any") {
    Fleet fleet = grouped_fleet({{6, {1.0, 2.0}}}, 0.0);
    for (const std::size_t device : {0U, 1U, 3U, 5U})
        fleet.latency_ms[2 * device + device % 2] = std::numeric_limits<double>::quiet_NaN();
    ClusteringParameters parameters;
    parameters.method = "single_device";
    std::set<std::int32_t> drawn;
    for (parameters.seed = 1; parameters.seed <= 20; ++parameters.seed)
        drawn.insert(cluster_devices(fleet, parameters).representatives[0][0]);
    CHECK(drawn == std::set<std::int32_t>{2, 4});
}

TEST_CASE("equal weighting counts all clusters alike and changes nothing else") {
    ClusteringParameters parameters = by_density();
    Clustering by_devices = cluster_devices(standard_fleet(), parameters);
    CHECK(by_devices.cluster_weight[0] > 0.5);
    parameters.weighting = ClusterWeighting::equal;
    const Clustering equal = cluster_devices(standard_fleet(), parameters);
    const std::size_t clusters = equal.clusters();
    REQUIRE(clusters == 3);
    by_devices.cluster_weight.assign(clusters, 1.0 / static_cast<double>(clusters));
    check_equal(equal, by_devices);
}

TEST_CASE("the clustering does not depend on the number of threads") {
    const Fleet fleet = grouped_fleet(
        {{900, {1.0, 1.0, 1.0}}, {400, {1.1, 1.2, 1.1}}, {60, {1.3, 1.0, 1.2}}}, 0.02, 5);
    omp_set_num_threads(1);
    const Clustering one = cluster_devices(fleet, by_density());
    omp_set_num_threads(3);
    const Clustering three = cluster_devices(fleet, by_density());
    omp_set_num_threads(1);
    check_equal(one, three);
    CHECK(one.facts.k_distance.size() == 1000);
    CHECK(std::is_sorted(one.facts.k_distance.begin(), one.facts.k_distance.end()));
    CHECK(std::accumulate(one.cluster_weight.begin(), one.cluster_weight.end(), 0.0) ==
          Approx(1.0));
}

TEST_CASE("the automatic number of points grows with the fleet") {
    const Clustering clustering =
        cluster_devices(grouped_fleet({{4000, {1.0, 1.0}}}, 0.01), by_density());
    CHECK(clustering.facts.min_points == 10);
    CHECK(clustering.clusters() == 1);
}

namespace {

/// Of 5,000 devices in steps of a tenth of a millisecond, every 1,000th of which, from `first` on,
/// alone was measured on `rare` further benchmarks.
Fleet with_rare_benchmarks(std::size_t rare, std::size_t first) {
    Fleet common = grouped_fleet({{2500, {1.0, 1.0, 1.1}}, {2500, {1.0, 1.1, 1.0}}}, 0.02);
    Fleet fleet = common;
    fleet.latency_ms.clear();
    for (std::size_t b = 0; b < rare; ++b)
        fleet.benchmark_names.push_back("rare-" + std::to_string(b));
    for (std::size_t i = 0; i < common.devices(); ++i) {
        for (std::size_t b = 0; b < 3; ++b)
            fleet.latency_ms.push_back(std::round(10.0 * common.latency_ms[3 * i + b]) / 10.0);
        fleet.latency_ms.insert(fleet.latency_ms.end(), rare,
                                i % 1000 == first ? fleet.latency_ms[fleet.latency_ms.size() - 1]
                                                  : std::numeric_limits<double>::quiet_NaN());
    }
    return fleet;
}

} // namespace

TEST_CASE("a benchmark that none of those ran who are looked at ends no clustering") {
    // 2,000 devices are looked at, evenly spaced: 0, 2, 5, … and so not the second.
    for (const char* const method : {"dbscan", "covering", "whole_fleet"}) {
        ClusteringParameters parameters;
        parameters.method = method;
        const Clustering clustering = cluster_devices(with_rare_benchmarks(1, 1), parameters);
        CHECK(clustering.held_out.has_value());
        CHECK(clustering.stability.has_value());
    }
}

TEST_CASE("benchmarks that nobody ran who is judged make no error look smaller") {
    ClusteringParameters one;
    one.method = "whole_fleet";
    const auto error = [&](std::size_t rare) {
        return cluster_devices(with_rare_benchmarks(rare, 1), one).held_out.value().device;
    };
    CHECK(error(9) > 0.65 * error(0)); // a half, were they to count as without an error
}

TEST_CASE("more groups than anybody can measure are refused, with what to change") {
    ClusteringParameters tiny;
    tiny.method = "dbscan";
    tiny.eps = 1e-9;
    tiny.min_points = 1;
    const auto fleet = [](std::size_t devices) {
        return grouped_fleet({{devices, {1.0, 1.0}}}, 0.1);
    };
    CHECK(cluster_devices(fleet(1000), tiny).clusters() == 1000);
    CHECK_THROWS_AS(cluster_devices(fleet(1001), tiny), core::ConfigError);
    CHECK_THROWS_WITH(cluster_devices(fleet(1001), tiny),
                      Catch::Contains("1,001 groups") && Catch::Contains("clusters.eps is 1e-09") &&
                          Catch::Contains("clusters.min_points 1"));
}

TEST_CASE("a clustering survives a round trip") {
    const Clustering clustering = cluster_devices(standard_fleet(), by_density());
    check_equal(round_trip(clustering), clustering);
}

TEST_CASE("a hostile file of clusters is refused with the data set's name") {
    using Change = std::function<void(Clustering&)>;
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    const std::vector<std::pair<Change, std::string>> changes = {
        {[](Clustering& c) { c.cluster_of_device[0] = 3; }, "/cluster_of_device"},
        {[](Clustering& c) { c.cluster_of_device[0] = -2; }, "/cluster_of_device"},
        {[](Clustering& c) { c.assigned_cluster[0] = 1; }, "/assigned_cluster"},
        {[](Clustering& c) { c.assigned_cluster.pop_back(); }, "assigned_cluster"},
        {[](Clustering& c) { c.device_ratio[4] = 0.0; }, "/device_ratio"},
        {[](Clustering& c) { c.device_ratio[4] = nan; }, "/device_ratio"},
        {[](Clustering& c) { c.cluster_weight[1] = -0.2; }, "/cluster_weight"},
        {[](Clustering& c) { c.cluster_weight[1] += 0.1; }, "/cluster_weight"},
        {[](Clustering& c) { c.cluster_mean_ratio[1] = nan; }, "/cluster_mean_ratio"},
        {[](Clustering& c) { c.representatives[1] = {}; }, "/representatives"},
        {[](Clustering& c) { c.representatives[1][0] = 1'000'000; }, "/representatives"},
        {[](Clustering& c) { c.representatives[1][0] = -7; }, "/representatives"},
        {[](Clustering& c) { c.representatives[1][0] = c.representatives[1][1]; },
         "/representatives"},
        {[](Clustering& c) { c.representatives[1][0] = 102; }, "/representatives"},
        {[](Clustering& c) { c.facts.k_distance.assign(2000, 1.0); }, "/k_distance"},
        {[](Clustering& c) {
             c.facts.k_distance = {2.0, 1.0};
         },
         "/k_distance"},
        {[](Clustering& c) { c.facts.eps = -1.0; }, "eps"},
        {[](Clustering& c) { c.stability = -1.5; }, "stability"},
        {[](Clustering& c) { c.stability = 1.5; }, "stability"},
        {[](Clustering& c) { std::ranges::fill(c.blends, 0.0); }, "/blends: row 0 has zeros only"},
        {[](Clustering& c) { c.facts.min_points = -1; }, "min_points"},
    };
    const Clustering valid = cluster_devices(standard_fleet(), by_density());
    for (const auto& [change, message] : changes) {
        Clustering clustering = valid;
        change(clustering);
        CHECK_THROWS_AS(round_trip(clustering), core::DataError);
        CHECK_THROWS_WITH(round_trip(clustering), Catch::Contains(message));
    }
    storage::Hdf5Writer empty;
    const auto nothing = storage::Hdf5Reader::from_bytes(empty.finish(), "clusters.h5");
    CHECK_THROWS_AS(read_clustering(nothing), core::DataError);
}
