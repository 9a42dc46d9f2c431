#include "hdap/accuracy/batch_norm_insertion.hpp"

#include "accuracy/images/synthetic_images.hpp"
#include "hdap/accuracy/evaluation.hpp"
#include "hdap/core/error.hpp"
#include "hdap/network/fold_batch_norm.hpp"
#include "hdap/network/insert_batch_norm.hpp"
#include "hdap/network/prunable.hpp"
#include "hdap/network/zoo.hpp"
#include "network/random_network.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <set>

using namespace hdap;
using namespace hdap::accuracy;
using namespace hdap::accuracy::testing;
using Catch::Matchers::Contains;
using network::PrunedNetwork;

namespace {

ImageData images_for(const network::Network& network, std::int64_t count, std::uint32_t seed) {
    return synthetic_images({.count = count,
                             .channels = network.nodes[0].output_channels,
                             .height = network.input_extent.height,
                             .width = network.input_extent.width,
                             .classes = network::infer_shapes(network).back().channels,
                             .seed = seed});
}

/// A narrow MobileNetV1 with ReLU whose statistics fit, folded.
PrunedNetwork folded_mobilenet(const ImageData& images) {
    network::Network network = network::make_network({.name = "mobilenet_v1",
                                                      .width = 0.25,
                                                      .classes = 4,
                                                      .input_channels = 1,
                                                      .input_extent = {16, 16}});
    for (network::Node& node : network.nodes)
        if (node.op == network::Operator::relu6) node.op = network::Operator::relu;
    const auto weights =
        recalibrate_batch_norm(network, network::testing::random_weights(network, 3), images, {});
    return network::fold_batch_norms(network, weights);
}

ImageData small_images() {
    return synthetic_images({.count = 60, .height = 16, .width = 16, .classes = 4, .seed = 5});
}

std::vector<std::vector<std::int32_t>> ranked(const PrunedNetwork& network) {
    return network::with_weights(network::make_prunable(network.network, {}), network.weights)
        .ranked_channels;
}

void multiply(network::Tensor& tensor, std::size_t first, std::size_t count, std::size_t stride,
              std::size_t times, float factor) {
    for (std::size_t i = 0; i < times; ++i)
        for (std::size_t k = 0; k < count; ++k)
            tensor.values[i * stride + first + k] *= factor;
}

} // namespace

TEST_CASE("norms are not inserted from what does not fit", "[batch_norm_insertion]") {
    const ImageData images = small_images();
    const auto [network, weights] = folded_mobilenet(images);
    CHECK_THROWS_AS(insert_batch_norms(network, weights, images, 0), core::ConfigError);
    CHECK_THROWS_WITH(insert_batch_norms(network, weights, slice(images, 0, 1), 100),
                      Contains("at least 2 images"));
    CHECK_THROWS_AS(insert_batch_norms(network, {}, images, 100), core::DataError);
    CHECK_THROWS_WITH(
        insert_batch_norms(network, weights,
                           synthetic_images({.height = 16, .width = 17, .classes = 4}), 100),
        Contains("images for batch norms"));
}

TEST_CASE("a network with norms is left as it is", "[batch_norm_insertion]") {
    const network::Network network = network::make_network({.name = "resnet20",
                                                            .width = 0.5,
                                                            .classes = 4,
                                                            .input_channels = 1,
                                                            .input_extent = {16, 16}});
    const auto weights = network::testing::random_weights(network, 3);
    const PrunedNetwork same = insert_batch_norms(network, weights, small_images(), 100);
    CHECK(same.network.nodes.size() == network.nodes.size());
    CHECK(same.weights.at("conv1.weight").values == weights.at("conv1.weight").values);
}

TEST_CASE("logits of random networks stay when norms are inserted", "[batch_norm_insertion]") {
    std::size_t inserted = 0;
    for (std::uint32_t seed = 0; seed < 60; ++seed) {
        CAPTURE(seed);
        const network::Network original = network::testing::random_network(seed);
        if (!original.outputs.empty()) continue; // classification has one output
        const auto [network, weights] =
            network::fold_batch_norms(original, network::testing::random_weights(original, seed));
        const ImageData images = images_for(network, 7, seed);
        const PrunedNetwork with = insert_batch_norms(network, weights, images, 4);
        inserted += with.network.nodes.size() - network.nodes.size();
        const std::vector<float> expected = logits(network, weights, images, {});
        const std::vector<float> found = logits(with.network, with.weights, images, {});
        double largest = 1.0;
        for (const float value : expected)
            largest = std::max(largest, std::abs(static_cast<double>(value)));
        for (std::size_t i = 0; i < found.size(); ++i)
            CHECK(std::abs(static_cast<double>(found[i] - expected[i])) < 1e-3 * largest);
    }
    CHECK(inserted > 60);
}

TEST_CASE("the statistics of inserted norms are those that recalibration finds",
          "[batch_norm_insertion]") {
    const ImageData images = small_images();
    const auto [network, weights] = folded_mobilenet(images);
    const PrunedNetwork with = insert_batch_norms(network, weights, images, 30);
    const auto recalibrated =
        recalibrate_batch_norm(with.network, with.weights, images, {.batch = 30});
    // Of the first norm exactly; what comes later sees the batches' own statistics.
    for (const char* suffix : {".running_mean", ".running_var"}) {
        const auto& found = with.weights.at("stem.conv.norm" + std::string(suffix)).values;
        const auto& expected = recalibrated.at("stem.conv.norm" + std::string(suffix)).values;
        for (std::size_t c = 0; c < found.size(); ++c)
            CHECK(found[c] == Approx(expected[c]).margin(1e-5).epsilon(1e-3));
    }
}

TEST_CASE("channels rank alike however scale is split between filters and their readers",
          "[batch_norm_insertion]") {
    const ImageData images = small_images();
    const PrunedNetwork folded = folded_mobilenet(images);
    // The first block's pointwise filters are multiplied, and what reads them divided: with ReLU
    // between, the function is the same.
    PrunedNetwork scaled = folded;
    auto& filters = scaled.weights.at("blocks.0.pointwise.conv.weight");
    auto& biases = scaled.weights.at("blocks.0.pointwise.conv.bias");
    auto& readers = scaled.weights.at("blocks.1.depthwise.conv.weight");
    const auto channels = static_cast<std::size_t>(filters.shape[0]);
    const std::size_t size = filters.values.size() / channels;
    for (std::size_t c = 0; c < channels; ++c) {
        const float factor = c % 2 == 0 ? 8.0F : 0.125F;
        multiply(filters, c * size, size, 0, 1, factor);
        multiply(biases, c, 1, 0, 1, factor);
        multiply(readers, c * 9, 9, 0, 1, 1.0F / factor);
    }
    CHECK(ranked(scaled) != ranked(folded));
    CHECK(ranked(insert_batch_norms(scaled.network, scaled.weights, images, 100)) ==
          ranked(insert_batch_norms(folded.network, folded.weights, images, 100)));
}

TEST_CASE("a channel that nothing reads goes first", "[batch_norm_insertion]") {
    const ImageData images = small_images();
    PrunedNetwork folded = folded_mobilenet(images);
    auto& readers = folded.weights.at("blocks.0.pointwise.conv.weight");
    const auto outputs = static_cast<std::size_t>(readers.shape[0]);
    const auto inputs = static_cast<std::size_t>(readers.shape[1]);
    multiply(readers, 2, 1, inputs, outputs, 0.0F);
    auto& filters = folded.weights.at("stem.conv.weight");
    auto& biases = folded.weights.at("stem.conv.bias").values;
    std::fill(biases.begin(), biases.end(), 3.0F); // all others are alive behind the ReLU
    multiply(filters, 2 * 9, 9, 0, 1, 100.0F);     // by magnitude it would stay
    CHECK(ranked(folded)[0].front() == 2);
    CHECK(ranked(insert_batch_norms(folded.network, folded.weights, images, 100))[0].back() == 2);
}
