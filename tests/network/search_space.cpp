#include "hdap/network/search_space.hpp"

#include "hdap/core/error.hpp"
#include "network/small_networks.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

using namespace hdap;
using namespace hdap::network;
using Catch::Matchers::Contains;
using testing::conv;
using testing::network_of;
using testing::node;
using testing::zoo;

TEST_CASE("SearchSpace refuses parameters out of range and networks without groups") {
    const Network network = zoo("mobilenet_v1");
    for (const double min_keep : {0.0, -0.1, 1.1, std::numeric_limits<double>::quiet_NaN()})
        CHECK_THROWS_WITH(SearchSpace(network, {.min_keep = min_keep}),
                          Contains("must be in (0, 1]"));
    for (const std::int64_t divisor : {0, -4, 1025})
        CHECK_THROWS_WITH(SearchSpace(network, {.divisor = divisor}),
                          Contains("divisor is " + std::to_string(divisor)));
    CHECK_THROWS_AS(SearchSpace(network_of({conv("only", 0, 8)}), {}), core::ConfigError);
    CHECK_THROWS_WITH(SearchSpace(network_of({conv("only", 0, 8)}), {}),
                      Contains("no channels that can be pruned"));
}

TEST_CASE("SearchSpace refuses a least count out of range and pinned layers that do not exist") {
    const Network network = zoo("mobilenet_v1");
    for (const std::int64_t count : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1} << 21})
        CHECK_THROWS_WITH(SearchSpace(network, {.min_channels = count, .pinned = {}}),
                          Contains("min_channels is " + std::to_string(count)));
    CHECK_THROWS_AS(SearchSpace(network, {.pinned = {"stem.com"}}), core::ConfigError);
    CHECK_THROWS_WITH(SearchSpace(network, {.pinned = {"stem.com"}}),
                      Contains("named 'stem.com'") && Contains("did you mean 'stem.conv'?"));
}

TEST_CASE("a pinned layer keeps all its channels, and so does all that is tied to it") {
    const Network network = zoo("mobilenet_v1");
    const SearchSpace space(network, {.pinned = {"blocks.1.depthwise.conv"}});
    CHECK(space.groups().size() == 13);
    for (const PruningGroup& group : space.groups())
        CHECK(group.name != "blocks.0.pointwise.conv");
    const auto& unprunable = space.structure().unprunable;
    const auto found = std::find_if(unprunable.begin(), unprunable.end(), [&](const auto& entry) {
        return network.nodes[entry.node].name == "blocks.0.pointwise.conv";
    });
    REQUIRE(found != unprunable.end());
    CHECK(found->reason == "'blocks.1.depthwise.conv' is pinned");
    CHECK(found->channels == 64);
}

TEST_CASE("a least count holds beside the least share, and never exceeds a group's channels") {
    const Network network = network_of({conv("a", 0, 30), conv("b", 1, 7), conv("c", 2, 2)});
    CHECK(SearchSpace(network, {.min_keep = 0.1, .min_channels = 5}).smallest() == Genome{5, 5});
    CHECK(SearchSpace(network, {.min_keep = 0.5, .min_channels = 5}).smallest() == Genome{15, 5});
    CHECK(SearchSpace(network, {.min_keep = 0.1, .min_channels = 9}).smallest() == Genome{9, 7});
    CHECK(SearchSpace(network, {.min_keep = 0.1, .min_channels = 9, .divisor = 8}).smallest() ==
          Genome{16, 7});
}

TEST_CASE("validate says which count of a genome is wrong and what is allowed") {
    const SearchSpace space(zoo("mobilenet_v1"), {.min_keep = 0.2, .divisor = 4});
    CHECK_NOTHROW(space.validate(space.unpruned()));
    CHECK_NOTHROW(space.validate(space.smallest()));
    CHECK_THROWS_WITH(space.validate({32}), Contains("has 1 counts") && Contains("14 pruning"));
    for (const std::int32_t count : {4, 9, 36, 0, -8, std::numeric_limits<std::int32_t>::min(),
                                     std::numeric_limits<std::int32_t>::max()}) {
        Genome genome = space.unpruned();
        genome[0] = count;
        CHECK_THROWS_AS(space.validate(genome), core::DataError);
        CHECK_THROWS_WITH(space.validate(genome),
                          Contains("keeps " + std::to_string(count) + " channels of group 0") &&
                              Contains("'stem.conv'") && Contains("multiples of 4 from 8 on"));
    }
}

TEST_CASE("the least count is the smallest allowed one that keeps the least share") {
    const Network network = network_of({conv("a", 0, 30), conv("b", 1, 7), conv("c", 2, 2)});
    CHECK(SearchSpace(network, {.min_keep = 0.1}).smallest() == Genome{3, 1});
    CHECK(SearchSpace(network, {.min_keep = 0.11}).smallest() == Genome{4, 1});
    CHECK(SearchSpace(network, {.min_keep = 1e-12}).smallest() == Genome{1, 1});
    CHECK(SearchSpace(network, {.min_keep = 0.1, .divisor = 8}).smallest() == Genome{8, 7});
    CHECK(SearchSpace(network, {.min_keep = 1.0, .divisor = 8}).smallest() == Genome{30, 7});
    CHECK(SearchSpace(network, {.min_keep = 0.1, .divisor = 8}).allowed_counts(0) ==
          std::vector<std::int32_t>{8, 16, 24, 30});
    CHECK(SearchSpace(network, {.min_keep = 0.1, .divisor = 8}).allowed_counts(1) ==
          std::vector<std::int32_t>{7});
}

TEST_CASE("nearest_allowed is the nearest of allowed_counts, the larger of two") {
    const Network network = network_of({conv("a", 0, 30), conv("b", 1, 7), conv("c", 2, 2)});
    for (const std::int64_t divisor : {1, 3, 4, 8, 64}) {
        const SearchSpace space(network, {.min_keep = 0.3, .divisor = divisor});
        for (std::size_t g = 0; g < 2; ++g) {
            const std::vector<std::int32_t> allowed = space.allowed_counts(g);
            for (double wanted = -2.0; wanted < 35.0; wanted += 0.25) {
                std::int32_t best = allowed[0];
                for (const std::int32_t count : allowed)
                    if (std::abs(count - wanted) <= std::abs(best - wanted)) best = count;
                CHECK(space.nearest_allowed(g, wanted) == best);
            }
            CHECK(space.nearest_allowed(g, 1e300) == allowed.back());
            CHECK(space.nearest_allowed(g, -1e300) == allowed.front());
            CHECK(space.nearest_allowed(g, std::nan("")) == allowed.front());
        }
    }
}

TEST_CASE("a step drops at most a share of the present channels, as near as the divisor allows") {
    const SearchSpace space(zoo("mobilenet_v1"), {.min_keep = 0.25, .divisor = 8});
    Genome genome = space.unpruned();
    for (int step = 0; step < 12; ++step) {
        const Genome least = space.step_below(genome, 0.2);
        for (std::size_t g = 0; g < genome.size(); ++g) {
            CHECK(least[g] == space.nearest_allowed(g, 0.8 * genome[g]));
            CHECK(least[g] <= genome[g]);
        }
        genome = least;
    }
    CHECK(space.step_below(space.unpruned(), 1.0) == space.smallest());
    CHECK_THROWS_AS(space.step_below({1, 2}, 0.2), core::DataError);
}

TEST_CASE("a space from a genome on has the counts of the whole one that are no smaller") {
    const SearchSpace whole(zoo("mobilenet_v1"), {.min_keep = 0.25, .divisor = 8});
    const Genome least = whole.uniform(0.6);
    const SearchSpace space = whole.from(least);
    CHECK(space.smallest() == least);
    CHECK(space.unpruned() == whole.unpruned());
    for (std::size_t g = 0; g < least.size(); ++g) {
        auto expected = whole.allowed_counts(g);
        std::erase_if(expected, [&](std::int32_t count) { return count < least[g]; });
        CHECK(space.allowed_counts(g) == expected);
    }
    CHECK_THROWS_AS(space.validate(whole.smallest()), core::DataError);
    CHECK_THROWS_AS(space.from(whole.smallest()), core::DataError);
    CHECK(whole.from(whole.unpruned()).allowed_counts(1).size() == 1);
}

TEST_CASE("uniform scales every group and keep_ratios gives the shares back") {
    const SearchSpace space(zoo("mobilenet_v1"), {.min_keep = 0.2, .divisor = 8});
    const Genome half = space.uniform(0.5);
    CHECK(half.front() == 16);
    CHECK(half.back() == 512);
    CHECK_NOTHROW(space.validate(half));
    for (const double ratio : space.keep_ratios(half))
        CHECK(ratio == 0.5);
    CHECK(space.uniform(1.0) == space.unpruned());
    CHECK(space.uniform(0.0) == space.smallest());
    CHECK_THROWS_AS(space.keep_ratios({1, 2}), core::DataError);
    CHECK(pruning_loss(space, space.unpruned()) == 0.0);
    double sum = 0.0;
    for (const double ratio : space.keep_ratios(half))
        sum += std::pow(std::log(ratio), 2);
    CHECK(pruning_loss(space, half) == Approx(sum / static_cast<double>(half.size())));
    CHECK_THROWS_AS(pruning_loss(space, {1, 2}), core::DataError);
}
