#pragma once

#include "accuracy/images/normaliser.hpp"
#include "hdap/accuracy/training.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hdap::accuracy {

/// The batches of training, in an order and with variations that depend on the seed alone.
class TrainingBatches {
  public:
    /// Keeps a reference to `images`.
    TrainingBatches(const ImageData& images, const TrainingParameters& parameters);

    [[nodiscard]] const ImageData& images() const noexcept { return images_; }
    [[nodiscard]] std::int64_t images_per_batch() const noexcept { return batch_; }
    [[nodiscard]] std::int64_t per_epoch() const noexcept { return images_.count / batch_; }

    /// Prepares the batch of `step`, which counts from 0.
    void begin(std::int64_t step);

    /// Writes images [first, first + count) of the batch that was begun, normalised, as
    /// [count][height][width][channels], and their labels. Thread-safe.
    void write(std::int64_t first, std::int64_t count, float* pixels, std::int64_t* labels) const;

  private:
    [[nodiscard]] Augmentation augmentation(std::size_t image) const;

    const ImageData& images_;
    Normaliser normaliser_;
    std::uint64_t seed_;
    bool augment_;
    std::int64_t padding_; ///< pixels
    std::int64_t batch_;
    std::int64_t epoch_ = -1;
    std::int64_t first_ = 0;         ///< of the batch in the epoch's order
    std::vector<std::size_t> order_; ///< of the epoch
};

} // namespace hdap::accuracy
