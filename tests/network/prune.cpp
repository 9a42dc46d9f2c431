#include "hdap/network/prune.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "hdap/network/zoo.hpp"

#include <catch2/catch.hpp>

#include <limits>

#include "network/random_network.hpp"
#include "network/reference_forward.hpp"

using namespace hdap;
using namespace hdap::network;
using Catch::Matchers::Contains;

namespace {

using Ranking = std::vector<std::vector<std::int32_t>>;

Network zoo(const std::string& name, double width, std::int64_t channels, Extent extent) {
    return make_network({.name = name,
                         .width = width,
                         .classes = 10,
                         .input_channels = channels,
                         .input_extent = extent});
}

Genome random_genome(const SearchSpace& space, core::RandomStream& random) {
    Genome genome;
    for (std::size_t g = 0; g < space.groups().size(); ++g) {
        const std::vector<std::int32_t> allowed = space.allowed_counts(g);
        genome.push_back(allowed[random.below(allowed.size())]);
    }
    return genome;
}

Ranking random_ranking(const SearchSpace& space, core::RandomStream& random) {
    Ranking ranking;
    for (const PruningGroup& group : space.groups()) {
        const auto order = random.permutation(static_cast<std::size_t>(group.channels));
        ranking.emplace_back(order.begin(), order.end());
    }
    return ranking;
}

/// Makes every output of the channel, in all members of its group, zero.
void silence(const Network& network, const PruningGroup& group, std::int32_t channel,
             Weights& weights) {
    for (const std::size_t member : group.members)
        for (const char* suffix : {".weight", ".bias"}) {
            const auto found = weights.find(network.nodes[member].name + suffix);
            if (found == weights.end()) continue;
            std::vector<float>& values = found->second.values;
            const auto size = static_cast<std::int64_t>(values.size()) / group.channels;
            std::fill_n(values.begin() + channel * size, size, 0.0F);
        }
}

Weights without_dropped(const Network& network, const SearchSpace& space, const Ranking& ranking,
                        const Genome& genome, Weights weights) {
    for (std::size_t g = 0; g < genome.size(); ++g)
        for (std::size_t i = static_cast<std::size_t>(genome[g]); i < ranking[g].size(); ++i)
            silence(network, space.groups()[g], ranking[g][i], weights);
    return weights;
}

/// Proves that dropping silent channels does not change what the network computes.
/// Returns whether the channels that stay let the image through to the output at all.
bool check_same_function(const Network& network, const SearchSpace& space, std::uint32_t seed) {
    core::RandomStream random(seed, core::StreamId::testing, 2);
    const Ranking ranking = random_ranking(space, random);
    const Genome genome = random_genome(space, random);
    const Weights weights =
        without_dropped(network, space, ranking, genome, testing::random_weights(network, seed));
    const PrunedNetwork pruned = prune(network, weights, space, ranking, genome);
    CHECK_NOTHROW(check_weights(pruned.network, pruned.weights));
    CHECK(pruned.weights.size() == expected_shapes(pruned.network).size());

    const TensorShape input = infer_shapes(network)[0];
    testing::FeatureMap image;
    for (std::int64_t i = 0; i < input.channels * input.extent.height * input.extent.width; ++i)
        image.push_back(random.normal());
    const testing::FeatureMap before = testing::reference_forward(network, weights, image);
    const testing::FeatureMap after =
        testing::reference_forward(pruned.network, pruned.weights, image);
    REQUIRE(before.size() == after.size());
    for (std::size_t i = 0; i < before.size(); ++i)
        CHECK(after[i] == Approx(before[i]).epsilon(1e-9).margin(1e-9));
    const testing::FeatureMap blank(image.size(), 0.0);
    return before != testing::reference_forward(network, weights, blank);
}

struct Sample {
    Network network = zoo("mobilenet_v1", 0.25, 1, {28, 28});
    SearchSpace space{network, {}};
    Weights weights = testing::random_weights(network, 1);
    Ranking ranking = rank_channels(network, weights, space);
};

} // namespace

TEST_CASE("rank_channels and prune refuse what does not belong together") {
    const Sample sample;
    const Network other = zoo("resnet20_b", 1.0, 3, {32, 32});
    const SearchSpace other_space(other, {});
    const Weights other_weights = initial_weights(other, 1);
    CHECK_THROWS_AS(rank_channels(sample.network, other_weights, sample.space), core::DataError);
    CHECK_THROWS_AS(rank_channels(other, other_weights, sample.space), core::DataError);

    const Genome genome = sample.space.smallest();
    CHECK_THROWS_AS(prune(sample.network, other_weights, sample.space, sample.ranking, genome),
                    core::DataError);
    CHECK_THROWS_AS(prune(other, other_weights, sample.space, sample.ranking, genome),
                    core::DataError);
    CHECK_THROWS_AS(
        prune(sample.network, sample.weights, sample.space, sample.ranking, other_space.smallest()),
        core::DataError);
}

TEST_CASE("prune refuses genomes that are not allowed and rankings that are no permutation") {
    const Sample sample;
    const auto pruned = [&](const Ranking& ranking, const Genome& genome) {
        return prune(sample.network, sample.weights, sample.space, ranking, genome);
    };
    Genome genome = sample.space.smallest();
    genome[3] = 0;
    CHECK_THROWS_WITH(pruned(sample.ranking, genome), Contains("keeps 0 channels of group 3"));
    genome = sample.space.smallest();
    Ranking ranking = sample.ranking;
    ranking.pop_back();
    CHECK_THROWS_WITH(pruned(ranking, genome), Contains("ranked for 13 groups"));
    for (const std::int32_t wrong : {-1, 8, 1'000'000}) {
        ranking = sample.ranking;
        ranking[0][7] = wrong;
        CHECK_THROWS_WITH(pruned(ranking, genome), Contains("'stem.conv' are not a permutation"));
    }
    ranking = sample.ranking;
    ranking[0][1] = ranking[0][0];
    CHECK_THROWS_AS(pruned(ranking, genome), core::DataError);
    ranking[0].pop_back();
    CHECK_THROWS_AS(pruned(ranking, genome), core::DataError);
}

TEST_CASE("rank_channels refuses weights that are not finite") {
    Sample sample;
    for (const float wrong :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        sample.weights["blocks.3.pointwise.conv.weight"].values[0] = wrong;
        CHECK_THROWS_WITH(rank_channels(sample.network, sample.weights, sample.space),
                          Contains("'blocks.3.pointwise.conv.weight'") &&
                              Contains("not finite in channel 0"));
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

TEST_CASE("the unpruned genome gives back the same network and the same weights") {
    const Sample sample;
    Weights weights = sample.weights;
    weights["stem.bn.num_batches_tracked"] = {{}, {7.0F}};
    const PrunedNetwork same =
        prune(sample.network, weights, sample.space, sample.ranking, sample.space.unpruned());
    CHECK(infer_shapes(same.network) == infer_shapes(sample.network));
    REQUIRE(same.weights.size() == sample.weights.size());
    for (const auto& [name, tensor] : sample.weights)
        CHECK(same.weights.at(name).values == tensor.values);
}

TEST_CASE("prune keeps the most important channels in their original order") {
    Sample sample;
    sample.ranking[0] = {6, 1, 4, 0, 2, 3, 5, 7};
    Genome genome = sample.space.unpruned();
    genome[0] = 3;
    const PrunedNetwork pruned =
        prune(sample.network, sample.weights, sample.space, sample.ranking, genome);
    const auto& before = sample.weights;
    const auto& after = pruned.weights;
    CHECK(after.at("stem.conv.weight").shape == std::vector<std::int64_t>{3, 1, 3, 3});
    CHECK(after.at("blocks.0.depthwise.conv.weight").shape ==
          std::vector<std::int64_t>{3, 1, 3, 3});
    CHECK(after.at("blocks.0.pointwise.conv.weight").shape ==
          std::vector<std::int64_t>{16, 3, 1, 1});
    const std::vector<std::size_t> kept{1, 4, 6};
    for (std::size_t i = 0; i < 3; ++i) {
        for (const char* name : {"stem.bn.weight", "stem.bn.bias", "stem.bn.running_mean",
                                 "blocks.0.depthwise.bn.running_var"})
            CHECK(after.at(name).values[i] == before.at(name).values[kept[i]]);
        CHECK(after.at("blocks.0.pointwise.conv.weight").values[2 * 3 + i] ==
              before.at("blocks.0.pointwise.conv.weight").values[2 * 8 + kept[i]]);
    }
    for (const Node& node : pruned.network.nodes)
        if (node.name == "blocks.0.depthwise.conv") CHECK(node.groups == 3);
}

TEST_CASE("a silent channel is ranked last") {
    Sample sample;
    silence(sample.network, sample.space.groups()[2], 9, sample.weights);
    CHECK(rank_channels(sample.network, sample.weights, sample.space)[2].back() == 9);
}

TEST_CASE("dropping silent channels leaves mobilenet_v1's outputs as they are") {
    const Sample sample;
    for (std::uint32_t seed = 0; seed < 3; ++seed)
        CHECK(check_same_function(sample.network, sample.space, seed));
}

TEST_CASE("dropping silent channels leaves a residual network's outputs as they are") {
    const Network network = zoo("resnet20_b", 0.5, 3, {16, 16});
    const SearchSpace space(network, {.divisor = 2});
    for (std::uint32_t seed = 0; seed < 3; ++seed)
        CHECK(check_same_function(network, space, seed));
}

TEST_CASE("dropping silent channels leaves random networks' outputs as they are") {
    int additions = 0;
    int depthwise = 0;
    int telling = 0;
    for (std::uint32_t seed = 0; seed < 300; ++seed) {
        const Network network = testing::random_network(seed);
        const std::vector<TensorShape> shapes = infer_shapes(network);
        const SearchSpace space(network, {.min_keep = 0.01});
        INFO("seed " << seed);
        telling += check_same_function(network, space, seed) ? 1 : 0;
        for (std::size_t i = 1; i < network.nodes.size(); ++i) {
            additions += network.nodes[i].op == Operator::add ? 1 : 0;
            depthwise +=
                is_depthwise(network.nodes[i], shapes[network.nodes[i].inputs[0]].channels);
        }
    }
    CHECK(telling > 200);
    CHECK(additions > 100);
    CHECK(depthwise > 100);
}
