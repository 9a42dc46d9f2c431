#include "hdap/accuracy/cifar10.hpp"

#include "accuracy/images/image_samples.hpp"
#include "hdap/accuracy/image_data.hpp"
#include "hdap/core/error.hpp"
#include "hdap/storage/schema.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>

using namespace hdap;
using namespace hdap::accuracy;
using namespace hdap::accuracy::testing;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t plane = 32 * 32;
const std::array<std::string, 6> names{"data_batch_1", "data_batch_2", "data_batch_3",
                                       "data_batch_4", "data_batch_5", "test_batch"};
constexpr std::array<std::size_t, 6> counts{3, 2, 4, 1, 2, 5};

/// A tiny CIFAR-10 of 12 training and 5 test images, in both versions.
class TinyCifar {
  public:
    TinyCifar() {
        for (std::size_t b = 0; b < names.size(); ++b) {
            auto& [pixels, labels] = batches_[b];
            pixels =
                noise(std::int64_t(3 * plane), std::int64_t(counts[b]), 1, std::uint32_t(b + 1))
                    .pixels;
            for (std::size_t i = 0; i < counts[b]; ++i)
                labels.push_back(std::uint8_t((7 * i + 3 * b) % 10));
        }
    }

    [[nodiscard]] Bytes records(std::size_t batch) const {
        const auto& [pixels, labels] = batches_[batch];
        Bytes bytes;
        for (std::size_t i = 0; i < labels.size(); ++i) {
            bytes.push_back(labels[i]);
            const auto first = pixels.begin() + std::ptrdiff_t(i * 3 * plane);
            bytes.insert(bytes.end(), first, first + 3 * plane);
        }
        return bytes;
    }

    [[nodiscard]] DecodedImage rows(std::size_t batch) const {
        const auto& [pixels, labels] = batches_[batch];
        DecodedImage image{
            .height = std::int64_t(labels.size()), .width = plane, .channels = 3, .pixels = {}};
        for (std::size_t i = 0; i < labels.size(); ++i)
            for (std::size_t p = 0; p < plane; ++p)
                for (std::size_t c = 0; c < 3; ++c)
                    image.pixels.push_back(pixels[(i * 3 + c) * plane + p]);
        return image;
    }

    [[nodiscard]] std::string labels(std::size_t first, std::size_t last) const {
        std::string text;
        for (std::size_t b = first; b < last; ++b)
            for (const std::uint8_t label : batches_[b].second)
                text += (text.empty() ? "[" : ",") + std::to_string(label);
        return text + "]";
    }

    void write_binary(const fs::path& folder) const {
        for (std::size_t b = 0; b < names.size(); ++b)
            write(folder / (names[b] + ".bin"), records(b));
    }

    void write_png(const fs::path& folder) const {
        for (std::size_t b = 0; b < names.size(); ++b)
            write(folder / (names[b] + ".png"), png_of(rows(b)));
        write(folder / "train_lables.json", bytes_of(labels(0, 5)));
        write(folder / "test_lables.json", bytes_of(labels(5, 6)));
    }

    [[nodiscard]] Bytes pixels(std::size_t first, std::size_t last) const {
        Bytes all;
        for (std::size_t b = first; b < last; ++b)
            all.insert(all.end(), batches_[b].first.begin(), batches_[b].first.end());
        return all;
    }

  private:
    std::array<std::pair<Bytes, Bytes>, 6> batches_; ///< pixels and labels
};

storage::Hdf5Reader packed(const fs::path& folder, const fs::path& output) {
    pack_cifar10(folder, output, Cifar10Counts::any);
    return storage::Hdf5Reader::from_bytes(storage::read_sealed(output), "packed.h5");
}

/// Why a folder is not packed; checks that nothing is written then.
std::string failure(const fs::path& folder, Cifar10Counts wanted = Cifar10Counts::any) {
    const fs::path output = folder / "out" / "packed.h5";
    fs::create_directories(output.parent_path());
    try {
        pack_cifar10(folder, output, wanted);
    } catch (const core::DataError& error) {
        CHECK(fs::is_empty(output.parent_path()));
        return error.what();
    }
    return "no DataError";
}

std::string identity_of(const storage::Hdf5Reader& file) {
    return storage::read_identity(file, images_schema).input_sha256;
}

} // namespace

TEST_CASE("a folder without CIFAR-10 is refused, and missing files are named", "[cifar10]") {
    const test::TemporaryFolder folder;
    CHECK_THAT(failure(folder.path()),
               Contains("neither data_batch_1.bin") && Contains("data/get-cifar10.sh"));
    TinyCifar().write_binary(folder / "binary");
    fs::remove(folder / "binary/data_batch_1.bin");
    CHECK_THAT(failure(folder / "binary"), Contains("data_batch_1.bin: cannot be read: No such"));

    TinyCifar().write_png(folder / "png");
    fs::rename(folder / "png/data_batch_4.png", folder / "png/elsewhere");
    CHECK_THAT(failure(folder / "png"), Contains("data_batch_4.png: cannot be read: No such"));
    fs::remove(folder / "png/train_lables.json");
    CHECK_THAT(failure(folder / "png"), Contains("train_lables.json: cannot be read: No such"));
}

TEST_CASE("binary files that are cut or hold wrong classes are refused", "[cifar10]") {
    const test::TemporaryFolder folder;
    const TinyCifar data;
    data.write_binary(folder.path());
    const fs::path file = folder / "data_batch_3.bin";
    const Bytes good = data.records(2);

    write(file, std::span(good).first(good.size() - 1));
    CHECK_THAT(failure(folder.path()),
               Contains("data_batch_3.bin: has 12291 bytes, no multiple of the 3073"));
    write(file, {});
    CHECK_THAT(failure(folder.path()), Contains("holds 0 images, must be in [1, 100000]"));
    Bytes bad = good;
    bad[3073] = 10;
    write(file, bad);
    CHECK_THAT(failure(folder.path()),
               Contains("data_batch_3.bin: the class of image 1 is 10, must be in [0, 9]"));
    fs::remove(file);
    fs::create_directory(file);
    CHECK_THAT(failure(folder.path()), Contains("data_batch_3.bin"));
}

TEST_CASE("a part of the data set is only taken when it is asked for", "[cifar10]") {
    const test::TemporaryFolder folder;
    TinyCifar().write_binary(folder / "binary");
    TinyCifar().write_png(folder / "png");
    for (const char* version : {"binary", "png"}) {
        CHECK_THAT(failure(folder / version, Cifar10Counts::official),
                   Contains("data_batch_1.") && Contains("holds 3 images, expected 10000") &&
                       Contains("--partial"));
        CHECK(failure(folder / version) == "no DataError");
    }
}

TEST_CASE("PNG files of a wrong size, damaged or of wrong labels are refused", "[cifar10]") {
    const test::TemporaryFolder folder;
    const TinyCifar data;
    const auto failure_with = [&](const std::string& name, const Bytes& bytes) {
        data.write_png(folder.path());
        write(folder / name, bytes);
        return failure(folder.path());
    };
    const Bytes good = png_of(data.rows(1));
    CHECK_THAT(failure_with("data_batch_2.png", png_of(noise(1023, 2, 3))),
               Contains("data_batch_2.png: is 1023 pixels wide, expected 1024"));
    CHECK_THAT(failure_with("data_batch_2.png", {good.begin(), good.end() - 20}),
               Contains("data_batch_2.png: is truncated"));
    CHECK_THAT(failure_with("data_batch_2.png", png_of(data.rows(0))), // three instead of two
               Contains("train_lables.json: has 12 classes, which is not the number of images"));
    CHECK_THAT(failure_with("data_batch_2.png", png_of(data.rows(3))), // one instead of two
               Contains("train_lables.json: has 12 classes"));
    CHECK_THAT(failure_with("test_lables.json", bytes_of("[1,2,3,4]")),
               Contains("test_lables.json: has 4 classes"));
}

TEST_CASE("labels that are no list of classes are refused at the first that is wrong",
          "[cifar10]") {
    const test::TemporaryFolder folder;
    TinyCifar().write_png(folder.path());
    const auto failure_with = [&](const std::string& labels) {
        write(folder / "test_lables.json", bytes_of(labels));
        return failure(folder.path());
    };
    CHECK_THAT(failure_with("[1,2,10,4,5]"), Contains("the class of image 2 is 10"));
    CHECK_THAT(failure_with("[-1]"), Contains("the class of image 0 is -1"));
    CHECK_THAT(failure_with("[18446744073709551615]"), Contains("the class of image 0 is"));
    for (const char* text : {"5", "[1.5]", "[\"1\"]", "[null]", "[true]", "{\"a\":1}", "[[1]]",
                             "[1,[2]]", "[{}]", "[1e999]"})
        CHECK_THAT(failure_with(text),
                   Contains("test_lables.json: ") && (Contains("must be a list of whole numbers") ||
                                                      Contains("is not valid JSON")));
    for (const char* text : {"", "[1,2", "[1,]", "[1 2]", "[1] x", "\xff"})
        CHECK_THAT(failure_with(text), Contains("test_lables.json: is not valid JSON"));
    CHECK_THAT(failure_with("[]"), Contains("has 0 classes"));
    CHECK_THAT(failure_with(std::string(1'000'000, '[')), Contains("a list of whole numbers"));
}

TEST_CASE("both versions are packed with all images in order, into the same", "[cifar10]") {
    const test::TemporaryFolder folder;
    const TinyCifar data;
    data.write_binary(folder / "a/cifar-10-batches-bin");
    data.write_png(folder / "b/package");
    const auto binary = packed(folder / "a", folder / "a.h5");
    const auto png = packed(folder / "b", folder / "b.h5");
    for (const storage::Hdf5Reader* file : {&binary, &png}) {
        const ImageData train = read_images(*file, "train");
        CHECK(train.count == 12);
        CHECK(train.channels == 3);
        CHECK(train.height == 32);
        CHECK(train.width == 32);
        CHECK(train.classes == 10);
        CHECK(train.pixels == data.pixels(0, 5));
        CHECK(train.labels == std::vector<std::int32_t>{0, 7, 4, 3, 0, 6, 3, 0, 7, 9, 2, 9});
        const ImageData test = read_images(*file, "test");
        CHECK(test.pixels == data.pixels(5, 6));
        CHECK(test.labels == std::vector<std::int32_t>{5, 2, 9, 6, 3});
        CHECK(read_class_names(*file)[6] == "frog");
    }
    CHECK(identity_of(binary) == identity_of(png));
    CHECK(identity_of(binary).size() == 64);
}

TEST_CASE("mean and deviation are those of the training images, channel by channel", "[cifar10]") {
    const test::TemporaryFolder folder;
    TinyCifar().write_binary(folder.path());
    const ImageData train = read_images(packed(folder.path(), folder / "a.h5"), "train");
    for (std::size_t c = 0; c < 3; ++c) {
        double sum = 0.0;
        double squares = 0.0;
        for (std::size_t i = 0; i < 12; ++i)
            for (std::size_t p = 0; p < plane; ++p) {
                const double value = train.pixels[(i * 3 + c) * plane + p] / 255.0;
                sum += value;
                squares += value * value;
            }
        const double mean = sum / (12.0 * plane);
        CHECK(train.mean[c] == Approx(mean).epsilon(1e-12));
        CHECK(train.deviation[c] ==
              Approx(std::sqrt(squares / (12.0 * plane) - mean * mean)).epsilon(1e-9));
    }
    CHECK(train.mean[0] != train.mean[1]);
}

TEST_CASE("images that are all alike cannot be normalised, and are refused", "[cifar10]") {
    const test::TemporaryFolder folder;
    TinyCifar().write_binary(folder.path());
    for (std::size_t b = 0; b < 5; ++b) {
        Bytes records = TinyCifar().records(b);
        for (std::size_t i = 0; i < records.size(); ++i) // green
            if (i % 3073 > plane && i % 3073 <= 2 * plane) records[i] = 80;
        write(folder / (names[b] + ".bin"), records);
    }
    CHECK_THAT(failure(folder.path()), Contains("all pixels of channel 1 of the train split"));
}
