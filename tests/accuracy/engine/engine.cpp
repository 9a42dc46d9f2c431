#include "accuracy/engine/engine.hpp"

#include "accuracy/engine/execution_plan.hpp"
#include "accuracy/engine/lane_kernels.hpp"
#include "accuracy/engine/lane_layer.hpp"
#include "hdap/core/random.hpp"
#include "hdap/network/fold_batch_norm.hpp"
#include "hdap/network/zoo.hpp"
#include "network/random_network.hpp"
#include "network/reference_forward.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

using namespace hdap;
using namespace hdap::accuracy;

namespace {

using FeatureMap = network::testing::FeatureMap;

std::int64_t elements_of(const network::TensorShape& shape) {
    return shape.channels * shape.extent.height * shape.extent.width;
}

std::vector<FeatureMap> random_images(const network::TensorShape& shape, std::int64_t count,
                                      std::uint32_t seed) {
    core::RandomStream random(seed, core::StreamId::testing, 6);
    std::vector<FeatureMap> images(static_cast<std::size_t>(count));
    for (FeatureMap& image : images)
        for (std::int64_t i = 0; i < elements_of(shape); ++i)
            image.push_back(static_cast<double>(static_cast<float>(random.normal())));
    return images;
}

/// Where the engine, whose channels lie last, has value `i` of [channels][pixels].
std::int64_t channels_last(const network::TensorShape& shape, std::int64_t i) {
    const std::int64_t pixels = shape.extent.height * shape.extent.width;
    return i % pixels * shape.channels + i / pixels;
}

/// The first output for `images`, [images][channels][pixels].
std::vector<float> run(Engine& engine, const network::Network& network,
                       const std::vector<FeatureMap>& images) {
    const auto shapes = network::infer_shapes(network);
    const network::TensorShape& from = shapes.front();
    const network::TensorShape& to = shapes[network::output_nodes(network).front()];
    std::vector<float> values;
    for (std::size_t n = 0; n < images.size(); ++n)
        for (std::int64_t i = 0; i < elements_of(from); ++i)
            engine.images()[static_cast<std::int64_t>(n) * elements_of(from) +
                            channels_last(from, i)] =
                static_cast<float>(images[n][static_cast<std::size_t>(i)]);
    engine.run();
    for (std::size_t n = 0; n < images.size(); ++n)
        for (std::int64_t i = 0; i < elements_of(to); ++i)
            values.push_back(engine.output()[static_cast<std::int64_t>(n) * elements_of(to) +
                                             channels_last(to, i)]);
    return values;
}

/// The kernels of every kind of processor that this one can stand for.
std::vector<const LaneKernels*> every_kernels() {
    const LaneKernelSet set = all_lane_kernels();
    return {set.kernels, set.kernels + set.count};
}

/// The same with those that take bfloat16, where this processor has them.
std::vector<const LaneKernels*> every_kernels_and_bfloat16() {
    std::vector<const LaneKernels*> kernels = every_kernels();
    if (bfloat16_lane_kernels()) kernels.push_back(bfloat16_lane_kernels());
    return kernels;
}

float rounded_to_bfloat16(float value) {
    return std::bit_cast<float>(std::uint32_t{bfloat16_of(value)} << 16);
}

/// A network of one layer.
network::Network network_of(network::Node layer, const network::TensorShape& input) {
    network::Network network{"one layer", input.extent, {}, {}};
    network.nodes.resize(1);
    network.nodes[0].name = "input";
    network.nodes[0].output_channels = input.channels;
    layer.name = "layer";
    layer.inputs = {0};
    network.nodes.push_back(std::move(layer));
    return network;
}

/// Convolutions with odd and even channels, one to several groups, and a linear layer.
std::vector<network::Network> networks_of_one_layer() {
    std::vector<network::Network> networks;
    const auto add = [&](std::int64_t channels, std::int64_t outputs, std::int64_t groups,
                         std::int64_t kernel, std::int64_t stride, std::int64_t padding) {
        network::Node layer;
        layer.op = network::Operator::conv2d;
        layer.output_channels = outputs;
        layer.groups = groups;
        layer.kernel = {kernel, kernel};
        layer.stride = {stride, stride};
        layer.padding = {padding, padding};
        layer.bias = true;
        networks.push_back(network_of(layer, {channels, {9, 7}}));
    };
    for (const std::int64_t channels : {1, 2, 3, 13})
        for (const std::int64_t kernel : {1, 3, 5})
            for (const std::int64_t stride : {1, 2})
                add(channels, 7, 1, kernel, stride, kernel / 2);
    add(6, 4, 2, 3, 1, 1);
    add(5, 5, 5, 5, 1, 2); // depthwise, but not by rows
    add(7, 20, 1, 3, 1, 0);
    network::Node linear;
    linear.op = network::Operator::linear;
    linear.output_channels = 10;
    linear.bias = true;
    networks.push_back(network_of(linear, {27, {1, 1}}));
    return networks;
}

/// The largest difference from plain loops, for the first image and the last two.
double largest_error(const std::vector<float>& values, const network::Network& network,
                     const network::Weights& weights, const std::vector<FeatureMap>& images) {
    const std::size_t size = values.size() / images.size();
    double worst = 0.0;
    for (const std::size_t n : {std::size_t{0}, images.size() - 2, images.size() - 1}) {
        const FeatureMap expected =
            network::testing::reference_forward(network, weights, images[n]);
        for (std::size_t i = 0; i < size; ++i)
            worst =
                std::max(worst, std::abs(static_cast<double>(values[n * size + i]) - expected[i]) /
                                    (1.0 + std::abs(expected[i])));
    }
    return worst;
}

/// What a depthwise convolution gives for one channel, pixel and lane.
double depthwise_value(const LaneKernels::DepthwiseRow& d, std::int64_t lanes, std::int64_t channel,
                       std::int64_t x, std::int64_t lane) {
    auto sum = static_cast<double>(d.bias[channel]);
    for (std::int64_t r = 0; r < 3; ++r)
        for (std::int64_t k = 0; k < 3; ++k) {
            const std::int64_t column = x * d.stride + k - 1;
            if (!d.rows[r] || column < 0 || column >= d.width) continue;
            const float value = d.rows[r][channel * d.input_stride + column * lanes + lane];
            sum += static_cast<double>(d.weights[channel * 9 + r * 3 + k]) *
                   static_cast<double>(value);
        }
    return std::clamp(sum, static_cast<double>(d.low), static_cast<double>(d.high));
}

/// The largest difference of a row from depthwise_value.
double largest_error(const LaneKernels::DepthwiseRow& d, std::int64_t lanes) {
    constexpr std::int64_t group = LaneKernels::group_pixels;
    double worst = 0.0;
    for (std::int64_t c = 0; c < d.channels; ++c)
        for (std::int64_t x = 0; x < d.output_width; ++x)
            for (std::int64_t lane = 0; lane < lanes; ++lane) {
                const float value = d.output[x / group * d.group_stride + c * d.output_stride +
                                             x % group * lanes + lane];
                worst = std::max(worst, std::abs(static_cast<double>(value) -
                                                 depthwise_value(d, lanes, c, x, lane)));
            }
    return worst;
}

} // namespace

TEST_CASE("the kernels of every processor compute random networks as plain loops do", "[engine]") {
    for (const LaneKernels* kernels : every_kernels())
        for (std::uint32_t seed = 0; seed < 120; ++seed) {
            CAPTURE(kernels->lanes, seed);
            const network::Network network = network::testing::random_network(seed);
            const network::Weights weights = network::testing::random_weights(network, seed);
            // One image more than a block has lanes.
            const auto images =
                random_images(network::infer_shapes(network)[0], kernels->lanes + 1, seed);
            Engine engine(network, weights, kernels->lanes + 1, NormMode::running, *kernels);
            CHECK(largest_error(run(engine, network, images), network, weights, images) < 2e-4);
        }
}

TEST_CASE("sums and products of several operands may name one of them more than once", "[engine]") {
    for (const network::Operator op : {network::Operator::add, network::Operator::multiply})
        for (const std::vector<std::size_t>& operands :
             {std::vector<std::size_t>{1, 2, 1}, {1, 1, 2}, {2, 1, 1}, {1, 1, 1}, {1, 2, 2, 1}}) {
            network::Node relu;
            relu.op = network::Operator::relu;
            network::Network network = network_of(relu, {2, {3, 5}});
            network::Node tanh;
            tanh.name = "tanh";
            tanh.op = network::Operator::tanh;
            tanh.inputs = {0};
            network.nodes.push_back(tanh);
            network::Node combination;
            combination.name = "combination";
            combination.op = op;
            combination.inputs = operands;
            network.nodes.push_back(combination);
            CAPTURE(operands);
            for (const LaneKernels* kernels : every_kernels()) {
                const auto images = random_images(network::infer_shapes(network)[0], 3, 1);
                Engine engine(network, {}, 3, NormMode::running, *kernels);
                CHECK(largest_error(run(engine, network, images), network, {}, images) < 1e-5);
            }
        }
}

TEST_CASE("rows of depthwise convolutions are those of plain loops", "[engine]") {
    constexpr std::int64_t channels = 3;
    core::RandomStream random(4, core::StreamId::testing, 6);
    const auto fill = [&random](float* values, std::int64_t count) {
        for (std::int64_t i = 0; i < count; ++i)
            values[i] = static_cast<float>(random.normal());
    };
    for (const LaneKernels* kernels : every_kernels())
        for (const std::int64_t stride : {1, 2})
            for (std::int64_t width = 1; width <= 10; ++width) {
                CAPTURE(kernels->lanes, stride, width);
                const std::int64_t lanes = kernels->lanes;
                const std::int64_t output_width = (width - 1) / stride + 1;
                const LaneBuffer input = make_buffer(3 * channels * width * lanes);
                const LaneBuffer output = make_buffer(channels * (output_width + 3) * lanes);
                std::vector<float> weights(channels * 9);
                std::vector<float> bias(channels);
                fill(input.get(), 3 * channels * width * lanes);
                fill(weights.data(), channels * 9);
                fill(bias.data(), channels);
                LaneKernels::DepthwiseRow row{.rows = {},
                                              .input_stride = width * lanes,
                                              .width = width,
                                              .stride = stride,
                                              .weights = weights.data(),
                                              .bias = bias.data(),
                                              .channels = channels,
                                              .output = output.get(),
                                              .output_width = output_width,
                                              .output_stride = LaneKernels::group_pixels * lanes,
                                              .group_stride =
                                                  channels * LaneKernels::group_pixels * lanes,
                                              .low = -1.0F,
                                              .high = 2.0F};
                for (const std::int64_t first : {0, 1}) { // with and without a row of padding
                    for (std::int64_t r = first; r < 3; ++r)
                        row.rows[r] = input.get() + r * channels * width * lanes;
                    if (first > 0) row.rows[0] = nullptr;
                    kernels->depthwise_row(row);
                    CHECK(largest_error(row, lanes) < 1e-5);
                }
            }
}

TEST_CASE("numbers are rounded to the nearest bfloat16, to the even one of two", "[engine]") {
    core::RandomStream random(9, core::StreamId::testing, 6);
    for (int draw = 0; draw < 100'000; ++draw) {
        const auto lower = static_cast<std::uint32_t>(random.below(0x7F7F)); // finite
        const float below = std::bit_cast<float>(lower << 16);
        const float above = std::bit_cast<float>((lower + 1) << 16);
        const float between =
            std::bit_cast<float>(lower << 16 | static_cast<std::uint32_t>(random.below(0x10000)));
        const bool up = between - below > above - between ||
                        (between - below == above - between && lower % 2 == 1);
        REQUIRE(bfloat16_of(between) == lower + (up ? 1 : 0));
        REQUIRE(bfloat16_of(-between) == (0x8000 | (lower + (up ? 1 : 0))));
    }
    CHECK(bfloat16_of(1.0F + 0x1p-8F) == bfloat16_of(1.0F));
    CHECK(bfloat16_of(1.0F + 3 * 0x1p-8F) == bfloat16_of(1.0F + 0x1p-6F));
    CHECK(rounded_to_bfloat16(std::numeric_limits<float>::max()) ==
          std::numeric_limits<float>::infinity());
    CHECK(std::isnan(rounded_to_bfloat16(std::numeric_limits<float>::quiet_NaN())));
    CHECK(std::isnan(rounded_to_bfloat16(std::bit_cast<float>(0x7F800001U))));
}

TEST_CASE("with bfloat16 a layer is that of plain loops on rounded weights and images",
          "[engine]") {
    const LaneKernels* const kernels = bfloat16_lane_kernels();
    if (!kernels) {
        WARN("skipped: this processor has no AVX512-BF16");
        return;
    }
    std::uint32_t seed = 0;
    for (const network::Network& network : networks_of_one_layer()) {
        CAPTURE(seed, network.nodes[0].output_channels);
        const network::Weights weights = network::testing::random_weights(network, ++seed);
        auto images = random_images(network::infer_shapes(network)[0], 17, seed);
        Engine engine(network, weights, 17, NormMode::running, *kernels);
        const std::vector<float> values = run(engine, network, images);
        CHECK(largest_error(values, network, weights, images) > 1e-4); // as nothing was rounded
        network::Weights rounded = weights;
        for (float& weight : rounded.at("layer.weight").values)
            weight = rounded_to_bfloat16(weight);
        for (FeatureMap& image : images)
            for (double& value : image)
                value = static_cast<double>(rounded_to_bfloat16(static_cast<float>(value)));
        CHECK(largest_error(values, network, rounded, images) < 1e-5);
    }
}

TEST_CASE("with bfloat16 whole networks stay near those with floats", "[engine]") {
    const LaneKernels* const kernels = bfloat16_lane_kernels();
    if (!kernels) {
        WARN("skipped: this processor has no AVX512-BF16");
        return;
    }
    for (std::uint32_t seed = 0; seed < 120; ++seed) {
        CAPTURE(seed);
        const network::Network network = network::testing::random_network(seed);
        const network::Weights weights = network::testing::random_weights(network, seed);
        const auto images = random_images(network::infer_shapes(network)[0], 17, seed);
        Engine engine(network, weights, 17, NormMode::running, *kernels);
        CHECK(largest_error(run(engine, network, images), network, weights, images) < 0.1);
    }
}

TEST_CASE("layers that run row by row give the bits that they give one after the other",
          "[engine]") {
    for (const char* name : {"mobilenet_v1", "mobilenet_v2"})
        for (const std::int64_t size : {33, 50}) {
            const network::Network network = network::make_network(
                {.name = name, .width = 0.25, .classes = 10, .input_extent = {size, size + 3}});
            const network::Weights weights = network::testing::random_weights(network, 7);
            const network::PrunedNetwork folded = network::fold_batch_norms(network, weights);
            const ExecutionPlan plan = plan_execution(folded.network);
            const auto longest = std::max_element(
                plan.steps.begin(), plan.steps.end(),
                [](const Step& a, const Step& b) { return a.before.size() < b.before.size(); });
            CHECK(longest->before.size() >= 2);
            // A depthwise convolution's tensor that the caller sees must be there as a whole.
            network::Network open = folded.network;
            open.outputs = {open.nodes.size() - 1};
            for (std::size_t i = 0; i < open.nodes.size(); ++i)
                if (open.nodes[i].groups > 1) open.outputs.push_back(i);
            for (const LaneKernels* kernels : every_kernels_and_bfloat16()) {
                CAPTURE(name, size, kernels->lanes, kernels->packed_channels);
                const auto images =
                    random_images(network::infer_shapes(network)[0], kernels->lanes + 1, 8);
                Engine rows(folded.network, folded.weights, kernels->lanes + 1, NormMode::running,
                            *kernels);
                Engine whole(open, folded.weights, kernels->lanes + 1, NormMode::running, *kernels);
                CHECK(run(rows, folded.network, images) == run(whole, open, images));
            }
        }
}

TEST_CASE("an image's result has the same bits whatever the batch and the images beside it",
          "[engine]") {
    const network::Network network = network::make_network(
        {.name = "resnet20", .width = 0.5, .classes = 10, .input_extent = {16, 16}});
    const network::Weights weights = network::testing::random_weights(network, 2);
    const auto images = random_images(network::infer_shapes(network)[0], 40, 3);
    for (const LaneKernels* kernels : every_kernels_and_bfloat16()) {
        CAPTURE(kernels->lanes, kernels->packed_channels);
        Engine whole(network, weights, 40, NormMode::running, *kernels);
        const std::vector<float> expected = run(whole, network, images);
        for (const std::int64_t batch : {1, 3, 17}) {
            Engine engine(network, weights, batch, NormMode::running, *kernels);
            const std::vector<float> values =
                run(engine, network, {images.end() - batch, images.end()});
            CHECK(std::equal(values.begin(), values.end(),
                             expected.end() - static_cast<std::ptrdiff_t>(values.size())));
        }
    }
}

TEST_CASE("statistics are those of the batch's images alone, far from zero, too", "[engine]") {
    network::Network network{"norm", {5, 3}, {}, {}};
    network.nodes.resize(2);
    network.nodes[0].name = "input";
    network.nodes[0].output_channels = 4;
    network.nodes[1].name = "norm";
    network.nodes[1].op = network::Operator::batch_norm;
    network.nodes[1].inputs = {0};
    const network::Weights weights = network::testing::random_weights(network, 1);
    constexpr std::size_t count = 21; // the last block is not full: its idle lanes must not count
    constexpr std::size_t pixels = 15;
    auto images = random_images(network::infer_shapes(network)[0], count, 5);
    for (FeatureMap& image : images)
        for (double& value : image)
            value = static_cast<double>(static_cast<float>(value + 100.0));
    for (const LaneKernels* kernels : every_kernels()) {
        CAPTURE(kernels->lanes);
        Engine engine(network, weights, count, NormMode::batch, *kernels);
        (void)run(engine, network, images);
        const BatchStatistics& found = engine.statistics("norm");
        for (std::size_t c = 0; c < 4; ++c) {
            double mean = 0.0;
            double variance = 0.0;
            for (const FeatureMap& image : images)
                for (std::size_t p = 0; p < pixels; ++p)
                    mean += image[c * pixels + p] / (count * pixels);
            for (const FeatureMap& image : images)
                for (std::size_t p = 0; p < pixels; ++p)
                    variance += std::pow(image[c * pixels + p] - mean, 2) / (count * pixels);
            CHECK(found.mean[c] == Approx(mean).epsilon(1e-7));
            CHECK(found.variance[c] == Approx(variance).epsilon(1e-4));
        }
    }
}
