#include "hdap/accuracy/image_data.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "hdap/storage/schema.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace hdap::accuracy {
namespace {

/// Bounds that no sensible data set meets. They keep every product far from the limits of 64 bits.
constexpr std::int64_t max_count = std::int64_t{1} << 28;
constexpr std::int64_t max_channels = 1024;
constexpr std::int64_t max_extent = std::int64_t{1} << 14;
constexpr std::int64_t max_classes = 1'000'000;

void check_range(const std::string& name, const char* what, std::int64_t value, std::int64_t low,
                 std::int64_t high) {
    if (value < low || value > high)
        throw core::DataError(
            fmt::format("{}: {} is {}, must be in [{}, {}]", name, what, value, low, high));
}

void check_size(const std::string& name, const char* what, std::size_t size,
                std::int64_t expected) {
    if (size != static_cast<std::size_t>(expected))
        throw core::DataError(
            fmt::format("{}: has {} {}, expected {}", name, size, what, expected));
}

void check_normalisation(const ImageData& images, const std::string& name) {
    check_size(name, "means", images.mean.size(), images.channels);
    check_size(name, "deviations", images.deviation.size(), images.channels);
    for (std::size_t c = 0; c < images.mean.size(); ++c) {
        const double mean = images.mean[c];
        const double deviation = images.deviation[c];
        if (!std::isfinite(mean))
            throw core::DataError(fmt::format("{}: the mean of channel {} is {}, must be finite",
                                              name, c, core::shortest(mean)));
        // Divisors below this would turn a float into infinity.
        if (!std::isfinite(deviation) || deviation < 1e-6)
            throw core::DataError(fmt::format(
                "{}: the deviation of channel {} is {}, must be finite and at least 1e-6", name, c,
                core::shortest(deviation)));
    }
}

void check_labels(const ImageData& images, const std::string& name) {
    const auto wrong =
        std::find_if(images.labels.begin(), images.labels.end(),
                     [&](std::int32_t label) { return label < 0 || label >= images.classes; });
    if (wrong != images.labels.end())
        throw core::DataError(fmt::format("{}: the label of image {} is {}, must be in [0, {}], as "
                                          "there are {} classes (attribute 'classes')",
                                          name, wrong - images.labels.begin(), *wrong,
                                          images.classes - 1, images.classes));
}

void check_extents(const ImageData& images, const std::string& name) {
    check_range(name, "the number of images", images.count, 1, max_count);
    check_range(name, "the number of channels", images.channels, 1, max_channels);
    check_range(name, "the height", images.height, 1, max_extent);
    check_range(name, "the width", images.width, 1, max_extent);
    check_range(name, "the number of classes", images.classes, 2, max_classes);
}

void check_labels_and_normalisation(const ImageData& images, const std::string& name) {
    check_size(name, "labels", images.labels.size(), images.count);
    check_labels(images, name);
    check_normalisation(images, name);
}

storage::Shape shape_of(const storage::Hdf5Reader& file, const std::string& path) {
    if (!file.contains(path))
        throw core::DataError(fmt::format("{}: no data set '{}'; expected a file of {}",
                                          file.name(), path, images_schema));
    return file.shape(path);
}

/// Floats in [0, 1] would become zeros and ones without a sound.
void check_bytes(const storage::Hdf5Reader& file, const std::string& path) {
    for (const storage::Entry& entry : file.list())
        if (entry.path == path && entry.type != "uint8")
            throw core::DataError(
                fmt::format("{}: '{}' holds {}, expected uint8 (pixels from 0 to 255)", file.name(),
                            path, entry.type));
}

std::int64_t to_int64(std::size_t size) {
    return static_cast<std::int64_t>(
        std::min<std::size_t>(size, std::numeric_limits<std::int64_t>::max()));
}

void check_part(const ImageData& images, std::int64_t first, std::int64_t count) {
    if (first < 0 || count < 1 || first > images.count || count > images.count - first)
        throw core::DataError(fmt::format("cannot take {} images from number {} on: there are {}",
                                          count, first, images.count));
}

std::string name_of(const storage::Hdf5Reader& file, const std::string& split) {
    return fmt::format("{}, '/{}'", file.name(), split);
}

storage::Shape shape_of_images(const storage::Hdf5Reader& file, const std::string& path) {
    storage::read_identity(file, images_schema);
    storage::Shape shape = shape_of(file, path);
    if (shape.size() != 4)
        throw core::DataError(
            fmt::format("{}: '{}' has {}, expected 4: [count][channels][height][width]",
                        file.name(), path, core::counted(shape.size(), "dimension")));
    check_bytes(file, path);
    return shape;
}

ImageData read_all_but_pixels(const storage::Hdf5Reader& file, const std::string& split) {
    const std::string labels_path = "/" + split + "/labels";
    const storage::Shape shape = shape_of_images(file, "/" + split + "/images");
    ImageData images{.count = to_int64(shape[0]),
                     .channels = to_int64(shape[1]),
                     .height = to_int64(shape[2]),
                     .width = to_int64(shape[3]),
                     .classes = file.attribute_int("/", "classes"),
                     .pixels = {},
                     .labels = {},
                     .mean = {},
                     .deviation = {}};
    (void)shape_of(file, labels_path);
    (void)shape_of(file, "/mean");
    (void)shape_of(file, "/deviation");
    images.labels = file.read<std::int32_t>(labels_path, {shape[0]});
    images.mean = file.read<double>("/mean", {shape[1]});
    images.deviation = file.read<double>("/deviation", {shape[1]});
    check_extents(images, name_of(file, split));
    check_labels_and_normalisation(images, name_of(file, split));
    return images;
}

} // namespace

void check_images(const ImageData& images, const std::string& name) {
    check_extents(images, name);
    check_size(name, "pixels", images.pixels.size(),
               images.count * images.channels * images.height * images.width);
    check_labels_and_normalisation(images, name);
}

void use_normalisation(ImageData& images, const network::Normalisation& normalisation,
                       const std::string& name) {
    if (normalisation.mean.size() != images.mean.size())
        throw core::DataError(fmt::format("{}: its normalisation is for {}, the images have {}",
                                          name, core::counted(normalisation.mean.size(), "channel"),
                                          images.mean.size()));
    images.mean = normalisation.mean;
    images.deviation = normalisation.deviation;
    images.order = normalisation.order;
}

network::Normalisation normalisation_of(const ImageData& images) {
    return {images.mean, images.deviation, images.order};
}

ImageData slice(const ImageData& images, std::int64_t first, std::int64_t count) {
    check_part(images, first, count);
    const std::int64_t image = images.channels * images.height * images.width;
    ImageData result{.count = count,
                     .channels = images.channels,
                     .height = images.height,
                     .width = images.width,
                     .classes = images.classes,
                     .pixels = {},
                     .labels = {},
                     .mean = images.mean,
                     .deviation = images.deviation,
                     .order = images.order};
    const auto pixels = images.pixels.begin() + first * image;
    result.pixels.assign(pixels, pixels + count * image);
    const auto labels = images.labels.begin() + first;
    result.labels.assign(labels, labels + count);
    return result;
}

ImageData read_images(const storage::Hdf5Reader& file, const std::string& split) {
    ImageData images = read_all_but_pixels(file, split);
    images.pixels = file.read<std::uint8_t>("/" + split + "/images");
    check_images(images, name_of(file, split));
    return images;
}

ImageData read_images(const storage::Hdf5Reader& file, const std::string& split, std::int64_t first,
                      std::int64_t count) {
    ImageData images = read_all_but_pixels(file, split);
    check_part(images, first, count);
    images.count = count;
    images.labels = {images.labels.begin() + first, images.labels.begin() + first + count};
    images.pixels = file.read_rows<std::uint8_t>(
        "/" + split + "/images", static_cast<std::size_t>(first), static_cast<std::size_t>(count));
    check_images(images, name_of(file, split));
    return images;
}

std::int64_t count_images(const storage::Hdf5Reader& file, const std::string& split) {
    return to_int64(shape_of_images(file, "/" + split + "/images")[0]);
}

std::vector<std::string> read_class_names(const storage::Hdf5Reader& file) {
    const char* path = "/class_names";
    if (!file.contains(path)) return {};
    const std::int64_t classes = file.attribute_int("/", "classes");
    const storage::Shape shape = file.shape(path);
    if (shape.size() != 1 || to_int64(shape[0]) != classes)
        throw core::DataError(fmt::format("{}: '{}' must be a list of {} names, one for each class",
                                          file.name(), path, classes));
    return file.read_strings(path);
}

ImageSummary summarise_images(const storage::Hdf5Reader& file) {
    ImageSummary summary;
    for (const char* split : {"train", "test"}) {
        const ImageData images = read_all_but_pixels(file, split);
        SplitSummary& counts = summary.splits.emplace_back(
            SplitSummary{.name = split, .count = images.count, .per_class = {}});
        counts.per_class.resize(static_cast<std::size_t>(images.classes));
        for (const std::int32_t label : images.labels)
            ++counts.per_class[static_cast<std::size_t>(label)];
        const std::array size{images.channels, images.height, images.width};
        if (summary.splits.size() > 1 &&
            size != std::array{summary.channels, summary.height, summary.width})
            throw core::DataError(file.name() + ": the images of train and test differ in size");
        summary.channels = images.channels;
        summary.height = images.height;
        summary.width = images.width;
        summary.classes = images.classes;
        summary.mean = images.mean;
        summary.deviation = images.deviation;
    }
    summary.class_names = read_class_names(file);
    return summary;
}

} // namespace hdap::accuracy
