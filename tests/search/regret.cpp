#include "hdap/search/regret.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "small_fleet.hpp"
#include "small_space.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <vector>

using namespace hdap;
using namespace hdap::search;
using testing::fleet_of;
using testing::small_space;

namespace {

constexpr std::size_t genes = 5;
const surrogate::SurrogateParameters forests{.kind = "gbrt", .gbrt = {}};

/// Latencies of random candidates: layer g costs `weight[cluster][g]` times the channels before and
/// behind it.
fleet::Profile profile_of(const network::SearchSpace& space,
                          const std::vector<std::vector<double>>& weight, std::size_t candidates,
                          double noise_sigma) {
    core::RandomStream random(5, core::StreamId::testing);
    fleet::Profile profile;
    profile.clusters = weight.size();
    profile.genomes.push_back(space.unpruned());
    for (const auto& group : space.groups())
        profile.group_names.push_back(group.name);
    while (profile.candidates() < candidates) {
        network::Genome genome;
        for (std::size_t g = 0; g < genes; ++g) {
            const auto counts = space.allowed_counts(g);
            genome.push_back(counts[random.below(counts.size())]);
        }
        profile.genomes.push_back(genome);
    }
    for (const auto& layers : weight)
        for (const network::Genome& genome : profile.genomes) {
            const auto keep = space.keep_ratios(genome);
            double latency = 0.05 + layers[0] * keep[0];
            for (std::size_t g = 1; g < genes; ++g)
                latency += layers[g] * keep[g - 1] * keep[g];
            profile.latency_ms.push_back(latency * std::exp(noise_sigma * random.normal()));
        }
    return profile;
}

std::vector<ObjectiveRegret> regrets(const std::vector<std::vector<double>>& weight,
                                     const fleet::FleetDistribution& fleet, int threads = 2) {
    const network::Network network = testing::chain_network(genes, 64);
    const network::SearchSpace space = small_space(genes);
    const network::CostModel costs(network, space.structure());
    const fleet::Profile profile = profile_of(space, weight, 200, 0.01);
    return regrets_of(
        {.network = {space, costs},
         .fleet = fleet,
         .profile = profile,
         .surrogate = forests,
         .objectives = {parse_metric("latency.mean"), parse_metric("latency.worst_cluster")},
         .seed = 3,
         .threads = threads});
}

const std::vector<double> early{8, 4, 1, 0.5, 0.5}; ///< the first layers cost most
const std::vector<double> late{0.5, 0.5, 1, 4, 8};  ///< the last ones

} // namespace

TEST_CASE("regret refuses a profile that cannot be halved") {
    const network::Network network = testing::chain_network(genes, 64);
    const network::SearchSpace space = small_space(genes);
    const network::CostModel costs(network, space.structure());
    const fleet::Profile profile = profile_of(space, {early, late}, 19, 0.0);
    const fleet::FleetDistribution fleet = fleet_of({{1.0}, {1.0}});
    CHECK_THROWS_WITH(regrets_of({.network = {space, costs},
                                  .fleet = fleet,
                                  .profile = profile,
                                  .surrogate = forests,
                                  .objectives = {parse_metric("latency.mean")}}),
                      Catch::Contains("at least 20 candidates, this one has 19"));
}

TEST_CASE("views see one device, the largest clusters, equal weights and all of a fleet") {
    const fleet::FleetDistribution fleet = fleet_of({{1.0, 1.2}, {1.0, 1.0, 1.0}, {1.0}});
    const std::vector<double> unpruned_ms{10, 20, 40};
    const auto views = views_of(fleet, unpruned_ms);
    REQUIRE(views.size() == 5);
    CHECK(views[0].kind == ViewKind::one_device);
    CHECK(views[0].draws.size() == 3);
    CHECK(views[0].chance == fleet.cluster_weight);
    CHECK(views[1].kind == ViewKind::largest_clusters);
    CHECK(views[1].clusters == 1);
    CHECK(views[2].kind == ViewKind::largest_clusters);
    CHECK(views[2].clusters == 2);
    CHECK(views[3].kind == ViewKind::equal_weights);
    CHECK(views[4].kind == ViewKind::all_clusters);
    // All views agree on the unpruned network, by which devices are compared.
    const double truth = fleet::mean_latency_ms(fleet, unpruned_ms);
    for (const std::size_t v : {0U, 1U, 2U, 4U})
        for (const auto& draw : views[v].draws)
            CHECK(fleet::mean_latency_ms(draw, unpruned_ms) == Approx(truth));
    // The second cluster alone is seen: where it takes half as long, so do all.
    const std::vector<double> pruned_ms{10, 10, 40};
    CHECK(fleet::mean_latency_ms(views[1].draws[0], pruned_ms) == Approx(truth / 2));
    CHECK(fleet::mean_latency_ms(views[3].draws[0], unpruned_ms) ==
          Approx((10 * 1.1 + 20 + 40) / 3));
    // The two largest are 1 and 0.
    CHECK(fleet::mean_latency_ms(views[2].draws[0], {{10, 10, 1}}) ==
          Approx((2 * 11 + 3 * 10 + 1 * 20) / 6.0));
}

TEST_CASE("clusters that respond alike are not regretted, clusters that do not are") {
    const fleet::FleetDistribution fleet = fleet_of({{1.0, 1.01}, {1.0}});
    std::vector<double> slower = early;
    for (double& layer : slower)
        layer *= 2;
    const auto alike = regrets({early, slower}, fleet);
    REQUIRE(alike.size() == 2);
    CHECK(alike[0].objective == "latency.mean");
    CHECK(alike[0].views.front().regret.interval.upper < 0.02);
    CHECK(std::abs(alike[0].views.front().regret.mean) < 0.01);

    const auto different = regrets({early, late}, fleet);
    const ViewRegret& one = different[0].views.front();
    CHECK(one.kind == ViewKind::one_device);
    CHECK(one.regret.mean > 0.05);
    CHECK(one.regret.interval.lower > 0.02);
    CHECK(one.worst_draw.mean >= one.regret.mean);
    CHECK(different[0].views.back().kind == ViewKind::all_clusters);
    CHECK(different[0].views.back().regret.mean == 0.0);
    // Who sees less of the slow cluster loses more there.
    CHECK(different[1].objective == "latency.worst_cluster");
    CHECK(different[1].views.front().worst_draw.mean > one.regret.mean);
}

TEST_CASE("regret has the same bits on any number of threads, and survives its file") {
    const fleet::FleetDistribution fleet = fleet_of({{1.0, 1.01}, {1.0}});
    const auto one = regrets({early, late}, fleet, 1);
    const auto three = regrets({early, late}, fleet, 3);
    storage::Hdf5Writer writer;
    write_regrets(writer, three);
    const auto read =
        read_regrets(storage::Hdf5Reader::from_bytes(writer.finish(), "surrogates.h5"));
    REQUIRE(read.size() == one.size());
    for (std::size_t o = 0; o < one.size(); ++o) {
        CHECK(read[o].objective == one[o].objective);
        REQUIRE(read[o].views.size() == one[o].views.size());
        for (std::size_t v = 0; v < one[o].views.size(); ++v) {
            CHECK(read[o].views[v].kind == one[o].views[v].kind);
            CHECK(read[o].views[v].clusters == one[o].views[v].clusters);
            CHECK(read[o].views[v].regret.mean == one[o].views[v].regret.mean);
            CHECK(read[o].views[v].regret.interval.lower == one[o].views[v].regret.interval.lower);
            CHECK(read[o].views[v].worst_draw.interval.upper ==
                  one[o].views[v].worst_draw.interval.upper);
        }
    }
    storage::Hdf5Writer none;
    CHECK(read_regrets(storage::Hdf5Reader::from_bytes(none.finish(), "surrogates.h5")).empty());
}

namespace {

/// What read_regrets makes of a file with these views; the last one sees all.
std::vector<ObjectiveRegret> regrets_in_file(const std::vector<std::string>& objectives,
                                             const std::vector<std::string>& views,
                                             const std::vector<std::int64_t>& clusters) {
    storage::Hdf5Writer writer;
    writer.write_strings("/regret/objective", objectives);
    writer.write_strings("/regret/view", views);
    writer.write("/regret/clusters", clusters);
    for (const char* const field :
         {"mean", "lower", "upper", "worst_mean", "worst_lower", "worst_upper"})
        writer.write(std::string("/regret/") + field,
                     std::vector<double>(objectives.size() * views.size(), 0.1),
                     {objectives.size(), views.size()});
    return read_regrets(storage::Hdf5Reader::from_bytes(writer.finish(), "surrogates.h5"));
}

} // namespace

TEST_CASE("regrets of a file that cannot be are refused") {
    const std::vector<std::string> both{"one_device", "all_clusters"};
    const auto refused = [](const std::string& words) { return Catch::Contains(words); };
    CHECK(regrets_in_file({"latency.mean"}, both, {1, 2}).size() == 1);
    CHECK_THROWS_WITH(regrets_in_file({}, both, {1, 2}), refused("0 objectives"));
    CHECK_THROWS_WITH(regrets_in_file({"latency.mean"}, {}, {}), refused("begin with one_device"));
    CHECK_THROWS_WITH(regrets_in_file({"latency.mean"}, {"one_device", "one"}, {1, 2}),
                      refused("'one' is no view"));
    CHECK_THROWS_WITH(regrets_in_file({"latency.mean"}, {"all_clusters", "one_device"}, {2, 1}),
                      refused("begin with one_device"));
    for (const std::int64_t clusters : {std::int64_t{0}, std::int64_t{-5}, std::int64_t{1} << 60})
        CHECK_THROWS_WITH(regrets_in_file({"latency.mean"}, both, {1, clusters}),
                          refused("a view of " + std::to_string(clusters) + " clusters"));
}

TEST_CASE("clusters agree on candidates as Kendall's tau says") {
    const network::SearchSpace space = small_space(genes);
    const auto alike = agreement_of_clusters(profile_of(space, {early, early}, 100, 0.0));
    CHECK(alike.median == Approx(1.0));
    const auto three = agreement_of_clusters(profile_of(space, {early, early, late}, 100, 0.0));
    CHECK(three.least < 0.9);
    CHECK(three.median >= three.least);
    CHECK(agreement_of_clusters(profile_of(space, {early}, 30, 0.0)).least == 1.0);
}
