#include "hdap/accuracy/input_check.hpp"

#include "accuracy/images/synthetic_images.hpp"
#include "hdap/network/weights.hpp"
#include "hdap/network/zoo.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <optional>

using namespace hdap;
using namespace hdap::accuracy;
using Catch::Contains;

namespace {

InputCheck check_of(std::int64_t images, std::int64_t own, std::optional<std::int64_t> recalibrated,
                    double chance = 0.1) {
    return {images, own, recalibrated, chance};
}

} // namespace

TEST_CASE("accuracies are far apart when chance and few images for statistics do not explain it",
          "[input_check]") {
    CHECK(is_far_apart(check_of(500, 50, 395)));
    CHECK(is_far_apart(check_of(500, 395, 50)));
    CHECK(is_far_apart(check_of(60, 6, 50)));
    CHECK_FALSE(is_far_apart(check_of(10, 2, 8))); // might be luck
    CHECK_FALSE(is_far_apart(check_of(500, 455, 430)));
    CHECK_FALSE(is_far_apart(check_of(100'000, 91'000, 88'000))); // significant, but usual
    CHECK_FALSE(is_far_apart(check_of(500, 50, std::nullopt)));   // no batch norms
}

TEST_CASE("an accuracy is at chance when it may well be guessed and is far from useful",
          "[input_check]") {
    CHECK(is_at_chance(check_of(500, 55, 45)));
    CHECK(is_at_chance(check_of(500, 55, std::nullopt)));
    CHECK(is_at_chance(check_of(500, 2, 1, 0.004))); // of a thousand classes
    CHECK(is_at_chance(check_of(500, 265, 240, 0.52)));
    CHECK_FALSE(is_at_chance(check_of(500, 55, 395)));
    CHECK_FALSE(is_at_chance(check_of(500, 110, 100)));
    CHECK_FALSE(is_at_chance(check_of(10, 4, 4))); // too few to say
    CHECK_FALSE(is_at_chance(check_of(500, 475, 475, 0.9)));
}

TEST_CASE("doubts name figures, causes and settings, and there are none without reason",
          "[input_check]") {
    const ImageData images = testing::synthetic_images({.classes = 10});
    CHECK_THAT(doubts(check_of(500, 50, 395), images),
               Contains("10.0 % of 500 images") && Contains("79.0 %") && Contains("data.scale") &&
                   Contains("--channels") && Contains("(pixel / 255 - [0.3000]) / [0.2500]"));
    CHECK_THAT(doubts(check_of(500, 395, 50), images), Contains("data.recalibration_images"));
    CHECK_THAT(doubts(check_of(500, 50, 55), images),
               Contains("chance (10.0 %)") && Contains("classes in another order") &&
                   Contains("network.weights") && Contains("data.mean"));
    CHECK(doubts(check_of(500, 455, 430), images).empty());
}

TEST_CASE("the check counts what measure counts on evenly spread images", "[input_check]") {
    const auto network = network::make_network({.name = "mobilenet_v1",
                                                .width = 0.25,
                                                .classes = 3,
                                                .input_channels = 1,
                                                .input_extent = {8, 8}});
    const auto weights = network::initial_weights(network, 1);
    ImageData images = testing::synthetic_images({.count = 2 * max_checked_images, .classes = 3});
    ImageData spread = slice(images, 0, max_checked_images);
    for (std::int64_t i = 0; i < max_checked_images; ++i) {
        const ImageData one = slice(images, 2 * i, 1);
        std::copy(one.pixels.begin(), one.pixels.end(), spread.pixels.begin() + 64 * i);
        spread.labels[static_cast<std::size_t>(i)] = one.labels[0];
    }
    const InputCheck check = check_input(network, weights, images, images, {}, 2);
    const auto right = [&](const network::Weights& of) {
        return std::llround(measure(network, of, spread, {}).top1 *
                            static_cast<double>(max_checked_images));
    };
    CHECK(check.images == max_checked_images);
    CHECK(check.right_own == right(weights));
    CHECK(check.right_recalibrated ==
          right(recalibrate_batch_norm(network, weights, slice(images, 0, max_checked_statistics),
                                       {})));
    CHECK(check.chance > 0.3);
    CHECK(check.chance < 0.45);
}

TEST_CASE("guessing is as good as the commonest class, but for images of one class",
          "[input_check]") {
    network::Network network;
    network.name = "head";
    network.input_extent = {8, 8};
    network.nodes.resize(3);
    network.nodes[0].name = "input";
    network.nodes[0].output_channels = 1;
    network.nodes[1].name = "pool";
    network.nodes[1].op = network::Operator::global_average_pool;
    network.nodes[1].inputs = {0};
    network.nodes[2].name = "fc";
    network.nodes[2].op = network::Operator::linear;
    network.nodes[2].inputs = {1};
    network.nodes[2].output_channels = 4;
    network.nodes[2].bias = true;
    const auto weights = network::initial_weights(network, 1);
    ImageData images = testing::synthetic_images({.count = 40, .classes = 4});
    for (std::size_t i = 0; i < 40; ++i)
        images.labels[i] = i < 30 ? 2 : 1;
    const InputCheck check = check_input(network, weights, images, images, {}, 1);
    CHECK(check.chance == 0.75);
    CHECK_FALSE(check.right_recalibrated);
    CHECK(check_input(network, weights, slice(images, 0, 20), images, {}, 1).chance == 0.25);
}
