#include "accuracy/engine.hpp"

#include "accuracy/lane_kernels.hpp"
#include "hdap/core/random.hpp"
#include "hdap/network/zoo.hpp"
#include "network/random_network.hpp"
#include "network/reference_forward.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

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

TEST_CASE("an image's result has the same bits whatever the batch and the images beside it",
          "[engine]") {
    const network::Network network = network::make_network(
        {.name = "resnet20", .width = 0.5, .classes = 10, .input_extent = {16, 16}});
    const network::Weights weights = network::testing::random_weights(network, 2);
    const auto images = random_images(network::infer_shapes(network)[0], 40, 3);
    for (const LaneKernels* kernels : every_kernels()) {
        CAPTURE(kernels->lanes);
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
