#include "accuracy/training/training_batches.hpp"

#include "accuracy/images/synthetic_images.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <set>

using namespace hdap::accuracy;

namespace {

constexpr std::int64_t size = 12; // of an image, height and width

ImageData small_images() {
    return testing::synthetic_images(
        {.count = 40, .channels = 2, .height = size, .width = size, .seed = 1});
}

/// How an image was varied.
struct Variation {
    bool flip;
    std::int64_t shift_y;
    std::int64_t shift_x;
    auto operator<=>(const Variation&) const = default;
};

/// Image `index` varied: flipped or not, then cut from a black frame, shifted; normalised.
std::vector<float> varied(const ImageData& images, std::int64_t index, const Variation& variation) {
    std::vector<float> result;
    for (std::int64_t y = 0; y < size; ++y)
        for (std::int64_t x = 0; x < size; ++x)
            for (std::int64_t c = 0; c < images.channels; ++c) {
                const std::int64_t row = y + variation.shift_y;
                const std::int64_t crop = x + variation.shift_x;
                const std::int64_t column = variation.flip ? size - 1 - crop : crop;
                const bool inside = row >= 0 && row < size && column >= 0 && column < size;
                const std::int64_t pixel =
                    ((index * images.channels + c) * size + row) * size + column;
                const double value =
                    inside ? images.pixels[static_cast<std::size_t>(pixel)] / 255.0 : 0.0;
                const auto channel = static_cast<std::size_t>(c);
                result.push_back(
                    static_cast<float>((value - images.mean[channel]) / images.deviation[channel]));
            }
    return result;
}

/// The image and the variation that `pixels` show, within a padding.
std::pair<std::int64_t, Variation>
recognised(const ImageData& images, const std::vector<float>& pixels, std::int64_t padding) {
    for (std::int64_t image = 0; image < images.count; ++image)
        for (const bool flip : {false, true})
            for (std::int64_t y = -padding; y <= padding; ++y)
                for (std::int64_t x = -padding; x <= padding; ++x)
                    if (varied(images, image, {flip, y, x}) == pixels) return {image, {flip, y, x}};
    FAIL("no variation of an image");
    return {};
}

/// All images of an epoch.
std::vector<std::pair<std::int64_t, Variation>> epoch_of(const ImageData& images,
                                                         const TrainingParameters& parameters,
                                                         std::int64_t epoch, std::int64_t padding) {
    TrainingBatches batches(images, parameters);
    std::vector<std::pair<std::int64_t, Variation>> result;
    const auto values = static_cast<std::size_t>(images.channels * size * size);
    for (std::int64_t b = 0; b < batches.per_epoch(); ++b) {
        batches.begin(epoch * batches.per_epoch() + b);
        for (std::int64_t i = 0; i < batches.images_per_batch(); ++i) {
            std::vector<float> pixels(values);
            std::int64_t label = -1;
            batches.write(i, 1, pixels.data(), &label);
            result.push_back(recognised(images, pixels, padding));
            CHECK(label == images.labels[static_cast<std::size_t>(result.back().first)]);
        }
    }
    return result;
}

} // namespace

TEST_CASE("training images are flips and padded crops, others in every epoch", "[training]") {
    const ImageData images = small_images();
    const TrainingParameters parameters{.batch = 10, .crop_padding = 0.25};
    const auto first = epoch_of(images, parameters, 0, 3);
    const auto second = epoch_of(images, parameters, 1, 3);
    CHECK(first == epoch_of(images, parameters, 0, 3));
    CHECK(first != second);
    std::set<std::int64_t> visited;
    std::set<std::int64_t> rows;
    std::set<std::int64_t> columns;
    std::ptrdiff_t flips = 0;
    for (const auto& epoch : {first, second})
        for (const auto& [image, variation] : epoch) {
            visited.insert(image);
            rows.insert(variation.shift_y);
            columns.insert(variation.shift_x);
            flips += variation.flip;
        }
    CHECK(visited.size() == 40);
    const std::set<std::int64_t> every_shift{-3, -2, -1, 0, 1, 2, 3};
    CHECK(rows == every_shift);
    CHECK(columns == every_shift);
    CHECK(flips > 20);
    CHECK(flips < 60);
}

TEST_CASE("without variation the images are as they are, and without padding only flipped",
          "[training]") {
    const ImageData images = small_images();
    for (const auto& [image, variation] : epoch_of(images, {.batch = 10, .augment = false}, 0, 3))
        CHECK(variation == Variation{});
    bool flipped = false;
    for (const auto& [image, variation] :
         epoch_of(images, {.batch = 10, .crop_padding = 0.0}, 0, 3)) {
        CHECK(variation.shift_x == 0);
        CHECK(variation.shift_y == 0);
        flipped = flipped || variation.flip;
    }
    CHECK(flipped);
}
