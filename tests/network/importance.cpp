#include "hdap/network/importance.hpp"

#include "hdap/core/error.hpp"
#include "hdap/network/zoo.hpp"
#include "network/random_network.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

using namespace hdap;
using namespace hdap::network;
using Catch::Matchers::Contains;

namespace {

struct Sample {
    Network network = make_network({.name = "mobilenet_v1",
                                    .width = 0.25,
                                    .classes = 10,
                                    .input_channels = 1,
                                    .input_extent = {28, 28}});
    SearchSpace space{network, {}};
    Weights weights = testing::random_weights(network, 1);

    /// Sets all that decides on the first group to zero: a 3 x 3 convolution of one channel and the
    /// depthwise one after it, with their batch norms.
    Sample() {
        for (const char* name :
             {"stem.conv", "stem.bn", "blocks.0.depthwise.conv", "blocks.0.depthwise.bn"}) {
            std::vector<float>& values = weights.at(std::string(name) + ".weight").values;
            std::fill(values.begin(), values.end(), 0.0F);
        }
    }

    float& stem(std::size_t channel, std::size_t tap) {
        return weights.at("stem.conv.weight").values[channel * 9 + tap];
    }
    float& depthwise(std::size_t channel, std::size_t tap) {
        return weights.at("blocks.0.depthwise.conv.weight").values[channel * 9 + tap];
    }
    [[nodiscard]] std::vector<std::int32_t> first_group(const ImportanceParameters& how) const {
        return rank_channels(network, weights, space, how)[0];
    }
};

using Order = std::vector<std::int32_t>;

} // namespace

TEST_CASE("a criterion's name is checked and the nearest one suggested") {
    for (const std::string& name : criterion_names())
        CHECK_NOTHROW(criterion_from_name(name));
    CHECK(criterion_from_name("geometric_median") == Criterion::geometric_median);
    CHECK_THROWS_AS(criterion_from_name("l3"), core::ConfigError);
    CHECK_THROWS_WITH(criterion_from_name("tailor"), Contains("did you mean 'taylor'?"));
}

TEST_CASE("taylor without gradients, or with those of another network, is refused") {
    const Sample sample;
    CHECK_THROWS_AS(channel_importance(sample.network, sample.weights, sample.space,
                                       {.criterion = Criterion::taylor}),
                    core::ConfigError);
    const Weights none;
    CHECK_THROWS_WITH(channel_importance(sample.network, sample.weights, sample.space,
                                         {.criterion = Criterion::taylor, .gradients = &none}),
                      Contains("gradients lack"));
}

TEST_CASE("rank_channels refuses weights that are not finite") {
    Sample sample;
    for (const float wrong :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        sample.weights["blocks.3.pointwise.conv.weight"].values[0] = wrong;
        CHECK_THROWS_WITH(rank_channels(sample.network, sample.weights, sample.space),
                          Contains("'blocks.3.pointwise.conv.weight'") &&
                              Contains("not finite in channel 0"));
        CHECK_THROWS_WITH(rank_channels(sample.network, sample.weights, sample.space,
                                        {.criterion = Criterion::geometric_median}),
                          Contains("'blocks.3.pointwise.conv.weight' holds") &&
                              Contains("in channel 0"));
    }
}

TEST_CASE("rank_channels sorts by the L2 norm over all members, ties by index") {
    Sample sample;
    // The first group: a 3 × 3 convolution of one channel and the depthwise one after it.
    std::vector<float>& stem = sample.weights["stem.conv.weight"].values;
    std::vector<float>& depthwise = sample.weights["blocks.0.depthwise.conv.weight"].values;
    std::fill(stem.begin(), stem.end(), 0.0F);
    std::fill(depthwise.begin(), depthwise.end(), 0.0F);
    stem[2 * 9 + 4] = -3.0F;
    depthwise[5 * 9] = 2.0F; // 2² + 2.5² > 3², though neither alone
    stem[5 * 9 + 8] = 2.5F;
    depthwise[1 * 9] = 1.0F;
    stem[6 * 9] = 1.0F;
    CHECK(rank_channels(sample.network, sample.weights, sample.space)[0] ==
          std::vector<std::int32_t>{5, 2, 1, 6, 0, 3, 4, 7});
}

TEST_CASE("a silent channel is ranked last") {
    Sample sample;
    for (const std::size_t member : sample.space.groups()[2].members) {
        const auto weight = sample.weights.find(sample.network.nodes[member].name + ".weight");
        if (weight == sample.weights.end()) continue;
        std::vector<float>& values = weight->second.values;
        const std::size_t row = values.size() / static_cast<std::size_t>(weight->second.shape[0]);
        for (std::size_t i = 9 * row; i < 10 * row; ++i)
            values[i] = 0.0F;
    }
    CHECK(rank_channels(sample.network, sample.weights, sample.space)[2].back() == 9);
}

TEST_CASE("l1 adds magnitudes where l2 adds squares") {
    Sample sample;
    sample.stem(3, 0) = 3.0F; // one large weight: 3 and 9
    for (std::size_t tap = 0; tap < 4; ++tap)
        sample.depthwise(6, tap) = 1.0F; // four small ones: 4 and 4
    CHECK(sample.first_group({.criterion = Criterion::l1}) == Order{6, 3, 0, 1, 2, 4, 5, 7});
    CHECK(sample.first_group({.criterion = Criterion::l2}) == Order{3, 6, 0, 1, 2, 4, 5, 7});
}

TEST_CASE("batch_norm_scale looks at the factors alone, and at the weights where there are none") {
    Sample sample;
    sample.stem(2, 0) = 100.0F;
    sample.weights.at("stem.bn.weight").values[5] = -2.0F;
    sample.weights.at("blocks.0.depthwise.bn.weight").values[1] = 1.5F;
    CHECK(sample.first_group({.criterion = Criterion::batch_norm_scale}) ==
          Order{5, 1, 0, 2, 3, 4, 6, 7});
    CHECK(groups_without_scale(sample.network, sample.weights, sample.space) == 0);
    sample.weights.at("stem.bn.weight").values[5] = 0.0F;
    sample.weights.at("blocks.0.depthwise.bn.weight").values[1] = 0.0F;
    CHECK(sample.first_group({.criterion = Criterion::batch_norm_scale}).front() == 2);
    CHECK(groups_without_scale(sample.network, sample.weights, sample.space) == 1);
}

TEST_CASE("taylor multiplies weights by gradients, whose signs may cancel over a group's layers") {
    Sample sample;
    Weights gradients = sample.weights;
    for (auto& [name, tensor] : gradients)
        std::fill(tensor.values.begin(), tensor.values.end(), 0.0F);
    const auto set = [&](std::size_t channel, float stem, float depthwise) {
        sample.stem(channel, 0) = 1.0F;
        sample.depthwise(channel, 0) = 1.0F;
        gradients.at("stem.conv.weight").values[channel * 9] = stem;
        gradients.at("blocks.0.depthwise.conv.weight").values[channel * 9] = depthwise;
    };
    set(4, -0.5F, -0.5F);
    set(2, 3.0F, -2.9F);
    CHECK(sample.first_group({.criterion = Criterion::taylor, .gradients = &gradients}) ==
          Order{4, 2, 0, 1, 3, 5, 6, 7});
}

TEST_CASE("geometric_median drops filters that others can stand in for") {
    Sample sample;
    // Filters at 0, 1, 2 … on a line, one far away: those in the middle are nearest to the others.
    for (std::size_t channel = 0; channel < 8; ++channel)
        sample.stem(channel, 0) = channel == 5 ? 40.0F : static_cast<float>(channel);
    const Order order = sample.first_group({.criterion = Criterion::geometric_median});
    CHECK(order.front() == 5);
    CHECK((order.back() == 3 || order.back() == 4));
    std::int64_t last = 0;
    std::int64_t all = -1;
    (void)sample.first_group({.criterion = Criterion::geometric_median,
                              .threads = 2,
                              .on_progress = [&](std::int64_t done, std::int64_t total) {
                                  CHECK(done >= last);
                                  last = done;
                                  all = total;
                              }});
    CHECK(last == all);
}

TEST_CASE("random depends on the seed alone and differs between seeds and groups") {
    const Sample sample;
    Sample other;
    other.weights = testing::random_weights(other.network, 2);
    const auto ranked = [](const Sample& s, std::uint64_t seed) {
        return rank_channels(s.network, s.weights, s.space,
                             {.criterion = Criterion::random, .seed = seed});
    };
    CHECK(ranked(sample, 1) == ranked(other, 1));
    CHECK(ranked(sample, 1) != ranked(sample, 2));
    CHECK(ranked(sample, 1)[5] != ranked(sample, 1)[6]);
}

TEST_CASE("every group's importances have the mean 1, so that groups compare") {
    const Sample sample;
    Weights gradients = testing::random_weights(sample.network, 3);
    for (const std::string& name : criterion_names()) {
        INFO(name);
        const auto importance = channel_importance(
            sample.network, sample.weights, sample.space,
            {.criterion = criterion_from_name(name), .seed = 1, .gradients = &gradients});
        REQUIRE(importance.size() == sample.space.groups().size());
        for (const std::vector<double>& group : importance) {
            double sum = 0.0;
            for (const double value : group) {
                CHECK(value >= 0.0);
                sum += value;
            }
            CHECK(sum / static_cast<double>(group.size()) == Approx(1.0));
        }
    }
}

TEST_CASE("channels that go together are scored together, across concatenations and flattening") {
    for (std::uint32_t seed = 0; seed < 100; ++seed) {
        INFO("seed " << seed);
        const Network network = testing::random_network(seed);
        const SearchSpace space(network, {});
        const auto ranked = rank_channels(network, testing::random_weights(network, seed), space);
        REQUIRE(ranked.size() == space.groups().size());
        for (std::size_t g = 0; g < ranked.size(); ++g)
            CHECK(static_cast<std::int64_t>(ranked[g].size()) == space.groups()[g].channels);
    }
}
