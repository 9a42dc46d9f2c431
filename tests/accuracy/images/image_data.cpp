#include "hdap/accuracy/image_data.hpp"

#include "accuracy/images/synthetic_images.hpp"
#include "hdap/core/error.hpp"
#include "hdap/storage/schema.hpp"

#include <catch2/catch.hpp>

#include <functional>
#include <limits>
#include <vector>

using namespace hdap;
using namespace hdap::accuracy;
using namespace hdap::accuracy::testing;
using Catch::Matchers::Contains;

namespace {

/// A packed file with `images` as its train split.
storage::Hdf5Reader packed(const ImageData& images, const std::string& schema = images_schema) {
    storage::Hdf5Writer file;
    storage::write_identity(file, {.schema = schema, .config_sha256 = {}, .input_sha256 = {}});
    file.attribute("/", "classes", images.classes);
    file.write("/mean", images.mean);
    file.write("/deviation", images.deviation);
    const auto size = [](std::int64_t value) { return static_cast<std::size_t>(value); };
    file.write(
        "/train/images", images.pixels,
        {size(images.count), size(images.channels), size(images.height), size(images.width)});
    file.write("/train/labels", images.labels);
    return storage::Hdf5Reader::from_bytes(file.finish(), "packed.h5");
}

std::string message_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const core::DataError& error) {
        return error.what();
    }
    return "no DataError";
}

} // namespace

TEST_CASE("images that do not fit together are refused with the offending value", "[image_data]") {
    const auto message = [](const std::function<void(ImageData&)>& spoil) {
        ImageData images = synthetic_images({.count = 3, .channels = 2, .classes = 4});
        spoil(images);
        return message_of([&] { check_images(images, "those"); });
    };
    CHECK(message([](ImageData&) {}) == "no DataError");
    CHECK_THAT(message([](ImageData& i) { i.count = 0; }), Contains("those: the number of images"));
    CHECK_THAT(message([](ImageData& i) { i.count = 4; }), Contains("pixels, expected 512"));
    CHECK_THAT(message([](ImageData& i) { i.height = -8; }), Contains("height is -8"));
    CHECK_THAT(message([](ImageData& i) { i.width = std::int64_t{1} << 62; }), Contains("width"));
    CHECK_THAT(message([](ImageData& i) { i.classes = 1; }), Contains("classes is 1"));
    CHECK_THAT(message([](ImageData& i) { i.labels.pop_back(); }), Contains("2 labels"));
    CHECK_THAT(message([](ImageData& i) { i.labels[1] = 4; }),
               Contains("label of image 1 is 4, must be in [0, 3]"));
    CHECK_THAT(message([](ImageData& i) { i.labels[2] = -1; }), Contains("is -1"));
    CHECK_THAT(message([](ImageData& i) { i.mean.pop_back(); }), Contains("1 means, expected 2"));
    CHECK_THAT(message([](ImageData& i) { i.mean[1] = NAN; }), Contains("channel 1 is nan"));
    CHECK_THAT(message([](ImageData& i) { i.deviation[0] = 0.0; }), Contains("channel 0 is 0"));
    CHECK_THAT(message([](ImageData& i) { i.deviation[0] = INFINITY; }), Contains("is inf"));
}

TEST_CASE("slice refuses what is not there and takes what is", "[image_data]") {
    const ImageData images = synthetic_images({.count = 5, .channels = 2, .height = 3});
    CHECK_THROWS_AS(slice(images, -1, 2), core::DataError);
    CHECK_THROWS_AS(slice(images, 0, 0), core::DataError);
    CHECK_THROWS_AS(slice(images, 3, 3), core::DataError);
    CHECK_THROWS_AS(slice(images, 6, 1), core::DataError);
    CHECK_THROWS_AS(slice(images, 1, std::numeric_limits<std::int64_t>::max()), core::DataError);

    const ImageData part = slice(images, 3, 2);
    check_images(part, "part");
    CHECK(part.count == 2);
    CHECK(part.labels == std::vector<std::int32_t>{images.labels[3], images.labels[4]});
    const std::vector<std::uint8_t> pixels(images.pixels.end() - 2 * 2 * 3 * 8,
                                           images.pixels.end());
    CHECK(part.pixels == pixels);
}

TEST_CASE("packed images are read back", "[image_data]") {
    const ImageData images = synthetic_images({.count = 7, .channels = 3, .height = 4});
    const ImageData read = read_images(packed(images), "train");
    CHECK(read.count == 7);
    CHECK(read.channels == 3);
    CHECK(read.height == 4);
    CHECK(read.width == 8);
    CHECK(read.classes == 2);
    CHECK(read.pixels == images.pixels);
    CHECK(read.labels == images.labels);
    CHECK(read.mean == images.mean);
    CHECK(read.deviation == images.deviation);
}

TEST_CASE("a part of the images is read alone, with its labels", "[image_data]") {
    const ImageData images = synthetic_images({.count = 7, .channels = 3, .height = 4});
    const auto file = packed(images);
    CHECK(count_images(file, "train") == 7);
    for (const auto& [first, count] :
         {std::pair<std::int64_t, std::int64_t>{0, 7}, {2, 3}, {6, 1}}) {
        CAPTURE(first, count);
        const ImageData part = read_images(file, "train", first, count);
        const ImageData expected = slice(images, first, count);
        CHECK(part.count == count);
        CHECK(part.height == 4);
        CHECK(part.pixels == expected.pixels);
        CHECK(part.labels == expected.labels);
        CHECK(part.mean == expected.mean);
    }
    for (const auto& [first, count] :
         {std::pair<std::int64_t, std::int64_t>{0, 8}, {7, 1}, {-1, 2}, {3, 0}, {3, -1}})
        CHECK_THAT(message_of([&] { (void)read_images(file, "train", first, count); }),
                   Contains("there are 7"));
    CHECK_THAT(message_of([&] { (void)count_images(file, "test"); }), Contains("/test/images"));
}

TEST_CASE("a summary counts images of each split and class, and has the names", "[image_data]") {
    const auto summary_of = [](const ImageData& train, const ImageData& test,
                               const std::vector<std::string>& names) {
        storage::Hdf5Writer file;
        storage::write_identity(file,
                                {.schema = images_schema, .config_sha256 = {}, .input_sha256 = {}});
        file.attribute("/", "classes", train.classes);
        file.write("/mean", train.mean);
        file.write("/deviation", train.deviation);
        const auto size = [](std::int64_t value) { return static_cast<std::size_t>(value); };
        for (const auto& [split, images] :
             {std::pair("/train", &train), std::pair("/test", &test)}) {
            file.write(std::string(split) + "/images", images->pixels,
                       {size(images->count), size(images->channels), size(images->height),
                        size(images->width)});
            file.write(std::string(split) + "/labels", images->labels);
        }
        if (!names.empty()) file.write_strings("/class_names", names);
        return summarise_images(storage::Hdf5Reader::from_bytes(file.finish(), "packed.h5"));
    };
    ImageData train = synthetic_images({.count = 6, .channels = 2, .height = 4, .classes = 3});
    train.labels = {0, 2, 2, 0, 2, 0};
    ImageData test = synthetic_images({.count = 2, .channels = 2, .height = 4, .classes = 3});
    test.labels = {1, 1};
    const ImageSummary summary = summary_of(train, test, {"a", "b", "c"});
    CHECK(summary.channels == 2);
    CHECK(summary.height == 4);
    CHECK(summary.width == 8);
    CHECK(summary.classes == 3);
    CHECK(summary.class_names == std::vector<std::string>{"a", "b", "c"});
    CHECK(summary.mean == train.mean);
    CHECK(summary.deviation == train.deviation);
    REQUIRE(summary.splits.size() == 2);
    CHECK(summary.splits[0].name == "train");
    CHECK(summary.splits[0].count == 6);
    CHECK(summary.splits[0].per_class == std::vector<std::int64_t>{3, 0, 3});
    CHECK(summary.splits[1].name == "test");
    CHECK(summary.splits[1].per_class == std::vector<std::int64_t>{0, 2, 0});
    CHECK(summary_of(train, test, {}).class_names.empty());

    CHECK_THAT(message_of([&] {
                   (void)summary_of(train, test, {"a", "b"});
               }),
               Contains("packed.h5: '/class_names' must be a list of 3 names"));
    const ImageData wide = synthetic_images({.count = 2, .channels = 2, .height = 8, .classes = 3});
    CHECK_THAT(message_of([&] { (void)summary_of(train, wide, {}); }),
               Contains("the images of train and test differ in size"));
    test.labels[0] = 3;
    CHECK_THAT(message_of([&] { (void)summary_of(train, test, {}); }),
               Contains("'/test'") && Contains("label of image 0 is 3"));
}

TEST_CASE("hostile packed files are refused", "[image_data]") {
    const ImageData good = synthetic_images({.count = 3});
    CHECK_THAT(message_of([&] { (void)read_images(packed(good), "test"); }),
               Contains("/test/images"));
    CHECK_THAT(message_of([&] { (void)read_images(packed(good, "hdap-fleet/1"), "train"); }),
               Contains("hdap-fleet/1"));

    ImageData bad = good;
    bad.labels[1] = 2;
    CHECK_THAT(message_of([&] { (void)read_images(packed(bad), "train"); }),
               Contains("packed.h5, '/train'") && Contains("label of image 1 is 2"));
    bad = good;
    bad.labels.push_back(0);
    CHECK_THROWS_AS(read_images(packed(bad), "train"), core::DataError);
    bad = good;
    bad.deviation[0] = -1.0;
    CHECK_THROWS_AS(read_images(packed(bad), "train"), core::DataError);
    bad = good;
    bad.mean.push_back(0.0);
    CHECK_THROWS_AS(read_images(packed(bad), "train"), core::DataError);
}

TEST_CASE("packed images of a wrong type or rank are refused", "[image_data]") {
    const auto read = [](const std::function<void(storage::Hdf5Writer&)>& write) {
        storage::Hdf5Writer file;
        storage::write_identity(file,
                                {.schema = images_schema, .config_sha256 = {}, .input_sha256 = {}});
        file.attribute("/", "classes", std::int64_t{2});
        write(file);
        const auto reader = storage::Hdf5Reader::from_bytes(file.finish(), "packed.h5");
        return message_of([&] { (void)read_images(reader, "train"); });
    };
    CHECK_THAT(read([](auto& file) {
                   file.write("/train/images", std::vector<float>(16), {1, 1, 4, 4});
               }),
               Contains("holds float32, expected uint8"));
    CHECK_THAT(read([](auto& file) {
                   file.write("/train/images", std::vector<std::uint8_t>(16), {1, 16});
               }),
               Contains("2 dimensions, expected 4"));
    CHECK_THAT(read([](auto& file) {
                   file.write("/train/images", std::vector<std::uint8_t>(16), {1, 1, 4, 4});
               }),
               Contains("no data set '/train/labels'"));
    CHECK_THAT(read([](auto&) {}), Contains("no data set '/train/images'"));
}
