#include "hdap/network/zoo.hpp"

#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <limits>
#include <set>

using namespace hdap;
using namespace hdap::network;
using Catch::Matchers::Contains;

namespace {

std::size_t index_of(const Network& network, const std::string& name) {
    const auto found = std::find_if(network.nodes.begin(), network.nodes.end(),
                                    [&](const Node& node) { return node.name == name; });
    INFO(name);
    REQUIRE(found != network.nodes.end());
    return static_cast<std::size_t>(found - network.nodes.begin());
}

TensorShape shape_of(const Network& network, const std::string& name) {
    return infer_shapes(network)[index_of(network, name)];
}

} // namespace

TEST_CASE("make_network refuses values out of range and names the nearest network") {
    ZooRequest request;
    request.name = "mobilnet_v1";
    CHECK_THROWS_AS(make_network(request), core::ConfigError);
    CHECK_THROWS_WITH(make_network(request), Contains("did you mean 'mobilenet_v1'?"));
    request.name = "resnet57";
    CHECK_THROWS_WITH(make_network(request), Contains("did you mean 'resnet5"));
    request.name = std::string(1'000'000, 'x');
    CHECK_THROWS_AS(make_network(request), core::ConfigError);

    for (const double width : {0.0, -1.0, 4.01, std::numeric_limits<double>::quiet_NaN()}) {
        request = {};
        request.width = width;
        CHECK_THROWS_WITH(make_network(request), Contains("must be in (0, 4]"));
    }
    request = {};
    request.classes = 1;
    CHECK_THROWS_WITH(make_network(request), Contains("classes is 1, must be in [2, 100000]"));
    request = {};
    request.input_channels = 0;
    CHECK_THROWS_WITH(make_network(request), Contains("input_channels is 0"));
    request = {};
    request.input_extent = {7, 224};
    CHECK_THROWS_WITH(make_network(request), Contains("input height is 7"));
    request = {};
    request.input_extent = {224, 1025};
    CHECK_THROWS_WITH(make_network(request), Contains("input width is 1025"));
}

TEST_CASE("every network of the zoo is sound at the limits of the ranges") {
    for (const std::string& name : zoo_names())
        for (const double width : {1e-9, 0.25, 1.0, 4.0})
            for (const std::int64_t size : {8, 32, 33, 1024}) {
                // Its first linear layer grows with the image, beyond what one may have.
                if (name == "vgg16" && (size == 1024 || width == 4.0)) continue;
                ZooRequest request;
                request.name = name;
                request.width = width;
                request.classes = size == 1024 && width <= 1.0 ? 100'000 : 2;
                request.input_channels = size == 1024 ? 64 : 1;
                request.input_extent = {size, 8};
                if (name.starts_with("vgg16"))
                    request.input_extent = {std::max<std::int64_t>(32, size), 32};
                const Network network = make_network(request);
                CHECK(network.name == name);
                CHECK(infer_shapes(network).back().channels == request.classes);
            }
}

TEST_CASE("mobilenet_v1 has the published layers") {
    const Network network = make_network({});
    CHECK(shape_of(network, "input") == TensorShape{3, {224, 224}});
    CHECK(shape_of(network, "stem.relu") == TensorShape{32, {112, 112}});
    CHECK(shape_of(network, "blocks.0.pointwise.conv") == TensorShape{64, {112, 112}});
    CHECK(shape_of(network, "blocks.5.depthwise.bn") == TensorShape{256, {14, 14}});
    CHECK(shape_of(network, "blocks.12.pointwise.relu") == TensorShape{1024, {7, 7}});
    CHECK(shape_of(network, "classifier") == TensorShape{1000, {1, 1}});
    CHECK(network.nodes.back().bias);
    CHECK(std::count_if(network.nodes.begin(), network.nodes.end(),
                        [](const Node& node) { return node.op == Operator::conv2d; }) == 27);
}

TEST_CASE("mobilenet_v1 keeps the resolution of small images in its first layer") {
    ZooRequest request;
    request.width = 0.25;
    request.classes = 10;
    request.input_channels = 1;
    request.input_extent = {28, 28};
    const Network network = make_network(request);
    CHECK(shape_of(network, "stem.conv") == TensorShape{8, {28, 28}});
    CHECK(shape_of(network, "blocks.12.pointwise.conv") == TensorShape{256, {2, 2}});
}

TEST_CASE("channel counts are rounded to the nearest multiple of 8") {
    ZooRequest request;
    request.width = 0.35;
    const Network network = make_network(request);
    CHECK(shape_of(network, "stem.conv").channels == 8);                  // 11.2
    CHECK(shape_of(network, "blocks.0.pointwise.conv").channels == 24);   // 22.4
    CHECK(shape_of(network, "blocks.12.pointwise.conv").channels == 360); // 358.4
}

TEST_CASE("the residual networks for CIFAR have 6n + 2 layers in three stages") {
    for (const auto& [name, blocks] : {std::pair{"resnet20_b", 3}, std::pair{"resnet110_b", 18}}) {
        ZooRequest request;
        request.name = name;
        request.classes = 10;
        request.input_extent = {32, 32};
        const Network network = make_network(request);
        const auto projections =
            std::count_if(network.nodes.begin(), network.nodes.end(), [](const Node& node) {
                return node.op == Operator::conv2d && node.kernel == Extent{1, 1};
            });
        const auto convolutions =
            std::count_if(network.nodes.begin(), network.nodes.end(),
                          [](const Node& node) { return node.op == Operator::conv2d; });
        CHECK(projections == 2);
        CHECK(convolutions - projections + 1 == 6 * blocks + 2);
        const std::string last = std::to_string(blocks - 1);
        CHECK(shape_of(network, "conv1") == TensorShape{16, {32, 32}});
        CHECK(shape_of(network, "layer1." + last + ".add") == TensorShape{16, {32, 32}});
        CHECK(shape_of(network, "layer2.0.shortcut.1") == TensorShape{32, {16, 16}});
        CHECK(shape_of(network, "layer3." + last + ".relu") == TensorShape{64, {8, 8}});
        CHECK(shape_of(network, "linear") == TensorShape{10, {1, 1}});
    }
}

TEST_CASE("Keras' form of ResNet50 has strides, biases and epsilons where its weights need them") {
    ZooRequest request;
    request.name = "resnet50_v1";
    const Network network = make_network(request);
    const auto node = [&](const char* name) { return network.nodes[node_named(network, name)]; };
    CHECK(node("layer2.0.conv1").stride == Extent{2, 2});
    CHECK(node("layer2.0.conv2").stride == Extent{1, 1});
    CHECK(node("layer2.0.downsample.0").stride == Extent{2, 2});
    for (const Node& layer : network.nodes) {
        if (layer.op == Operator::conv2d) CHECK(layer.bias);
        if (layer.op == Operator::batch_norm) CHECK(layer.epsilon == 1e-3);
    }
    request.name = "resnet50";
    for (const Node& layer : make_network(request).nodes)
        CHECK_FALSE((layer.op == Operator::batch_norm && layer.epsilon != 1e-5));
}
