#include "hdap/network/pruning_groups.hpp"

#include "hdap/core/error.hpp"
#include "hdap/network/zoo.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include "network/random_network.hpp"

using namespace hdap;
using namespace hdap::network;
using Catch::Matchers::Contains;

namespace {

Network zoo(const std::string& name) {
    ZooRequest request;
    request.name = name;
    request.classes = 10;
    request.input_extent = {32, 32};
    return make_network(request);
}

Node node(Operator op, const std::string& name, std::vector<std::size_t> from) {
    Node result;
    result.name = name;
    result.op = op;
    result.inputs = std::move(from);
    return result;
}

Node conv(const std::string& name, std::size_t from, std::int64_t channels,
          std::int64_t groups = 1) {
    Node result = node(Operator::conv2d, name, {from});
    result.output_channels = channels;
    result.groups = groups;
    return result;
}

Network network_of(std::vector<Node> nodes) {
    Node input = node(Operator::input, "input", {});
    input.output_channels = 3;
    nodes.insert(nodes.begin(), std::move(input));
    return {"sample", {4, 4}, std::move(nodes)};
}

std::vector<std::string> names(const std::vector<PruningGroup>& groups) {
    std::vector<std::string> result;
    for (const PruningGroup& group : groups)
        result.push_back(group.name);
    return result;
}

using Names = std::vector<std::string>;
using Indices = std::vector<std::size_t>;

} // namespace

TEST_CASE("find_pruning_groups leaves the input's and the output's channels alone") {
    CHECK(find_pruning_groups(network_of({})).empty());
    CHECK(find_pruning_groups(network_of({conv("only", 0, 8)})).empty());
    // The skip from the input pins the whole chain.
    const Network skip = network_of(
        {conv("a", 0, 3), node(Operator::add, "sum", {0, 1}), conv("b", 2, 8), conv("c", 3, 5)});
    CHECK(names(find_pruning_groups(skip)) == Names{"b"});
    const Network depthwise_first = network_of({conv("dw", 0, 3, 3), conv("b", 1, 8)});
    CHECK(find_pruning_groups(depthwise_first).empty());
}

TEST_CASE("a depthwise convolution ties its input to its output") {
    const Network network =
        network_of({conv("a", 0, 8), node(Operator::batch_norm, "bn", {1}), conv("dw", 2, 8, 8),
                    node(Operator::relu6, "relu", {3}), conv("out", 4, 5)});
    const std::vector<PruningGroup> groups = find_pruning_groups(network);
    REQUIRE(groups.size() == 1);
    CHECK(groups[0].name == "a");
    CHECK(groups[0].channels == 8);
    CHECK(groups[0].members == Indices{1, 2, 3, 4});
    CHECK(group_of_nodes(network, groups) == std::vector<int>{-1, 0, 0, 0, 0, -1});
}

TEST_CASE("an addition ties all that it adds, also tensors made before") {
    const Network network =
        network_of({conv("a", 0, 8), conv("b", 1, 6), conv("c", 2, 8), conv("d", 1, 8),
                    node(Operator::add, "sum", {3, 1, 4}), conv("out", 5, 2)});
    const std::vector<PruningGroup> groups = find_pruning_groups(network);
    CHECK(names(groups) == Names{"a", "b"});
    CHECK(groups[0].members == Indices{1, 3, 4, 5});
    CHECK(groups[1].members == Indices{2});
}

TEST_CASE("a grouped convolution that is not depthwise is left unpruned on both sides") {
    for (const std::int64_t output : {8, 16}) {
        const Network network =
            network_of({conv("a", 0, 8), conv("grouped", 1, output, output == 16 ? 8 : 2),
                        conv("b", 2, 8), conv("out", 3, 2)});
        CHECK(names(find_pruning_groups(network)) == Names{"b"});
    }
}

TEST_CASE("the zoo's networks have the groups that their papers' structure gives") {
    const auto mobilenet = find_pruning_groups(zoo("mobilenet_v1"));
    REQUIRE(mobilenet.size() == 14);
    CHECK(mobilenet.front().name == "stem.conv");
    CHECK(mobilenet.front().members.size() == 6);
    CHECK(mobilenet.back().name == "blocks.12.pointwise.conv");
    CHECK(mobilenet.back().members.size() == 4); // with the pooling

    // One group inside each block, one for each of the three stages.
    const auto resnet20 = find_pruning_groups(zoo("resnet20_b"));
    CHECK(resnet20.size() == 9 + 3);
    CHECK(resnet20[0].name == "conv1");
    CHECK(resnet20[1].name == "layer1.0.conv1");
    CHECK(find_pruning_groups(zoo("resnet56_b")).size() == 27 + 3);
}

TEST_CASE("groups of random networks are ordered, disjoint and closed under sharing") {
    for (std::uint32_t seed = 0; seed < 200; ++seed) {
        const Network network = testing::random_network(seed);
        const std::vector<TensorShape> shapes = infer_shapes(network);
        const std::vector<PruningGroup> groups = find_pruning_groups(network);
        const std::vector<int> group_of = group_of_nodes(network, groups);
        std::size_t members = 0;
        for (std::size_t g = 0; g < groups.size(); ++g) {
            members += groups[g].members.size();
            CHECK(std::is_sorted(groups[g].members.begin(), groups[g].members.end()));
            CHECK(network.nodes[groups[g].members[0]].name == groups[g].name);
            if (g > 0) CHECK(groups[g - 1].members[0] < groups[g].members[0]);
        }
        CHECK(members == network.nodes.size() - static_cast<std::size_t>(std::count(
                                                    group_of.begin(), group_of.end(), -1)));
        for (std::size_t i = 1; i < network.nodes.size(); ++i) {
            const Node& here = network.nodes[i];
            const int input = group_of[here.inputs[0]];
            const bool produces = here.op == Operator::linear || here.op == Operator::conv2d;
            if (!produces || is_depthwise(here, shapes[here.inputs[0]].channels))
                for (const std::size_t from : here.inputs)
                    CHECK(group_of[from] == group_of[i]);
            else if (here.groups > 1)
                CHECK((input == -1 && group_of[i] == -1));
        }
        CHECK(group_of.front() == -1);
        CHECK(group_of.back() == -1);
    }
}

TEST_CASE("group_of_nodes refuses the groups of another network") {
    const auto groups = find_pruning_groups(zoo("mobilenet_v1"));
    CHECK_THROWS_AS(group_of_nodes(zoo("resnet20_b"), groups), core::DataError);
    CHECK_THROWS_WITH(group_of_nodes(network_of({}), groups),
                      Contains("'stem.conv' does not belong to network 'sample'"));
}

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
}
