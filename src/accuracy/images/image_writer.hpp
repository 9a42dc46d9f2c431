#pragma once

#include "hdap/core/hash.hpp"
#include "hdap/storage/sealed_stream.hpp"

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace hdap::accuracy {

/// What all images of a packed file have in common, and how many there will be.
struct ImageLayout {
    std::int64_t channels = 0;
    std::int64_t height = 0;
    std::int64_t width = 0;
    std::vector<std::string> class_names; ///< one a class
    std::int64_t most_images = 0;         ///< of all splits; disk space is taken for them
};

/// Writes a file of the layout hdap-images/1, images as they come: in memory are the labels and
/// what was handed over last. Mean and deviation are those of the split "train".
/// Where no commit comes, nothing is written.
class ImageWriter {
  public:
    /// Throws InternalError when the file cannot be made or the disk has no space for the images.
    ImageWriter(std::filesystem::path output, ImageLayout layout);

    /// What is appended from now on belongs to the split `name`, up to `most_images` of them.
    void begin_split(const std::string& name, std::int64_t most_images);

    /// `pixels`: [images][channels][height][width]; `labels`: [images].
    void append(std::span<const std::uint8_t> pixels, std::span<const std::int32_t> labels);

    /// Ends this object's use. `source` stands for the images in messages.
    /// Throws DataError when a split is empty, or all pixels of a channel of "train" are equal.
    void commit(const std::string& source);

  private:
    /// Of one channel's pixels. Sums of integers are exact whatever the order.
    struct Sums {
        std::uint64_t count = 0;
        std::uint64_t sum = 0;
        std::uint64_t squares = 0;
    };

    void end_split();
    void write_normalisation(const std::string& source);

    ImageLayout layout_;
    storage::SealedStream file_;
    core::Sha256 hash_; ///< of pixels and labels
    std::vector<Sums> train_;
    std::string split_;
    std::vector<std::int32_t> labels_; ///< of the present split
    std::string empty_split_;
};

} // namespace hdap::accuracy
