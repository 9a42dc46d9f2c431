#include "image_writer.hpp"

#include "hdap/accuracy/image_data.hpp"
#include "hdap/core/error.hpp"
#include "hdap/storage/schema.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace hdap::accuracy {
namespace {

std::uint64_t image_bytes(const ImageLayout& layout) {
    return static_cast<std::uint64_t>(layout.channels * layout.height * layout.width);
}

std::uint64_t content_bytes(const ImageLayout& layout) {
    std::uint64_t bytes = static_cast<std::uint64_t>(layout.most_images) *
                          (image_bytes(layout) + sizeof(std::int32_t));
    for (const std::string& name : layout.class_names)
        bytes += name.size() + 64; // with HDF5's entry for it
    return bytes;
}

} // namespace

ImageWriter::ImageWriter(std::filesystem::path output, ImageLayout layout)
    : layout_(std::move(layout)), file_(std::move(output), content_bytes(layout_)),
      train_(static_cast<std::size_t>(layout_.channels)) {}

void ImageWriter::begin_split(const std::string& name, std::int64_t most_images) {
    end_split();
    split_ = name;
    // Not compressed: deflate makes CIFAR-10 8 % smaller, and seven times as slow to read.
    file_.content().begin_rows<std::uint8_t>("/" + split_ + "/images",
                                             {static_cast<std::size_t>(layout_.channels),
                                              static_cast<std::size_t>(layout_.height),
                                              static_cast<std::size_t>(layout_.width)},
                                             static_cast<std::size_t>(most_images));
}

void ImageWriter::append(std::span<const std::uint8_t> pixels,
                         std::span<const std::int32_t> labels) {
    if (pixels.size() != labels.size() * image_bytes(layout_))
        throw core::InternalError(
            fmt::format("cannot pack {} pixels as {} images", pixels.size(), labels.size()));
    file_.content().append_rows("/" + split_ + "/images", pixels);
    labels_.insert(labels_.end(), labels.begin(), labels.end());
    hash_.update(std::as_bytes(pixels));
    if (split_ != "train") return;
    const auto plane = static_cast<std::size_t>(layout_.height * layout_.width);
    for (std::size_t first = 0; first < pixels.size(); first += plane) {
        Sums& sums = train_[first / plane % train_.size()];
        for (const std::uint8_t pixel : pixels.subspan(first, plane)) {
            sums.sum += pixel;
            sums.squares += std::uint64_t{pixel} * pixel;
        }
        sums.count += plane;
    }
}

void ImageWriter::end_split() {
    if (split_.empty()) return;
    if (labels_.empty()) empty_split_ = split_;
    file_.content().write("/" + split_ + "/labels", labels_);
    hash_.update(std::as_bytes(std::span(labels_)));
    labels_.clear();
}

void ImageWriter::write_normalisation(const std::string& source) {
    std::vector<double> means;
    std::vector<double> deviations;
    for (const Sums& sums : train_) {
        const auto count = static_cast<double>(sums.count);
        const double mean = static_cast<double>(sums.sum) / count;
        const double variance = static_cast<double>(sums.squares) / count - mean * mean;
        means.push_back(mean / 255.0);
        deviations.push_back(std::sqrt(std::max(variance, 0.0)) / 255.0);
        if (deviations.back() < 1e-6) // what read_images refuses
            throw core::DataError(
                fmt::format("{}: all pixels of channel {} of the train split are equal", source,
                            means.size() - 1));
    }
    file_.content().write("/mean", means);
    file_.content().write("/deviation", deviations);
}

void ImageWriter::commit(const std::string& source) {
    end_split();
    if (!empty_split_.empty())
        throw core::DataError(
            fmt::format("{}: there is no image for the split '{}'", source, empty_split_));
    write_normalisation(source);
    storage::Hdf5Writer& file = file_.content();
    file.attribute("/", "classes", static_cast<std::int64_t>(layout_.class_names.size()));
    file.write_strings("/class_names", layout_.class_names);
    storage::write_identity(
        file, {.schema = images_schema, .config_sha256 = {}, .input_sha256 = hash_.hex_digest()});
    file_.commit();
}

} // namespace hdap::accuracy
