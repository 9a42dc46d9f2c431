#include "hdap/fleet/distribution.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

using namespace hdap;
using fleet::Clustering;
using fleet::FleetDistribution;

namespace {

/// What distribution_of reads of a clustering. Devices of cluster −1 are dropped ones.
Clustering clustering_of(std::vector<std::int32_t> cluster, std::vector<double> ratio,
                         std::vector<double> weight) {
    Clustering clustering;
    clustering.cluster_of_device = cluster;
    clustering.assigned_cluster = std::move(cluster);
    clustering.device_ratio = std::move(ratio);
    clustering.cluster_weight = std::move(weight);
    clustering.blend_of_device = clustering.assigned_cluster;
    const std::size_t clusters = clustering.clusters();
    for (std::size_t k = 0; k < clusters * clusters; ++k)
        clustering.blends.push_back(k / clusters == k % clusters ? 1.0 : 0.0);
    clustering.cluster_blend = clustering.blends;
    return clustering;
}

std::vector<double> devices_of_clusters(const Clustering& clustering) {
    std::vector<double> devices(clustering.clusters(), 0.0);
    for (const std::int32_t cluster : clustering.assigned_cluster)
        if (cluster >= 0) devices[static_cast<std::size_t>(cluster)] += 1.0;
    return devices;
}

/// One device of a fleet, as the brute force sees it.
struct Device {
    std::size_t cluster;
    double latency_ms;
};

std::vector<Device> sorted_devices(const Clustering& clustering,
                                   const std::vector<double>& cluster_latency_ms) {
    std::vector<Device> devices;
    for (std::size_t i = 0; i < clustering.devices(); ++i) {
        if (clustering.assigned_cluster[i] < 0) continue;
        const auto k = static_cast<std::size_t>(clustering.assigned_cluster[i]);
        devices.push_back({k, cluster_latency_ms[k] * clustering.device_ratio[i]});
    }
    std::sort(devices.begin(), devices.end(),
              [](const Device& a, const Device& b) { return a.latency_ms < b.latency_ms; });
    return devices;
}

/// Walks over all devices, fastest first, until the shares of those passed reach q. The share is
/// summed cluster by cluster, as a fleet's share is defined.
double plain_quantile_ms(const Clustering& clustering,
                         const std::vector<double>& cluster_latency_ms, double q) {
    const auto devices = devices_of_clusters(clustering);
    std::vector<double> passed(clustering.clusters(), 0.0);
    double latency = 0.0;
    for (const Device& device : sorted_devices(clustering, cluster_latency_ms)) {
        latency = device.latency_ms;
        passed[device.cluster] += 1.0;
        double share = 0.0;
        for (std::size_t k = 0; k < passed.size(); ++k)
            share += clustering.cluster_weight[k] * (passed[k] / devices[k]);
        if (share >= q * (1.0 - 1e-12)) break;
    }
    return latency;
}

double plain_share_slower_than(const Clustering& clustering,
                               const std::vector<double>& cluster_latency_ms, double limit_ms) {
    const auto devices = devices_of_clusters(clustering);
    std::vector<double> slower(clustering.clusters(), 0.0);
    for (const Device& device : sorted_devices(clustering, cluster_latency_ms))
        if (device.latency_ms > limit_ms) slower[device.cluster] += 1.0;
    double share = 0.0;
    for (std::size_t k = 0; k < slower.size(); ++k)
        share += clustering.cluster_weight[k] * (slower[k] / devices[k]);
    return share;
}

/// `devices` in `clusters` clusters, the first of which are the larger; ratios are i · 0.001, so
/// that they differ by more than a bin or not at all. One device in 20 is dropped.
Clustering coarse_clustering(std::size_t devices, std::size_t clusters, bool equal,
                             std::uint32_t draw) {
    core::RandomStream random(31, core::StreamId::testing, draw);
    std::vector<std::int32_t> cluster;
    std::vector<double> ratio;
    for (std::size_t i = 0; i < devices; ++i) {
        const std::uint64_t drawn = std::min(random.below(clusters), random.below(clusters));
        const bool dropped = i >= clusters && random.below(20) == 0;
        cluster.push_back(dropped ? -1 : static_cast<std::int32_t>(i < clusters ? i : drawn));
        const double value = 0.001 * static_cast<double>(800 + random.below(700));
        ratio.push_back(dropped ? 0.0 : value);
    }
    Clustering clustering =
        clustering_of(std::move(cluster), std::move(ratio), std::vector<double>(clusters, 1.0));
    const auto counts = devices_of_clusters(clustering);
    double all = 0.0;
    for (const double count : counts)
        all += count;
    for (std::size_t k = 0; k < clusters; ++k)
        clustering.cluster_weight[k] =
            equal ? 1.0 / static_cast<double>(clusters) : counts[k] / all;
    return clustering;
}

const std::vector<double> quantiles{1e-300, 1e-9, 0.01, 0.1,   0.25,        0.5, 0.75,
                                    0.9,    0.95, 0.99, 0.999, 1.0 - 1e-15, 1.0};

} // namespace

TEST_CASE("a fleet's distribution refuses what does not fit", "[distribution]") {
    const auto fleet = fleet::distribution_of(clustering_of({0, 0, 1}, {1, 1.1, 1}, {0.6, 0.4}));
    const std::vector<double> latency_ms{10, 20};
    CHECK_THROWS_AS(fleet::distribution_of(clustering_of({0, 0}, {1, 1}, {0.5, 0.5})),
                    core::DataError);
    CHECK_THROWS_AS(fleet::latency_quantile_ms(fleet, std::vector<double>{10}, 0.5),
                    core::InternalError);
    CHECK_THROWS_AS(fleet::share_slower_than(fleet, std::vector<double>{1, 2, 3}, 5),
                    core::InternalError);
    CHECK_THROWS_AS(fleet::latency_quantile_ms({}, {}, 0.5), core::InternalError);
    for (const double q : {0.0, -0.1, 1.1, std::numeric_limits<double>::quiet_NaN()})
        CHECK_THROWS_AS(fleet::latency_quantile_ms(fleet, latency_ms, q), core::InternalError);
}

TEST_CASE("quantiles and deadline misses of a fleet worked out by hand", "[distribution]") {
    // Latencies: 10, 12 and 14 with 0.2 each, 20 and 30 with 0.2 each; one device is dropped.
    const auto fleet = fleet::distribution_of(
        clustering_of({0, 1, 0, -1, 1, 0}, {1.2, 1.5, 1.0, 0.0, 1.0, 1.4}, {0.6, 0.4}));
    const std::vector<double> latency_ms{10, 20};
    const auto quantile = [&](double q) {
        return fleet::latency_quantile_ms(fleet, latency_ms, q);
    };
    CHECK(quantile(0.01) == 10);
    CHECK(quantile(0.2) == 10);
    CHECK(quantile(0.21) == 12);
    CHECK(quantile(0.6) == 14);
    CHECK(quantile(0.8) == 20);
    CHECK(quantile(0.81) == 30);
    CHECK(quantile(1.0) == 30);
    CHECK(fleet::share_slower_than(fleet, latency_ms, 9.9) == Approx(1.0));
    CHECK(fleet::share_slower_than(fleet, latency_ms, 10) == Approx(0.8));
    CHECK(fleet::share_slower_than(fleet, latency_ms, 20) == Approx(0.2));
    CHECK(fleet::share_slower_than(fleet, latency_ms, 30) == 0.0);
}

TEST_CASE("where ratios differ by more than a bin, a sort over all devices gives the same bits",
          "[distribution]") {
    std::size_t different = 0;
    for (std::uint32_t draw = 0; draw < 60; ++draw) {
        const std::size_t clusters = 1 + draw % 7;
        const auto clustering = coarse_clustering(10 + 37 * draw, clusters, draw % 2 == 0, draw);
        const auto fleet = fleet::distribution_of(clustering);
        core::RandomStream random(32, core::StreamId::testing, draw);
        std::vector<double> latency_ms;
        for (std::size_t k = 0; k < clusters; ++k)
            latency_ms.push_back(5.0 + 10.0 * random.uniform());
        if (clusters > 2) latency_ms[1] = latency_ms[0]; // ties between clusters
        for (const double q : quantiles) {
            const double limit = plain_quantile_ms(clustering, latency_ms, q);
            if (fleet::latency_quantile_ms(fleet, latency_ms, q) != limit) ++different;
            for (const double deadline : {limit, std::nextafter(limit, 0.0), 0.99 * limit})
                if (fleet::share_slower_than(fleet, latency_ms, deadline) !=
                    plain_share_slower_than(clustering, latency_ms, deadline))
                    ++different;
        }
    }
    CHECK(different == 0);
}

TEST_CASE("with each device's weight the same, the quantile is the device of that rank",
          "[distribution]") {
    const auto clustering = coarse_clustering(1000, 5, false, 7);
    const auto fleet = fleet::distribution_of(clustering);
    const std::vector<double> latency_ms{9.7, 11.3, 8.1, 14.9, 12.2};
    const auto devices = sorted_devices(clustering, latency_ms);
    for (std::size_t rank = 1; rank <= devices.size(); ++rank) {
        const double q = static_cast<double>(rank) / static_cast<double>(devices.size());
        CHECK(fleet::latency_quantile_ms(fleet, latency_ms, q) == devices[rank - 1].latency_ms);
    }
}

TEST_CASE("of 20,000 devices the quantiles are within a bin's width", "[distribution]") {
    for (const bool equal : {false, true}) {
        auto clustering = coarse_clustering(20'000, 6, equal, 3);
        core::RandomStream random(33, core::StreamId::testing);
        for (double& ratio : clustering.device_ratio)
            if (ratio > 0.0) ratio = std::exp(0.02 * random.normal());
        const auto fleet = fleet::distribution_of(clustering);
        CHECK(fleet.bin_ratio.size() < 10'000);
        const std::vector<double> latency_ms{9.7, 11.3, 8.1, 14.9, 12.2, 9.8};
        for (const double q : quantiles) {
            const double plain = plain_quantile_ms(clustering, latency_ms, q);
            CHECK(fleet::latency_quantile_ms(fleet, latency_ms, q) ==
                  Approx(plain).epsilon(1e-4).margin(0));
            // A share is right for a deadline that is within a bin's width.
            const double share = fleet::share_slower_than(fleet, latency_ms, plain);
            CHECK(share <= plain_share_slower_than(clustering, latency_ms, plain * (1 - 1.01e-4)));
            CHECK(share >= plain_share_slower_than(clustering, latency_ms, plain * (1 + 1.01e-4)));
        }
    }
}

TEST_CASE("devices of a blend take their ratio times what it makes of the clusters' latencies",
          "[distribution]") {
    // Three devices of cluster 0, of which one is halfway to cluster 1, and one device of that.
    auto clustering = clustering_of({0, 0, 0, 1}, {1.0, 1.2, 1.1, 1.0}, {0.75, 0.25});
    clustering.blend_of_device[2] = 2;
    clustering.blends.insert(clustering.blends.end(), {0.5, 0.3});
    clustering.cluster_blend = {(1.0 + 1.2 + 0.55) / 3, 0.33 / 3, 0, 1};
    const auto fleet = fleet::distribution_of(clustering);
    REQUIRE(fleet.parts() == 3);
    CHECK(fleet.part_weight == std::vector<double>{0.5, 0.25, 0.25});
    const std::vector<double> latency_ms{10, 20};
    const std::vector<double> devices{10, 12, 1.1 * (0.5 * 10 + 0.3 * 20), 20};
    CHECK(fleet::mean_latency_ms(fleet, latency_ms) == Approx((10 + 12 + 12.1 + 20) / 4));
    CHECK(fleet::cluster_mean_ms(fleet, latency_ms, 0) == Approx((10 + 12 + 12.1) / 3));
    CHECK(fleet::latency_quantile_ms(fleet, latency_ms, 0.5) == 12);
    CHECK(fleet::latency_quantile_ms(fleet, latency_ms, 0.75) == Approx(12.1));
    CHECK(fleet::share_slower_than(fleet, latency_ms, 12) == Approx(0.5));
    for (std::size_t i = 0; i < devices.size(); ++i)
        CHECK(fleet::device_latency_ms(clustering, latency_ms, i) == Approx(devices[i]));
}

TEST_CASE("a prediction below zero counts as zero", "[distribution]") {
    const auto fleet = fleet::distribution_of(clustering_of({0, 0, 1}, {1, 1.1, 1}, {0.6, 0.4}));
    const std::vector<double> latency_ms{-3, 20};
    CHECK(fleet::latency_quantile_ms(fleet, latency_ms, 0.5) == 0.0);
    CHECK(fleet::latency_quantile_ms(fleet, latency_ms, 1.0) == 20.0);
    CHECK(fleet::share_slower_than(fleet, latency_ms, 1.0) == Approx(0.4));
}

TEST_CASE("a distribution survives its file, and a damaged one is refused", "[distribution]") {
    const auto fleet = fleet::distribution_of(coarse_clustering(300, 3, false, 5));
    const auto reread = [&](const std::function<void(FleetDistribution&)>& damage) {
        FleetDistribution damaged = fleet;
        damage(damaged);
        storage::Hdf5Writer file;
        fleet::write_distribution(file, damaged);
        return fleet::read_distribution(storage::Hdf5Reader::from_bytes(file.finish(), "c.h5"));
    };
    const auto back = reread([](FleetDistribution&) {});
    CHECK(back.cluster_weight == fleet.cluster_weight);
    CHECK(back.cluster_blend == fleet.cluster_blend);
    CHECK(back.part_weight == fleet.part_weight);
    CHECK(back.part_blend == fleet.part_blend);
    CHECK(back.part_cluster == fleet.part_cluster);
    CHECK(back.first_bin == fleet.first_bin);
    CHECK(back.bin_ratio == fleet.bin_ratio);
    CHECK(back.bin_devices == fleet.bin_devices);
    using D = FleetDistribution;
    const std::vector<std::pair<std::function<void(D&)>, std::string>> damages{
        {[](D& d) { d.cluster_weight[0] = 0.0; }, "/distribution/cluster_weight: the weight at 0"},
        {[](D& d) { d.cluster_weight[0] += 0.01; }, "the weights sum to"},
        {[](D& d) { d.part_weight[1] += 0.01; }, "/distribution/part_weight: the weights sum to"},
        {[](D& d) { d.part_cluster[1] = 3; }, "/distribution/part_cluster: part 1 is of cluster 3"},
        {[](D& d) { d.cluster_blend[1] = -1; }, "/distribution/cluster_blend: row 0 has -1"},
        {[](D& d) { d.part_blend[4] = std::nan(""); }, "/distribution/part_blend: row 1 has nan"},
        {[](D& d) { d.part_blend[8] = 0; }, "/distribution/part_blend: row 2 has zeros only"},
        {[](D& d) { d.first_bin[0] = 1; }, "begin with 0"},
        {[](D& d) { d.first_bin.back() += 1; }, "number of bins"},
        {[](D& d) { d.first_bin[1] = 0; }, "part 0 has the bins"},
        {[](D& d) { d.first_bin[1] = static_cast<std::size_t>(-5); }, "part 0 has the bins"},
        {[](D& d) { d.first_bin.pop_back(); }, "/distribution/first_bin"},
        {[](D& d) { d.bin_ratio[3] = d.bin_ratio[2]; }, "bin 3 has ratio"},
        {[](D& d) { d.bin_ratio[0] = std::nan(""); }, "bin 0 has ratio nan"},
        {[](D& d) { d.bin_devices[0] = 0; }, "bin 0 has 0 devices"},
        {[](D& d) { d.bin_devices[5] = d.bin_devices[4]; }, "/distribution/bin_devices"},
        {[](D& d) { d.bin_devices.pop_back(); }, "/distribution/bin_devices"},
    };
    for (const auto& [damage, message] : damages) {
        CHECK_THROWS_AS(reread(damage), core::DataError);
        CHECK_THROWS_WITH(reread(damage), Catch::Contains("c.h5") && Catch::Contains(message));
    }
}
