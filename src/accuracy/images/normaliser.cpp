#include "normaliser.hpp"

namespace hdap::accuracy {

Normaliser::Normaliser(const ImageData& images) : images_(&images) {
    for (std::size_t c = 0; c < images.mean.size(); ++c)
        for (int pixel = 0; pixel < 256; ++pixel)
            table_.push_back(
                static_cast<float>((pixel / 255.0 - images.mean[c]) / images.deviation[c]));
}

void Normaliser::write(std::int64_t index, const Augmentation& augmentation, float* target) const {
    const std::int64_t channels = images_->channels;
    const std::int64_t height = images_->height;
    const std::int64_t width = images_->width;
    const std::uint8_t* const image = images_->pixels.data() + index * channels * height * width;
    const bool turned = images_->order == network::ChannelOrder::bgr;
    const std::uint8_t* const first = image + (turned ? (channels - 1) * height * width : 0);
    const std::int64_t plane = turned ? -height * width : height * width;
    for (std::int64_t y = 0; y < height; ++y)
        for (std::int64_t x = 0; x < width; ++x) {
            const std::int64_t from_y = y + augmentation.shift_y;
            const std::int64_t column = x + augmentation.shift_x;
            const std::int64_t from_x = augmentation.flip ? width - 1 - column : column;
            const bool inside = from_y >= 0 && from_y < height && from_x >= 0 && from_x < width;
            for (std::int64_t c = 0; c < channels; ++c) {
                const std::uint8_t pixel =
                    inside ? first[c * plane + from_y * width + from_x] : std::uint8_t{0};
                *target++ = table_[static_cast<std::size_t>(256 * c + pixel)];
            }
        }
}

} // namespace hdap::accuracy
