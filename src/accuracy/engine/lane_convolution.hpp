#pragma once

// The convolution of lane_kernels.hpp, for every kind of product. Nothing here may come from the
// standard library's templates; see lane_vector.hpp.
#include "lane_kernels.hpp"
#include "lane_vector.hpp"

namespace hdap::accuracy {
namespace {

// `Products` says what a word is:
//   channels                            how many channels it has;
//   word(first, second)                 the words of two channels' vectors, the second may be null;
//   repeat(weight)                      a word in all lanes;
//   multiply_add(sum, weight, input)    the sum with all products of two words.

inline float* zero(float* output, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i, output += lanes)
        at(output) = Vector{};
    return output;
}

/// By vectors: the library's functions would take longer for the short rows of small images than
/// the convolution itself.
template <class Products>
void pack(const LaneKernels::Padding& p, const float* input, std::int64_t channels, float* output) {
    const std::int64_t right = p.output_width - p.left - p.width;
    const std::int64_t bottom = p.output_height - p.top - p.height;
    const std::int64_t channel = p.height * p.width * lanes;
    for (std::int64_t c = 0; c < channels; c += Products::channels) {
        const float* first = input + c * channel;
        const float* second = c + 1 < channels ? first + channel : nullptr;
        output = zero(output, p.top * p.output_width);
        for (std::int64_t y = 0; y < p.height; ++y) {
            output = zero(output, p.left);
            for (std::int64_t x = 0; x < p.width; ++x, first += lanes, output += lanes) {
                at(output) = Products::word(first, second);
                if (second) second += lanes;
            }
            output = zero(output, right);
        }
        output = zero(output, bottom * p.output_width);
    }
}

/// The sums over all taps for Channels × Pixels vectors of the output, all in registers.
template <class Products, int Channels, int Pixels>
void convolve_tile(const LaneKernels::Convolution& c, const float* weights,
                   const std::int64_t* pixel_offsets, const float* bias, float* output) {
    const float* inputs[Pixels];
    for (int p = 0; p < Pixels; ++p)
        inputs[p] = c.input + pixel_offsets[p];
    Vector sum[Channels][Pixels];
#pragma GCC unroll 16
    for (int k = 0; k < Channels; ++k)
#pragma GCC unroll 16
        for (int p = 0; p < Pixels; ++p)
            sum[k][p] = c.accumulate ? load(output + k * c.output_stride + p * lanes) + bias[k]
                                     : all(bias[k]);
    for (std::int64_t t = 0; t < c.taps; ++t, weights += Channels) {
        const std::int64_t offset = c.tap_offsets[t];
        Vector x[Pixels];
#pragma GCC unroll 16
        for (int p = 0; p < Pixels; ++p)
            x[p] = load(inputs[p] + offset);
#pragma GCC unroll 16
        for (int k = 0; k < Channels; ++k) {
            const Vector w = Products::repeat(weights + k);
#pragma GCC unroll 16
            for (int p = 0; p < Pixels; ++p)
                sum[k][p] = Products::multiply_add(sum[k][p], w, x[p]);
        }
    }
    const Vector low = all(c.low);
    const Vector high = all(c.high);
#pragma GCC unroll 16
    for (int k = 0; k < Channels; ++k)
#pragma GCC unroll 16
        for (int p = 0; p < Pixels; ++p)
            at(output + k * c.output_stride + p * lanes) = clamped(sum[k][p], low, high);
}

using TileFunction = void (*)(const LaneKernels::Convolution&, const float*, const std::int64_t*,
                              const float*, float*);

template <class Products, int Channels, int Pixels>
TileFunction tile_of_pixels(int pixels) {
    if (pixels == Pixels) return convolve_tile<Products, Channels, Pixels>;
    if constexpr (Pixels > 1) return tile_of_pixels<Products, Channels, Pixels - 1>(pixels);
    return nullptr;
}

/// With few channels a tile has more pixels, so that there are sums enough to hide the time that
/// an addition takes.
template <int Channels>
constexpr int pixels_of_tile() {
    constexpr int sums = HDAP_CHANNEL_TILE * HDAP_PIXEL_TILE;
    constexpr int most = HDAP_LANES == 16 ? 12 : 8;
    return sums / Channels < most ? sums / Channels : most;
}

template <class Products, int Channels>
TileFunction tile_of(int channels, int pixels, int& tile_pixels) {
    if (channels == Channels) {
        tile_pixels = pixels_of_tile<Channels>();
        return tile_of_pixels<Products, Channels, pixels_of_tile<Channels>()>(
            pixels < tile_pixels ? pixels : tile_pixels);
    }
    if constexpr (Channels > 1)
        return tile_of<Products, Channels - 1>(channels, pixels, tile_pixels);
    return nullptr;
}

/// Some pixels of one tile of channels.
template <class Products>
void convolve_channels(const LaneKernels::Convolution& c, std::int64_t first_channel,
                       std::int64_t channels, std::int64_t first_pixel, std::int64_t last_pixel) {
    // A tile's weights lie behind those of all channels before it.
    const float* const weights = c.weights + first_channel * c.taps;
    for (std::int64_t p = first_pixel; p < last_pixel;) {
        int tile_pixels = 0;
        const auto left = static_cast<int>(last_pixel - p);
        const TileFunction tile =
            tile_of<Products, HDAP_CHANNEL_TILE>(static_cast<int>(channels), left, tile_pixels);
        tile(c, weights, c.pixel_offsets + p, c.bias + first_channel,
             c.output + first_channel * c.output_stride + p * lanes);
        p += left < tile_pixels ? left : tile_pixels;
    }
}

template <class Products>
void convolve(const LaneKernels::Convolution& c) {
    // What a few pixels read should stay in the cache for all tiles of channels; but where the
    // weights are larger than the input, these should come from memory only once.
    const std::int64_t pixel_block = c.channels > c.pixels * lanes ? c.pixels : 24;
    const std::int64_t tiles = convolution_tiles(c.channels, HDAP_CHANNEL_TILE);
    for (std::int64_t p = 0; p < c.pixels; p += pixel_block)
        for (std::int64_t i = 0; i < tiles; ++i) {
            const std::int64_t first = c.channels * i / tiles;
            convolve_channels<Products>(c, first, c.channels * (i + 1) / tiles - first, p,
                                        p + pixel_block < c.pixels ? p + pixel_block : c.pixels);
        }
}

} // namespace
} // namespace hdap::accuracy
