// The kernels of lane_kernels.hpp for vectors of HDAP_LANES floats. Files that include this are
// compiled for different processors: nothing here may come from the standard library's templates,
// or the linker could give one processor another one's code.
#include "lane_kernels.hpp"

namespace hdap::accuracy {
namespace {

constexpr std::int64_t lanes = HDAP_LANES;

typedef float Vector __attribute__((vector_size(lanes * 4)));
typedef std::int32_t IntVector __attribute__((vector_size(lanes * 4)));

inline const Vector& load(const float* values) {
    return *reinterpret_cast<const Vector*>(values);
}
inline Vector& at(float* values) {
    return *reinterpret_cast<Vector*>(values);
}
inline Vector all(float value) {
    return value - Vector{};
}
/// Written so that not-a-number stays.
inline Vector clamped(Vector x, Vector low, Vector high) {
    x = low > x ? low : x;
    return high < x ? high : x;
}

// ------------------------------------------------------------------------------ convolution

/// The sums over all taps for Channels × Pixels vectors of the output, all in registers.
template <int Channels, int Pixels>
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
            const Vector w = all(weights[k]);
#pragma GCC unroll 16
            for (int p = 0; p < Pixels; ++p)
                sum[k][p] += w * x[p];
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

template <int Channels, int Pixels>
struct TileTable {
    static TileFunction find(int pixels) {
        if (pixels == Pixels) return convolve_tile<Channels, Pixels>;
        if constexpr (Pixels > 1) return TileTable<Channels, Pixels - 1>::find(pixels);
        return nullptr;
    }
};

/// With few channels a tile has more pixels, so that there are sums enough to hide the time that
/// an addition takes.
template <int Channels>
constexpr int pixels_of_tile() {
    constexpr int sums = HDAP_CHANNEL_TILE * HDAP_PIXEL_TILE;
    constexpr int most = HDAP_LANES == 16 ? 12 : 8;
    return sums / Channels < most ? sums / Channels : most;
}

template <int Channels>
TileFunction tile_of(int channels, int pixels, int& tile_pixels) {
    if (channels == Channels) {
        tile_pixels = pixels_of_tile<Channels>();
        return TileTable<Channels, pixels_of_tile<Channels>()>::find(
            pixels < tile_pixels ? pixels : tile_pixels);
    }
    if constexpr (Channels > 1) return tile_of<Channels - 1>(channels, pixels, tile_pixels);
    return nullptr;
}

/// Some pixels of one tile of channels.
void convolve_channels(const LaneKernels::Convolution& c, std::int64_t first_channel,
                       std::int64_t channels, std::int64_t first_pixel, std::int64_t last_pixel) {
    // A tile's weights lie behind those of all channels before it.
    const float* const weights = c.weights + first_channel * c.taps;
    for (std::int64_t p = first_pixel; p < last_pixel;) {
        int tile_pixels = 0;
        const auto left = static_cast<int>(last_pixel - p);
        const TileFunction tile =
            tile_of<HDAP_CHANNEL_TILE>(static_cast<int>(channels), left, tile_pixels);
        tile(c, weights, c.pixel_offsets + p, c.bias + first_channel,
             c.output + first_channel * c.output_stride + p * lanes);
        p += left < tile_pixels ? left : tile_pixels;
    }
}

void convolve(const LaneKernels::Convolution& c) {
    // What a few pixels read should stay in the cache for all tiles of channels; but where the
    // weights are larger than the input, these should come from memory only once.
    const std::int64_t pixel_block = c.channels > c.pixels * lanes ? c.pixels : 24;
    const std::int64_t tiles = convolution_tiles(c.channels, HDAP_CHANNEL_TILE);
    for (std::int64_t p = 0; p < c.pixels; p += pixel_block)
        for (std::int64_t i = 0; i < tiles; ++i) {
            const std::int64_t first = c.channels * i / tiles;
            convolve_channels(c, first, c.channels * (i + 1) / tiles - first, p,
                              p + pixel_block < c.pixels ? p + pixel_block : c.pixels);
        }
}

/// Pixels of a row from `x` on, in all channels. Left and Right tell that the first and the last
/// column that they read are padding.
template <int Stride, int Pixels, bool Left, bool Right>
void depthwise_tile(const LaneKernels::DepthwiseRow& d, std::int64_t x, float* output) {
    constexpr int columns = (Pixels - 1) * Stride + 3;
    const Vector low = all(d.low);
    const Vector high = all(d.high);
    std::int64_t offset = (x * Stride - 1) * lanes;
    const float* weights = d.weights;
    for (std::int64_t c = 0; c < d.channels; ++c) {
        Vector sum[Pixels];
#pragma GCC unroll 16
        for (int p = 0; p < Pixels; ++p)
            sum[p] = all(d.bias[c]);
#pragma GCC unroll 3
        for (int r = 0; r < 3; ++r) {
            if (!d.rows[r]) continue;
            const float* const row = d.rows[r] + offset;
            Vector value[columns];
#pragma GCC unroll 16
            for (int j = Left; j < columns - Right; ++j)
                value[j] = load(row + j * lanes);
#pragma GCC unroll 3
            for (int k = 0; k < 3; ++k) {
                const Vector w = all(weights[r * 3 + k]);
#pragma GCC unroll 16
                for (int p = 0; p < Pixels; ++p) {
                    const int j = p * Stride + k;
                    if (j >= Left && j < columns - Right) sum[p] += w * value[j];
                }
            }
        }
#pragma GCC unroll 16
        for (int p = 0; p < Pixels; ++p)
            at(output + p * lanes) = clamped(sum[p], low, high);
        offset += d.input_stride;
        output += d.output_stride;
        weights += 9;
    }
}

using DepthwiseTile = void (*)(const LaneKernels::DepthwiseRow&, std::int64_t, float*);

template <int Stride, int Pixels>
DepthwiseTile depthwise_tile_of(std::int64_t pixels, bool left, bool right) {
    if (pixels == Pixels) {
        if (left)
            return right ? depthwise_tile<Stride, Pixels, true, true>
                         : depthwise_tile<Stride, Pixels, true, false>;
        return right ? depthwise_tile<Stride, Pixels, false, true>
                     : depthwise_tile<Stride, Pixels, false, false>;
    }
    if constexpr (Pixels > 1) return depthwise_tile_of<Stride, Pixels - 1>(pixels, left, right);
    return nullptr;
}

void depthwise_row(const LaneKernels::DepthwiseRow& d) {
    constexpr std::int64_t group = LaneKernels::group_pixels;
    for (std::int64_t x = 0; x < d.output_width; x += group) {
        const std::int64_t pixels = d.output_width - x < group ? d.output_width - x : group;
        const bool right = (x + pixels - 1) * d.stride + 1 >= d.width;
        const DepthwiseTile tile = d.stride == 1
                                       ? depthwise_tile_of<1, group>(pixels, x == 0, right)
                                       : depthwise_tile_of<2, group>(pixels, x == 0, right);
        tile(d, x, d.output + x / group * d.group_stride);
    }
}

inline float* zero(float* output, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i, output += lanes)
        at(output) = Vector{};
    return output;
}

/// By vectors: the library's functions would take longer for the short rows of small images than
/// the convolution itself.
void pad(const LaneKernels::Padding& p, const float* input, std::int64_t channels, float* output) {
    const std::int64_t right = p.output_width - p.left - p.width;
    const std::int64_t bottom = p.output_height - p.top - p.height;
    for (std::int64_t c = 0; c < channels; ++c) {
        output = zero(output, p.top * p.output_width);
        for (std::int64_t y = 0; y < p.height; ++y) {
            output = zero(output, p.left);
            for (std::int64_t x = 0; x < p.width; ++x, input += lanes, output += lanes)
                at(output) = load(input);
            output = zero(output, right);
        }
        output = zero(output, bottom * p.output_width);
    }
}

// ------------------------------------------------------------------------------ batch norm

void scale(const float* input, std::int64_t channels, std::int64_t pixels, const float* factor,
           const float* offset, float low, float high, float* output) {
    for (std::int64_t c = 0; c < channels; ++c)
        for (std::int64_t p = 0; p < pixels; ++p, input += lanes, output += lanes)
            at(output) = clamped(load(input) * factor[c] + offset[c], all(low), all(high));
}

void sums(const float* input, std::int64_t pixels, float origin, double* sum, double* squares) {
    constexpr std::int64_t block = 64; // sums of floats stay short
    for (std::int64_t l = 0; l < lanes; ++l)
        sum[l] = squares[l] = 0.0;
    for (std::int64_t first = 0; first < pixels; first += block) {
        const std::int64_t last = first + block < pixels ? first + block : pixels;
        Vector block_sum = {};
        Vector block_squares = {};
        for (std::int64_t p = first; p < last; ++p) {
            const Vector x = load(input + p * lanes) - origin;
            block_sum += x;
            block_squares += x * x;
        }
        for (std::int64_t l = 0; l < lanes; ++l) {
            sum[l] += static_cast<double>(block_sum[l]);
            squares[l] += static_cast<double>(block_squares[l]);
        }
    }
}

// ------------------------------------------------------------------------------ elementwise

template <class Function>
void combine(const LaneKernels::Operand& a, const LaneKernels::Operand& b, std::int64_t channels,
             std::int64_t pixels, float* output, const Function& function) {
    for (std::int64_t c = 0; c < channels; ++c)
        for (std::int64_t p = 0; p < pixels; ++p, output += lanes)
            at(output) = function(load(a.values + c * a.channel_stride + p * a.pixel_stride),
                                  load(b.values + c * b.channel_stride + p * b.pixel_stride));
}

void add(const LaneKernels::Operand& a, const LaneKernels::Operand& b, std::int64_t channels,
         std::int64_t pixels, float* output) {
    combine(a, b, channels, pixels, output, [](Vector x, Vector y) { return x + y; });
}

void multiply(const LaneKernels::Operand& a, const LaneKernels::Operand& b, std::int64_t channels,
              std::int64_t pixels, float* output) {
    combine(a, b, channels, pixels, output, [](Vector x, Vector y) { return x * y; });
}

/// e^x to about 2 units in the last place: 2^n · e^r with |r| ≤ ln 2 / 2, e^r by its Taylor
/// polynomial.
inline Vector exponential(Vector x) {
    x = clamped(x, all(-87.0F), all(88.0F));
    const Vector scaled = x * 1.44269504F;
    const IntVector n =
        __builtin_convertvector(scaled + (scaled < 0.0F ? all(-0.5F) : all(0.5F)), IntVector);
    const Vector whole = __builtin_convertvector(n, Vector);
    // ln 2 in two parts, the first of few bits, so that its product is exact.
    const Vector r = (x - whole * 0.693359375F) - whole * -2.12194440e-4F;
    Vector sum = all(1.0F / 5040.0F);
    sum = sum * r + 1.0F / 720.0F;
    sum = sum * r + 1.0F / 120.0F;
    sum = sum * r + 1.0F / 24.0F;
    sum = sum * r + 1.0F / 6.0F;
    sum = sum * r + 0.5F;
    sum = sum * r + 1.0F;
    sum = sum * r + 1.0F;
    const IntVector bits = (n + 127) << 23;
    return sum * __builtin_bit_cast(Vector, bits);
}

inline Vector logistic(Vector x) {
    return 1.0F / (1.0F + exponential(-x));
}

template <class Function>
void each(float* values, std::int64_t count, const Function& function) {
    for (std::int64_t i = 0; i < count; ++i, values += lanes)
        at(values) = function(load(values));
}

void clamp(float* values, std::int64_t count, float low, float high) {
    each(values, count, [=](Vector x) { return clamped(x, all(low), all(high)); });
}
void leaky_relu(float* values, std::int64_t count, float slope) {
    each(values, count, [=](Vector x) { return x < 0.0F ? x * slope : x; });
}
void silu(float* values, std::int64_t count) {
    each(values, count, [](Vector x) { return x * logistic(x); });
}
void sigmoid(float* values, std::int64_t count) {
    each(values, count, [](Vector x) { return logistic(x); });
}
void tanh(float* values, std::int64_t count) {
    each(values, count, [](Vector x) { return 2.0F * logistic(2.0F * x) - 1.0F; });
}
inline Vector hard_logistic(Vector x) {
    return clamped(x * (1.0F / 6.0F) + 0.5F, all(0.0F), all(1.0F));
}
void hard_sigmoid(float* values, std::int64_t count) {
    each(values, count, [](Vector x) { return hard_logistic(x); });
}
void hard_swish(float* values, std::int64_t count) {
    each(values, count, [](Vector x) { return x * hard_logistic(x); });
}

void softmax(const float* input, std::int64_t channels, std::int64_t pixels, float* output) {
    for (std::int64_t p = 0; p < pixels; ++p) {
        const auto offset = [&](std::int64_t c) { return (c * pixels + p) * lanes; };
        Vector largest = load(input + offset(0));
        for (std::int64_t c = 1; c < channels; ++c) {
            const Vector x = load(input + offset(c));
            largest = x > largest ? x : largest;
        }
        Vector sum = {};
        for (std::int64_t c = 0; c < channels; ++c) {
            const Vector e = exponential(load(input + offset(c)) - largest);
            at(output + offset(c)) = e;
            sum += e;
        }
        for (std::int64_t c = 0; c < channels; ++c)
            at(output + offset(c)) /= sum;
    }
}

// ------------------------------------------------------------------------------ pooling

/// The rows or columns of a window that are in the image.
struct Range {
    std::int64_t first;
    std::int64_t last;
    std::int64_t padded; ///< how many there are with the padding
};

inline Range window(std::int64_t output, std::int64_t stride, std::int64_t padding,
                    std::int64_t kernel, std::int64_t size) {
    const std::int64_t first = output * stride - padding;
    const std::int64_t last = first + kernel;
    const std::int64_t border = size + padding;
    return {first > 0 ? first : 0, last < size ? last : size,
            (last < border ? last : border) - first};
}

template <class Reduce>
void pool(const LaneKernels::Pooling& p, const float* input, std::int64_t channels, float* output,
          const Reduce& reduce) {
    for (std::int64_t c = 0; c < channels; ++c, input += p.height * p.width * lanes)
        for (std::int64_t y = 0; y < p.output_height; ++y) {
            const Range rows =
                window(y, p.stride_height, p.padding_height, p.kernel_height, p.height);
            for (std::int64_t x = 0; x < p.output_width; ++x, output += lanes)
                at(output) =
                    reduce(input, rows,
                           window(x, p.stride_width, p.padding_width, p.kernel_width, p.width));
        }
}

void max_pool(const LaneKernels::Pooling& p, const float* input, std::int64_t channels,
              float* output) {
    pool(p, input, channels, output,
         [&p](const float* image, const Range& rows, const Range& columns) {
             Vector largest = load(image + (rows.first * p.width + columns.first) * lanes);
             for (std::int64_t y = rows.first; y < rows.last; ++y)
                 for (std::int64_t x = columns.first; x < columns.last; ++x) {
                     const Vector value = load(image + (y * p.width + x) * lanes);
                     largest = largest > value ? largest : value;
                 }
             return largest;
         });
}

void average_pool(const LaneKernels::Pooling& p, const float* input, std::int64_t channels,
                  float* output) {
    pool(p, input, channels, output,
         [&p](const float* image, const Range& rows, const Range& columns) {
             Vector sum = {};
             for (std::int64_t y = rows.first; y < rows.last; ++y)
                 for (std::int64_t x = columns.first; x < columns.last; ++x)
                     sum += load(image + (y * p.width + x) * lanes);
             const std::int64_t count =
                 p.include_padding ? rows.padded * columns.padded
                                   : (rows.last - rows.first) * (columns.last - columns.first);
             return sum / static_cast<float>(count);
         });
}

void interpolate(const float* input, std::int64_t input_pixels, std::int64_t channels,
                 const LaneKernels::Interpolation* table, std::int64_t output_pixels,
                 float* output) {
    for (std::int64_t c = 0; c < channels; ++c, input += input_pixels * lanes)
        for (std::int64_t p = 0; p < output_pixels; ++p, output += lanes) {
            Vector sum = {};
            for (int k = 0; k < 4; ++k)
                sum += load(input + table[p].pixel[k] * lanes) * table[p].weight[k];
            at(output) = sum;
        }
}

constexpr LaneKernels kernels{.lanes = HDAP_LANES,
                              .channel_tile = HDAP_CHANNEL_TILE,
                              .convolve = convolve,
                              .depthwise_row = depthwise_row,
                              .pad = pad,
                              .scale = scale,
                              .sums = sums,
                              .add = add,
                              .multiply = multiply,
                              .clamp = clamp,
                              .leaky_relu = leaky_relu,
                              .silu = silu,
                              .sigmoid = sigmoid,
                              .tanh = tanh,
                              .hard_sigmoid = hard_sigmoid,
                              .hard_swish = hard_swish,
                              .softmax = softmax,
                              .max_pool = max_pool,
                              .average_pool = average_pool,
                              .interpolate = interpolate};

} // namespace
