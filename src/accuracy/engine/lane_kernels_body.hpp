// The kernels of lane_kernels.hpp for vectors of HDAP_LANES floats. Nothing here may come from the
// standard library's templates; see lane_vector.hpp.
#include "lane_convolution.hpp"
#include "lane_kernels.hpp"
#include "lane_vector.hpp"

namespace hdap::accuracy {
namespace {

// ------------------------------------------------------------------------------ convolution

struct Float32Products {
    static constexpr std::int64_t channels = 1;
    static Vector word(const float* input, const float*) { return load(input); }
    static Vector repeat(const float* weight) { return all(*weight); }
    static Vector multiply_add(Vector sum, Vector weight, Vector input) {
        return sum + weight * input;
    }
};

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

void interpolate(const LaneKernels::Interpolation& p, const float* input, std::int64_t channels,
                 float* output) {
    for (std::int64_t c = 0; c < channels; ++c, input += p.height * p.width * lanes)
        for (std::int64_t y = 0; y < p.row_count; ++y) {
            const LaneKernels::Place& row = p.rows[y];
            const float* const upper = input + row.first * p.width * lanes;
            const float* const lower = input + row.second * p.width * lanes;
            for (std::int64_t x = 0; x < p.column_count; ++x, output += lanes) {
                const LaneKernels::Place& column = p.columns[x];
                const std::int64_t left = column.first * lanes;
                const std::int64_t right = column.second * lanes;
                const float above = 1.0F - row.share;
                const float before = 1.0F - column.share;
                Vector sum = load(upper + left) * (above * before);
                sum += load(upper + right) * (above * column.share);
                sum += load(lower + left) * (row.share * before);
                sum += load(lower + right) * (row.share * column.share);
                at(output) = sum;
            }
        }
}

void multiply_add_registers(std::int64_t count, float* values) {
    constexpr int chains = 12; // enough to hide the time that one takes
    const Vector x = load(values);
    Vector sum[chains];
    for (int i = 0; i < chains; ++i)
        sum[i] = x;
    for (std::int64_t done = 0; done < count; done += chains)
#pragma GCC unroll 16
        for (int i = 0; i < chains; ++i)
            sum[i] = sum[i] * x + x;
    for (int i = 1; i < chains; ++i)
        sum[0] += sum[i];
    at(values) = sum[0];
}

constexpr LaneKernels kernels{.lanes = HDAP_LANES,
                              .channel_tile = HDAP_CHANNEL_TILE,
                              .packed_channels = 1,
                              .pad = pack<Float32Products>,
                              .pack = pack<Float32Products>,
                              .convolve = convolve<Float32Products>,
                              .depthwise_row = depthwise_row,
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
                              .interpolate = interpolate,
                              .multiply_add_registers = multiply_add_registers};

} // namespace
