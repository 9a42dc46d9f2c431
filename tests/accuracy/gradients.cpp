#include "hdap/accuracy/gradients.hpp"

#include "accuracy/images/synthetic_images.hpp"
#include "accuracy/reference_batch.hpp"
#include "hdap/accuracy/inference.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "network/random_network.hpp"

#include <catch2/catch.hpp>

#include <cmath>

using namespace hdap;
using namespace hdap::accuracy;
using namespace hdap::accuracy::testing;

namespace {

/// The mean cross-entropy over the images, in double precision and from plain loops.
double reference_loss(const network::Network& network, const network::Weights& weights,
                      const ImageData& images) {
    double loss = 0.0;
    for (std::int64_t i = 0; i < images.count; ++i) {
        const auto logits =
            network::testing::reference_forward(network, weights, reference_image(images, i));
        double sum = 0.0;
        for (const double value : logits)
            sum += std::exp(value - logits[0]);
        const auto label = static_cast<std::size_t>(images.labels[static_cast<std::size_t>(i)]);
        loss += std::log(sum) - (logits[label] - logits[0]);
    }
    return loss / static_cast<double>(images.count);
}

} // namespace

TEST_CASE("gradients need images that fit and a batch in its range", "[gradients]") {
    const network::Network network = network::testing::random_network(0);
    const network::Weights weights = network::testing::random_weights(network, 0);
    CHECK_THROWS_AS(loss_gradients(network, weights, synthetic_images({}), {.batch = 0}),
                    core::ConfigError);
    CHECK_THROWS_AS(
        loss_gradients(network, weights,
                       synthetic_images({.count = 2, .channels = 3, .height = 50, .width = 50}),
                       {}),
        core::DataError);
}

TEST_CASE("gradients are the slopes of the plain loss, whatever the batch", "[gradients]") {
    int checked = 0;
    int wrong = 0;
    for (std::uint32_t seed = 0; seed < 40; ++seed) {
        CAPTURE(seed);
        network::Network network = network::testing::random_network(seed);
        if (!network.outputs.empty()) continue;
        const network::Weights weights = network::testing::random_weights(network, seed);
        const ImageData images = synthetic_images({.count = 5,
                                                   .channels = network.nodes[0].output_channels,
                                                   .height = network.input_extent.height,
                                                   .width = network.input_extent.width,
                                                   .classes = 3,
                                                   .seed = seed});
        const network::Weights gradients = loss_gradients(network, weights, images, {.batch = 2});
        // A softmax at the end is not what the loss takes.
        if (network.nodes.back().op == network::Operator::softmax) network.nodes.pop_back();
        core::RandomStream random(seed, core::StreamId::testing, 5);
        for (const auto& [name, tensor] : weights) {
            if (name.find(".running_") != std::string::npos) continue;
            const std::size_t i = random.below(tensor.values.size());
            const auto loss_at = [&](float value) {
                network::Weights moved = weights;
                moved.at(name).values[i] = value;
                return reference_loss(network, moved, images);
            };
            const float above = tensor.values[i] + 1e-4F;
            const float below = tensor.values[i] - 1e-4F;
            const double expected =
                (loss_at(above) - loss_at(below)) / static_cast<double>(above - below);
            const auto gradient = static_cast<double>(gradients.at(name).values[i]);
            ++checked;
            wrong += std::abs(gradient - expected) > 2e-3 + 0.02 * std::abs(expected) ? 1 : 0;
        }
    }
    CHECK(checked > 150);
    // A kink of an activation may lie between the two points of a difference.
    CHECK(wrong <= checked / 20);
}
