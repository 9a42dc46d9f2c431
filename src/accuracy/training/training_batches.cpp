#include "training_batches.hpp"

#include "hdap/core/random.hpp"

#include <algorithm>

namespace hdap::accuracy {

TrainingBatches::TrainingBatches(const ImageData& images, const TrainingParameters& parameters)
    : images_(images), normaliser_(images), seed_(parameters.seed), augment_(parameters.augment),
      padding_(
          static_cast<std::int64_t>(parameters.crop_padding * static_cast<double>(images.height))),
      batch_(std::min(parameters.batch, images.count)) {}

void TrainingBatches::begin(std::int64_t step) {
    const std::int64_t epoch = step / per_epoch();
    first_ = step % per_epoch() * batch_;
    if (epoch == epoch_) return;
    epoch_ = epoch;
    order_ =
        core::RandomStream(seed_, core::StreamId::data_order, static_cast<std::uint32_t>(epoch))
            .permutation(static_cast<std::size_t>(images_.count));
}

void TrainingBatches::write(std::int64_t first, std::int64_t count, float* pixels,
                            std::int64_t* labels) const {
    const std::int64_t size = images_.channels * images_.height * images_.width;
    for (std::int64_t i = 0; i < count; ++i) {
        const std::size_t image = order_[static_cast<std::size_t>(first_ + first + i)];
        normaliser_.write(static_cast<std::int64_t>(image), augmentation(image), pixels + i * size);
        labels[i] = images_.labels[image];
    }
}

Augmentation TrainingBatches::augmentation(std::size_t image) const {
    if (!augment_) return {};
    core::RandomStream random(seed_, core::StreamId::augmentation,
                              static_cast<std::uint32_t>(epoch_),
                              static_cast<std::uint32_t>(image));
    const auto shift = [&] {
        return static_cast<std::int64_t>(
                   random.below(static_cast<std::uint64_t>(2 * padding_ + 1))) -
               padding_;
    };
    Augmentation result;
    result.flip = random.below(2) == 1;
    result.shift_y = shift();
    result.shift_x = shift();
    return result;
}

} // namespace hdap::accuracy
