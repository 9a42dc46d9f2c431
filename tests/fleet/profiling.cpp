#include "hdap/fleet/profiling.hpp"

#include "hdap/core/error.hpp"
#include "hdap/fleet/random_networks.hpp"
#include "hdap/network/zoo.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <limits>

using namespace hdap;
using Catch::Matchers::Contains;

namespace {

constexpr double missing = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t devices = 3;
const std::vector usual{fleet::Quantity::latency};
const std::vector hot{fleet::Quantity::latency, fleet::Quantity::sustained_latency};

/// Devices 4 and 7 stand for the first cluster, 2 for the second.
fleet::Representatives two_clusters() {
    return {.devices = {{4, 7}, {2}}};
}

network::SearchSpace small_space() {
    return {network::make_network({.name = "mobilenet_v1", .width = 0.25}), {}};
}

/// [device][genome] different latencies whose sums are not exact.
std::vector<double> latencies(std::size_t genomes) {
    std::vector<double> latency_ms;
    for (std::size_t i = 0; i < devices * genomes; ++i)
        latency_ms.push_back(1.1 + 0.1 * static_cast<double>(i));
    return latency_ms;
}

} // namespace

TEST_CASE("a profile without the unpruned network or with too few candidates is refused",
          "[profiling]") {
    const auto space = small_space();
    const auto genomes = fleet::profile_genomes(space, 1, 12);
    auto latency_ms = latencies(12);
    CHECK_THROWS_AS(fleet::profile_of(two_clusters(), space, genomes, {}, usual),
                    core::InternalError);
    CHECK_THROWS_AS(fleet::profile_of(two_clusters(), space, {genomes.rbegin(), genomes.rend()},
                                      latency_ms, usual),
                    core::InternalError);
    latency_ms[0] = missing;
    CHECK_NOTHROW(fleet::profile_of(two_clusters(), space, genomes, latency_ms, usual));
    latency_ms[12] = missing;
    CHECK_THROWS_WITH(fleet::profile_of(two_clusters(), space, genomes, latency_ms, usual),
                      Contains("not measured on any of the 2 representatives of cluster 0"));
    latency_ms = latencies(12);
    for (const std::size_t i : {2, 5, 11})
        latency_ms[24 + i] = missing;
    CHECK_THROWS_AS(fleet::profile_of(two_clusters(), space, genomes, latency_ms, usual),
                    core::DataError);
    CHECK_THROWS_WITH(fleet::profile_of(two_clusters(), space, genomes, latency_ms, usual),
                      Contains("9 of 12 candidates") && Contains("at least 10"));
}

TEST_CASE("a cluster's latency is the same whoever of its devices could be measured",
          "[profiling]") {
    const auto space = small_space();
    const auto genomes = fleet::profile_genomes(space, 1, 12);
    // The second representative takes twice as long on everything.
    std::vector<double> latency_ms;
    for (const double ratio : {0.8, 1.6, 1.0})
        for (std::size_t i = 0; i < 12; ++i)
            latency_ms.push_back(ratio * (3.0 + static_cast<double>(i)));
    latency_ms[5] = latency_ms[12 + 7] = missing;
    fleet::Representatives representatives = two_clusters();
    representatives.ratio = {{0.8, 1.6}, {1.0}};
    const auto profile =
        fleet::profile_of(representatives, space, genomes, latency_ms, usual).profile;
    for (std::size_t i = 0; i < 12; ++i)
        CHECK(profile.latency_ms[i] == Approx(3.0 + static_cast<double>(i)));
    // What a device takes to be twice as slow is not twice the energy.
    std::vector<double> both = latency_ms;
    both.insert(both.end(), latency_ms.begin(), latency_ms.end());
    const std::vector energy{fleet::Quantity::latency, fleet::Quantity::energy};
    const auto measured = fleet::profile_of(representatives, space, genomes, both, energy).profile;
    CHECK(measured.others.at(fleet::Quantity::energy)[0] == Approx(1.2 * 3.0));
}

TEST_CASE("a cluster's latency is the mean over its representatives that were measured",
          "[profiling]") {
    const auto space = small_space();
    const auto genomes = fleet::profile_genomes(space, 1, 12);
    auto latency_ms = latencies(12);
    latency_ms[3] = missing;
    const auto [profile, left_out] =
        fleet::profile_of(two_clusters(), space, genomes, latency_ms, usual);
    CHECK(left_out == 0);
    CHECK(profile.genomes == genomes);
    CHECK(profile.clusters == 2);
    CHECK(profile.group_names.front() == space.groups().front().name);
    for (std::size_t i = 0; i < 12; ++i) {
        const double mean = i == 3 ? latency_ms[15] : (latency_ms[i] + latency_ms[12 + i]) / 2.0;
        CHECK(profile.latency_ms[i] == mean);
        CHECK(profile.latency_ms[12 + i] == latency_ms[24 + i]);
    }
    CHECK_NOTHROW(fleet::check_profile(profile, "profile"));
}

TEST_CASE("candidates that a cluster lacks are left out and counted", "[profiling]") {
    const auto space = small_space();
    auto genomes = fleet::profile_genomes(space, 1, 12);
    auto latency_ms = latencies(12);
    latency_ms[4] = latency_ms[16] = missing; // both of the first cluster
    latency_ms[24 + 9] = missing;
    const auto [profile, left_out] =
        fleet::profile_of(two_clusters(), space, genomes, latency_ms, usual);
    CHECK(left_out == 2);
    CHECK(profile.latency_ms[10 + 4] == latency_ms[24 + 5]);
    genomes.erase(genomes.begin() + 9);
    genomes.erase(genomes.begin() + 4);
    CHECK(profile.genomes == genomes);
}

TEST_CASE("a candidate counts when both its latencies are known on every cluster", "[profiling]") {
    const auto space = small_space();
    auto genomes = fleet::profile_genomes(space, 1, 12);
    auto latency_ms = latencies(12);
    auto sustained_ms = latencies(12);
    for (double& latency : sustained_ms)
        latency *= 3.0;
    latency_ms[24 + 9] = missing;
    sustained_ms[4] = sustained_ms[16] = missing; // both of the first cluster
    sustained_ms[7] = missing;                    // one of them
    auto both = latency_ms;
    both.insert(both.end(), sustained_ms.begin(), sustained_ms.end());
    const auto [profile, left_out] = fleet::profile_of(two_clusters(), space, genomes, both, hot);
    CHECK(left_out == 2);
    CHECK(profile.latency_ms[6] == (latency_ms[7] + latency_ms[12 + 7]) / 2.0);
    CHECK(profile.others.at(fleet::Quantity::sustained_latency)[6] == sustained_ms[12 + 7]);
    CHECK(profile.others.at(fleet::Quantity::sustained_latency)[10 + 4] == sustained_ms[24 + 5]);
    CHECK_NOTHROW(fleet::check_profile(profile, "profile"));
    genomes.erase(genomes.begin() + 9);
    genomes.erase(genomes.begin() + 4);
    CHECK(profile.genomes == genomes);

    both[36] = both[48] = missing;
    CHECK_THROWS_WITH(
        fleet::profile_of(two_clusters(), space, fleet::profile_genomes(space, 1, 12), both, hot),
        Contains("was not measured under continuous load on any of the 2"));
    both.pop_back();
    CHECK_THROWS_AS(
        fleet::profile_of(two_clusters(), space, fleet::profile_genomes(space, 1, 12), both, hot),
        core::InternalError);
}

namespace {

/// Of twelve candidates; cluster k takes (k + 1) times as many ms as the place of a candidate.
fleet::Profile ascending_profile(std::size_t clusters, double scale = 1.0) {
    fleet::Profile profile;
    const auto space = small_space();
    for (const auto& group : space.groups())
        profile.group_names.push_back(group.name);
    profile.genomes = fleet::profile_genomes(space, 1, 12);
    profile.clusters = clusters;
    for (std::size_t k = 0; k < clusters; ++k)
        for (std::size_t i = 0; i < 12; ++i)
            profile.latency_ms.push_back(scale * static_cast<double>((k + 1) * (i + 1)));
    return profile;
}

} // namespace

TEST_CASE("candidates that are not known are no part of a profile that goes on", "[profiling]") {
    const fleet::KnownRows known{ascending_profile(2), {0, -1}};
    fleet::Profile other = ascending_profile(1);
    std::ranges::reverse(other.genomes);
    CHECK_THROWS_AS(fleet::with_known_rows(known, other), core::InternalError);
}

TEST_CASE("rows that are known go on in the order of the new clusters, with the candidates that "
          "the others measured",
          "[profiling]") {
    fleet::Profile known = ascending_profile(3);
    known.others[fleet::Quantity::energy] = ascending_profile(3, 7.0).latency_ms;
    fleet::Profile measured = ascending_profile(2, 100.0);
    measured.others[fleet::Quantity::energy] = ascending_profile(2, 700.0).latency_ms;
    // The third candidate was not measured on one of the others.
    measured.genomes.erase(measured.genomes.begin() + 2);
    for (auto* values : {&measured.latency_ms, &measured.others[fleet::Quantity::energy]})
        for (const std::ptrdiff_t place : {14, 2})
            values->erase(values->begin() + place);
    const auto joined = fleet::with_known_rows({known, {2, -1, 0, -1}}, measured);
    REQUIRE(joined.clusters == 4);
    REQUIRE(joined.genomes == measured.genomes);
    CHECK_NOTHROW(fleet::check_profile(joined, "joined"));
    const std::vector<double> scale{3.0, 100.0, 1.0, 200.0};
    for (std::size_t k = 0; k < 4; ++k)
        for (std::size_t i = 0; i < 11; ++i) {
            const double place = static_cast<double>(i < 2 ? i + 1 : i + 2);
            CHECK(joined.latency_ms[k * 11 + i] == scale[k] * place);
            CHECK(joined.others.at(fleet::Quantity::energy)[k * 11 + i] == 7.0 * scale[k] * place);
        }
}
