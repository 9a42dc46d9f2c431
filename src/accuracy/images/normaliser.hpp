#pragma once

#include "hdap/accuracy/image_data.hpp"

#include <cstdint>
#include <vector>

namespace hdap::accuracy {

/// How one training image is varied. What is shifted in from outside is black.
struct Augmentation {
    bool flip = false;        ///< left to right
    std::int64_t shift_y = 0; ///< rows that the crop lies below the image's top
    std::int64_t shift_x = 0; ///< columns that it lies right of the image's left edge
};

/// Turns byte images into floats, (pixel/255 − mean) / deviation per channel, with their channels
/// in the network's order.
class Normaliser {
  public:
    /// Keeps a reference to `images`.
    explicit Normaliser(const ImageData& images);

    /// Writes image `index` as [height][width][channels], the order in which channels-last tensors
    /// lie in memory.
    void write(std::int64_t index, const Augmentation& augmentation, float* target) const;

  private:
    const ImageData* images_;
    std::vector<float> table_; ///< [channels][256]
};

} // namespace hdap::accuracy
