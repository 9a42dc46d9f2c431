#include "plain_kernels.hpp"

#include <algorithm>
#include <cmath>

namespace hdap::accuracy {

using network::Extent;
using network::Node;
using network::Operator;
using network::TensorShape;

void scale_and_shift(const float* input, std::int64_t rows, const std::vector<float>& factor,
                     const std::vector<float>& offset, float* output) {
    const auto channels = static_cast<std::int64_t>(factor.size());
    for (std::int64_t r = 0; r < rows; ++r, input += channels, output += channels)
        for (std::int64_t c = 0; c < channels; ++c)
            output[c] = input[c] * factor[static_cast<std::size_t>(c)] +
                        offset[static_cast<std::size_t>(c)];
}

void copy_channels(const float* input, std::int64_t rows, std::int64_t from_channels,
                   std::int64_t first, std::int64_t to_channels, float* output) {
    for (std::int64_t r = 0; r < rows; ++r)
        std::copy_n(input + r * from_channels + first, to_channels, output + r * to_channels);
}

void shuffle_channels(const float* input, std::int64_t rows, std::int64_t channels,
                      std::int64_t groups, float* output) {
    const std::int64_t size = channels / groups;
    for (std::int64_t r = 0; r < rows; ++r, input += channels, output += channels)
        for (std::int64_t g = 0; g < groups; ++g)
            for (std::int64_t i = 0; i < size; ++i)
                output[i * groups + g] = input[g * size + i];
}

void pad_with_zeros(const Node& node, const float* input, std::int64_t images,
                    const TensorShape& from, const TensorShape& to, float* output) {
    const std::int64_t to_image = to.channels * to.extent.height * to.extent.width;
    std::fill_n(output, images * to_image, 0.0F);
    for (std::int64_t n = 0; n < images; ++n)
        for (std::int64_t y = 0; y < from.extent.height; ++y)
            for (std::int64_t x = 0; x < from.extent.width; ++x, input += from.channels) {
                const std::int64_t pixel =
                    (y + node.padding.height) * to.extent.width + x + node.padding.width;
                std::copy_n(input, from.channels,
                            output + n * to_image + pixel * to.channels + node.channels_before);
            }
}

namespace {

/// The two source pixels that a pixel of the result lies between, and the share of the second.
struct SourcePixels {
    std::int64_t first;
    std::int64_t second;
    float share;
};

/// As PyTorch places them.
SourcePixels source_pixels(const Node& node, std::int64_t i, std::int64_t from, std::int64_t to) {
    const auto ratio = static_cast<float>(from) / static_cast<float>(to);
    if (node.op == Operator::resize_nearest) {
        const auto pixel =
            std::min(static_cast<std::int64_t>(static_cast<float>(i) * ratio), from - 1);
        return {pixel, pixel, 0.0F};
    }
    float position = std::max(0.0F, (static_cast<float>(i) + 0.5F) * ratio - 0.5F);
    if (node.align_corners)
        position = to == 1 ? 0.0F
                           : static_cast<float>(i) * static_cast<float>(from - 1) /
                                 static_cast<float>(to - 1);
    const auto first = std::min(static_cast<std::int64_t>(position), from - 1);
    return {first, std::min(first + 1, from - 1), position - static_cast<float>(first)};
}

} // namespace

void resize(const Node& node, const float* input, std::int64_t images, const TensorShape& from,
            const TensorShape& to, float* output) {
    const std::int64_t channels = from.channels;
    const std::int64_t from_image = channels * from.extent.height * from.extent.width;
    for (std::int64_t n = 0; n < images; ++n, input += from_image)
        for (std::int64_t y = 0; y < to.extent.height; ++y) {
            const SourcePixels rows = source_pixels(node, y, from.extent.height, to.extent.height);
            for (std::int64_t x = 0; x < to.extent.width; ++x, output += channels) {
                const SourcePixels columns =
                    source_pixels(node, x, from.extent.width, to.extent.width);
                const auto pixel = [&](std::int64_t row, std::int64_t column) {
                    return input + (row * from.extent.width + column) * channels;
                };
                const float* const a = pixel(rows.first, columns.first);
                const float* const b = pixel(rows.first, columns.second);
                const float* const c = pixel(rows.second, columns.first);
                const float* const d = pixel(rows.second, columns.second);
                for (std::int64_t k = 0; k < channels; ++k) {
                    const float above = a[k] + columns.share * (b[k] - a[k]);
                    const float below = c[k] + columns.share * (d[k] - c[k]);
                    output[k] = above + rows.share * (below - above);
                }
            }
        }
}

void flatten(const float* input, std::int64_t images, const TensorShape& from, float* output) {
    const std::int64_t pixels = from.extent.height * from.extent.width;
    for (std::int64_t n = 0; n < images; ++n, output += pixels * from.channels)
        for (std::int64_t p = 0; p < pixels; ++p, input += from.channels)
            for (std::int64_t c = 0; c < from.channels; ++c)
                output[c * pixels + p] = input[c];
}

void average_pool(const Node& node, const float* input, std::int64_t images,
                  const TensorShape& from, const TensorShape& to, float* output) {
    const std::int64_t channels = from.channels;
    const std::int64_t from_image = channels * from.extent.height * from.extent.width;
    for (std::int64_t n = 0; n < images; ++n, input += from_image)
        for (std::int64_t y = 0; y < to.extent.height; ++y)
            for (std::int64_t x = 0; x < to.extent.width; ++x, output += channels) {
                const std::int64_t top = y * node.stride.height - node.padding.height;
                const std::int64_t left = x * node.stride.width - node.padding.width;
                const std::int64_t bottom =
                    std::min(top + node.kernel.height, from.extent.height + node.padding.height);
                const std::int64_t right =
                    std::min(left + node.kernel.width, from.extent.width + node.padding.width);
                std::fill_n(output, channels, 0.0F);
                for (std::int64_t iy = std::max<std::int64_t>(0, top);
                     iy < std::min(bottom, from.extent.height); ++iy)
                    for (std::int64_t ix = std::max<std::int64_t>(0, left);
                         ix < std::min(right, from.extent.width); ++ix)
                        for (std::int64_t c = 0; c < channels; ++c)
                            output[c] += input[(iy * from.extent.width + ix) * channels + c];
                const auto pixels = static_cast<float>((bottom - top) * (right - left));
                for (std::int64_t c = 0; c < channels; ++c)
                    output[c] /= pixels;
            }
}

void softmax(const float* input, std::int64_t rows, std::int64_t channels, float* output) {
    for (std::int64_t r = 0; r < rows; ++r, input += channels, output += channels) {
        const float largest = *std::max_element(input, input + channels);
        float sum = 0.0F;
        for (std::int64_t c = 0; c < channels; ++c)
            sum += output[c] = std::exp(input[c] - largest);
        for (std::int64_t c = 0; c < channels; ++c)
            output[c] /= sum;
    }
}

void combine_into(Operator op, const float* value, const TensorShape& shape, std::int64_t images,
                  const TensorShape& to, float* output) {
    const std::int64_t pixels = to.extent.height * to.extent.width;
    const bool one_pixel = shape.extent == Extent{1, 1};
    const bool one_channel = shape.channels == 1;
    for (std::int64_t n = 0; n < images; ++n)
        for (std::int64_t p = 0; p < pixels; ++p, output += to.channels) {
            const std::int64_t pixel = one_pixel ? n : n * pixels + p;
            const float* const row = value + pixel * shape.channels;
            for (std::int64_t c = 0; c < to.channels; ++c) {
                const float operand = row[one_channel ? 0 : c];
                output[c] = op == Operator::add ? output[c] + operand : output[c] * operand;
            }
        }
}

} // namespace hdap::accuracy
