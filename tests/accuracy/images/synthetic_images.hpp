#pragma once

#include "hdap/accuracy/image_data.hpp"
#include "hdap/core/random.hpp"

#include <cstdint>

namespace hdap::accuracy::testing {

/// What images to make.
struct ImageRequest {
    std::int64_t count = 64;
    std::int64_t channels = 1;
    std::int64_t height = 8;
    std::int64_t width = 8;
    std::int64_t classes = 2;
    std::uint32_t seed = 1;
};

/// Noise in which the label shows as a bright horizontal band.
inline ImageData synthetic_images(const ImageRequest& request) {
    ImageData images{.count = request.count,
                     .channels = request.channels,
                     .height = request.height,
                     .width = request.width,
                     .classes = request.classes,
                     .pixels = {},
                     .labels = {},
                     .mean = {},
                     .deviation = {}};
    for (std::int64_t c = 0; c < request.channels; ++c) {
        images.mean.push_back(0.3 + 0.05 * static_cast<double>(c));
        images.deviation.push_back(0.25 + 0.02 * static_cast<double>(c));
    }
    core::RandomStream random(request.seed, core::StreamId::testing);
    for (std::int64_t i = 0; i < request.count; ++i) {
        const auto label =
            static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(request.classes)));
        images.labels.push_back(static_cast<std::int32_t>(label));
        for (std::int64_t c = 0; c < request.channels; ++c)
            for (std::int64_t y = 0; y < request.height; ++y)
                for (std::int64_t x = 0; x < request.width; ++x) {
                    const bool band = y * request.classes / request.height == label;
                    images.pixels.push_back(
                        static_cast<std::uint8_t>(random.below(100) + (band ? 120U : 0U)));
                }
    }
    return images;
}

} // namespace hdap::accuracy::testing
