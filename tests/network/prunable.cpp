#include "hdap/network/prunable.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "hdap/network/zoo.hpp"
#include "network/random_network.hpp"
#include "network/reference_forward.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

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

/// The channels of `node`'s output that the genome drops.
std::vector<std::size_t> dropped_channels(const SearchSpace& space, const Ranking& ranking,
                                          const Genome& genome, std::size_t node) {
    std::vector<std::size_t> dropped;
    const std::vector<GroupChannel>& channels = space.structure().channel_of[node];
    for (std::size_t c = 0; c < channels.size(); ++c) {
        if (channels[c].group < 0) continue;
        const auto g = static_cast<std::size_t>(channels[c].group);
        const auto rank = std::find(ranking[g].begin(), ranking[g].end(), channels[c].channel);
        if (rank - ranking[g].begin() >= genome[g]) dropped.push_back(c);
    }
    return dropped;
}

/// Sets the part of a tensor that belongs to `channel` of dimension 0 or 1 to zero.
void zero(Tensor& tensor, std::size_t dimension, std::size_t channel) {
    const auto rows = static_cast<std::size_t>(tensor.shape[0]);
    const std::size_t row = tensor.values.size() / rows;
    if (dimension == 0) return void(std::fill_n(tensor.values.begin() + channel * row, row, 0.0F));
    const std::size_t cell = row / static_cast<std::size_t>(tensor.shape[1]);
    for (std::size_t r = 0; r < rows; ++r)
        std::fill_n(tensor.values.begin() + r * row + channel * cell, cell, 0.0F);
}

enum class Silence { producers, readers };

/// Makes the dropped channels zero where they are produced, or no layer read them.
Weights without_dropped(const Network& network, const SearchSpace& space, const Ranking& ranking,
                        const Genome& genome, Weights weights, Silence where) {
    for (std::size_t i = 1; i < network.nodes.size(); ++i) {
        const Node& node = network.nodes[i];
        const bool reads_all =
            node.op == Operator::linear || (node.op == Operator::conv2d && node.groups == 1);
        if (where == Silence::readers && reads_all)
            for (const std::size_t c : dropped_channels(space, ranking, genome, node.inputs[0]))
                zero(weights.at(node.name + ".weight"), 1, c);
        if (where == Silence::producers)
            for (const std::size_t c : dropped_channels(space, ranking, genome, i))
                for (const char* suffix : {".weight", ".bias"})
                    if (weights.count(node.name + suffix) > 0)
                        zero(weights.at(node.name + suffix), 0, c);
    }
    return weights;
}

/// Whether all that the network computes from zero is zero again.
bool keeps_zero(const Network& network) {
    return std::none_of(network.nodes.begin(), network.nodes.end(), [](const Node& node) {
        return node.op == Operator::sigmoid || node.op == Operator::hard_sigmoid;
    });
}

/// Proves that dropping silent channels does not change what the network computes.
/// Returns whether the channels that stay let the image through to the output at all.
bool check_same_function(const Prunable& prunable, std::uint32_t seed, Silence where) {
    const Network& network = prunable.network;
    const SearchSpace& space = prunable.space;
    core::RandomStream random(seed, core::StreamId::testing, 2);
    const Ranking ranking = random_ranking(space, random);
    const Genome genome = random_genome(space, random);
    const Weights weights = without_dropped(network, space, ranking, genome,
                                            testing::random_weights(network, seed), where);
    const PrunedNetwork pruned = with_weights(prunable, weights, ranking).prune(genome);
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
    double worst = 0.0;
    for (std::size_t i = 0; i < before.size(); ++i)
        worst = std::max(worst, std::abs(after[i] - before[i]) / (1.0 + std::abs(before[i])));
    CHECK(worst < 1e-9);
    const testing::FeatureMap blank(image.size(), 0.0);
    return before != testing::reference_forward(network, weights, blank);
}

/// How many channels the smallest genome takes away from the nodes' outputs.
std::int64_t prunable_channels(const SearchSpace& space) {
    std::int64_t channels = 0;
    for (const PruningGroup& group : space.groups())
        channels += group.channels;
    return channels;
}

struct Sample {
    Network network = zoo("mobilenet_v1", 0.25, 1, {28, 28});
    Weights weights = testing::random_weights(network, 1);
    Prunable prunable = with_weights(make_prunable(network, {}), weights);
    Ranking ranking = prunable.ranked_channels;
};

} // namespace

TEST_CASE("what does not belong together is neither ranked, put together nor pruned") {
    const Sample sample;
    const Prunable other = make_prunable(zoo("resnet20", 1.0, 3, {32, 32}), {});
    const Weights other_weights = initial_weights(other.network, 1);
    CHECK_THROWS_AS(rank_channels(sample.network, other_weights, sample.prunable.space),
                    core::DataError);
    CHECK_THROWS_AS(rank_channels(other.network, other_weights, sample.prunable.space),
                    core::DataError);
    CHECK_THROWS_AS(with_weights(sample.prunable, other_weights), core::DataError);
    CHECK_THROWS_AS(with_weights(sample.prunable, other_weights, sample.ranking), core::DataError);
    CHECK_THROWS_AS(with_weights(other, other_weights, sample.ranking), core::DataError);

    const Genome genome = sample.prunable.space.smallest();
    CHECK_THROWS_AS(sample.prunable.prune(other.space.smallest()), core::DataError);
    Prunable wrong = sample.prunable;
    wrong.weights = other_weights;
    CHECK_THROWS_AS(wrong.prune(genome), core::DataError);
    wrong.network = other.network;
    CHECK_THROWS_AS(wrong.prune(genome), core::DataError);
}

TEST_CASE("a network without weights has costs, but cannot be pruned") {
    const Sample sample;
    const Prunable bare = make_prunable(sample.network, {.min_keep = 0.5});
    CHECK_FALSE(bare.weights);
    CHECK(bare.ranked_channels.empty());
    CHECK(bare.costs.total(bare.space.smallest()) ==
          sample.prunable.costs.total(bare.space.smallest()));
    CHECK_THROWS_AS(bare.prune(bare.space.smallest()), core::InternalError);
    CHECK_THROWS_AS(make_prunable(sample.network, {.min_keep = 0.0}), core::ConfigError);
}

TEST_CASE("genomes that are not allowed and rankings that are no permutation are refused") {
    const Sample sample;
    Genome genome = sample.prunable.space.smallest();
    genome[3] = 0;
    CHECK_THROWS_WITH(sample.prunable.prune(genome), Contains("keeps 0 channels of group 3"));
    genome = sample.prunable.space.smallest();
    const auto refused = [&](const Ranking& ranking, const std::string& message) {
        CHECK_THROWS_WITH(with_weights(sample.prunable, sample.weights, ranking),
                          Contains(message));
        Prunable wrong = sample.prunable;
        wrong.ranked_channels = ranking;
        CHECK_THROWS_WITH(wrong.prune(genome), Contains(message));
    };
    Ranking ranking = sample.ranking;
    ranking.pop_back();
    refused(ranking, "ranked for 13 groups");
    for (const std::int32_t wrong : {-1, 8, 1'000'000}) {
        ranking = sample.ranking;
        ranking[0][7] = wrong;
        refused(ranking, "'stem.conv' are not a permutation");
    }
    ranking = sample.ranking;
    ranking[0][1] = ranking[0][0];
    refused(ranking, "not a permutation");
    ranking[0].pop_back();
    refused(ranking, "not a permutation");
}

TEST_CASE("the unpruned genome gives back the same network and the same weights") {
    const Sample sample;
    Weights weights = sample.weights;
    weights["stem.bn.num_batches_tracked"] = {{}, {7.0F}};
    const Prunable prunable = with_weights(sample.prunable, weights, sample.ranking);
    const PrunedNetwork same = prunable.prune(prunable.space.unpruned());
    CHECK(infer_shapes(same.network) == infer_shapes(sample.network));
    REQUIRE(same.weights.size() == sample.weights.size());
    for (const auto& [name, tensor] : sample.weights)
        CHECK(same.weights.at(name).values == tensor.values);
}

TEST_CASE("prune keeps the most important channels in their original order") {
    Sample sample;
    sample.prunable.ranked_channels[0] = {6, 1, 4, 0, 2, 3, 5, 7};
    Genome genome = sample.prunable.space.unpruned();
    genome[0] = 3;
    const PrunedNetwork pruned = sample.prunable.prune(genome);
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

TEST_CASE("dropping silent channels leaves the outputs of every network of the zoo as they are") {
    for (const std::string& name : zoo_names()) {
        INFO(name);
        const bool deep = name == "resnet110" || name == "resnet110_b" || name == "resnet101";
        const Prunable prunable = make_prunable(
            zoo(name, name == "vgg16" ? 0.02 : 0.125, 3, {32, 32}), {.min_keep = 0.1});
        CHECK(prunable_channels(prunable.space) > 0);
        for (std::uint32_t seed = 0; seed < (deep ? 1U : 2U); ++seed)
            check_same_function(prunable, seed, seed == 0 ? Silence::producers : Silence::readers);
    }
}

TEST_CASE("dropping silent channels leaves random networks' outputs as they are") {
    std::map<Operator, int> uses;
    int telling = 0;
    for (std::uint32_t seed = 0; seed < 600; ++seed) {
        const Prunable prunable = make_prunable(testing::random_network(seed), {.min_keep = 0.01});
        INFO("seed " << seed);
        for (const Silence where : {Silence::readers, Silence::producers}) {
            if (where == Silence::producers && !keeps_zero(prunable.network)) continue;
            telling += check_same_function(prunable, seed, where) ? 1 : 0;
        }
        for (const Node& node : prunable.network.nodes)
            ++uses[node.op];
    }
    CHECK(telling > 400);
    // Every operator was there, and not just once.
    for (int op = 0; op <= static_cast<int>(Operator::flatten); ++op) {
        INFO(operator_name(static_cast<Operator>(op)));
        CHECK(uses[static_cast<Operator>(op)] >= 30);
    }
}
