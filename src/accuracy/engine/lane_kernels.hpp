#pragma once

#include <cstddef>
#include <cstdint>

namespace hdap::accuracy {

/// The arithmetic of the engine.
///
/// A *block* is as many images as a vector register has lanes. A tensor of a block is
/// [channels][pixels][lanes]: a lane is an image, and what a plain loop does to one number, these
/// kernels do to a vector. So no channel count, image size or kernel leaves a lane idle, which is
/// what pruned networks with their odd channel counts need, and an image's result does not depend
/// on the images beside it.
///
/// All pointers are at multiples of a vector's size. `low` and `high` clamp the result: ReLU is
/// [0, ∞], no activation [-∞, ∞]. Not-a-number stays what it is.
struct LaneKernels {
    int lanes;

    /// The most output channels that `convolve` computes at a time.
    int channel_tile;

    /// How many input channels `convolve` takes at a time, in one *word*, which has the size of a
    /// float: 1 is a float, 2 are two bfloat16, the lower channel in the lower half. A channel that
    /// is not there is 0. Sums, biases and outputs are floats.
    int packed_channels;

    /// How many pixels of a row `depthwise_row` computes at a time.
    static constexpr std::int64_t group_pixels = 4;

    /// An image in the middle of zeros.
    struct Padding {
        std::int64_t height, width; ///< of the input
        std::int64_t top, left;     ///< rows and columns of zeros
        std::int64_t output_height, output_width;
    };
    void (*pad)(const Padding&, const float* input, std::int64_t channels, float* output);

    /// The same as words, [channels / packed_channels, rounded up][pixels][lanes]: what `convolve`
    /// reads. Without padding and with packed_channels = 1 that is the input itself.
    void (*pack)(const Padding&, const float* input, std::int64_t channels, float* output);

    /// A convolution or linear layer of one group, as a sum over taps: the input channels of a word
    /// at one place of the kernel.
    struct Convolution {
        const float* input;              ///< words, from `pack`
        const std::int64_t* tap_offsets; ///< [taps], in words
        std::int64_t taps;
        const std::int64_t* pixel_offsets; ///< [pixels], of the first tap of an output pixel
        std::int64_t pixels;
        const float* weights; ///< words, [tile][taps][channels of the tile]; see convolution_tiles
        const float* bias;    ///< [channels]
        std::int64_t channels;
        float* output;              ///< [channels][pixels][lanes]
        std::int64_t output_stride; ///< from a channel to the next, in floats
        bool accumulate;            ///< adds to what is in the output
        float low;
        float high;
    };
    void (*convolve)(const Convolution&);

    /// One row of a depthwise 3 × 3 convolution with a padding of 1, which is read as zeros without
    /// being there.
    struct DepthwiseRow {
        const float* rows[3];      ///< of the first channel; null is a row of padding
        std::int64_t input_stride; ///< from a channel to the next, in floats
        std::int64_t width;        ///< of the input
        std::int64_t stride;       ///< 1 or 2
        const float* weights;      ///< [channels][3][3]
        const float* bias;         ///< [channels]
        std::int64_t channels;
        /// [output_width / group_pixels][channels][group_pixels][lanes], with the strides below.
        float* output;
        std::int64_t output_width;
        std::int64_t output_stride; ///< from a channel to the next, in floats
        std::int64_t group_stride;  ///< from a group of pixels to the next, in floats
        float low;
        float high;
    };
    void (*depthwise_row)(const DepthwiseRow&);

    /// Per channel input · factor + offset, clamped. `output` may be `input`.
    void (*scale)(const float* input, std::int64_t channels, std::int64_t pixels,
                  const float* factor, const float* offset, float low, float high, float* output);

    /// The sums of (value - origin) and of its square over the pixels of one channel, per lane.
    void (*sums)(const float* input, std::int64_t pixels, float origin, double* sum,
                 double* squares);

    /// An operand of an addition or multiplication; its strides are 0 where it is repeated.
    struct Operand {
        const float* values;
        std::int64_t channel_stride; ///< in floats
        std::int64_t pixel_stride;
    };
    void (*add)(const Operand& a, const Operand& b, std::int64_t channels, std::int64_t pixels,
                float* output);
    void (*multiply)(const Operand& a, const Operand& b, std::int64_t channels, std::int64_t pixels,
                     float* output);

    /// Activations in place, over `count` vectors.
    void (*clamp)(float* values, std::int64_t count, float low, float high);
    void (*leaky_relu)(float* values, std::int64_t count, float slope);
    void (*silu)(float* values, std::int64_t count);
    void (*sigmoid)(float* values, std::int64_t count);
    void (*tanh)(float* values, std::int64_t count);
    void (*hard_sigmoid)(float* values, std::int64_t count);
    void (*hard_swish)(float* values, std::int64_t count);
    /// Over the channels of every pixel. `output` may be `input`.
    void (*softmax)(const float* input, std::int64_t channels, std::int64_t pixels, float* output);

    /// Maximum or mean over the windows of one channel's image.
    struct Pooling {
        std::int64_t height, width; ///< of the input
        std::int64_t output_height, output_width;
        std::int64_t kernel_height, kernel_width;
        std::int64_t stride_height, stride_width;
        std::int64_t padding_height, padding_width;
        bool include_padding; ///< a mean counts the padding as zeros
    };
    void (*max_pool)(const Pooling&, const float* input, std::int64_t channels, float* output);
    void (*average_pool)(const Pooling&, const float* input, std::int64_t channels, float* output);

    /// Where a row or column of a resized image lies: between two of the input's.
    struct Place {
        std::int64_t first;
        std::int64_t second;
        float share; ///< of the second
    };
    /// A weighted mean of four pixels for every output pixel.
    struct Interpolation {
        std::int64_t height, width; ///< of the input
        const Place* rows;
        std::int64_t row_count;
        const Place* columns;
        std::int64_t column_count;
    };
    void (*interpolate)(const Interpolation&, const float* input, std::int64_t channels,
                        float* output);

    /// For benchmarks, the processor's limit: so many vectors of multiply-adds, and up to 11 more,
    /// that read and write nothing but registers. `values`, one vector, is both operands and keeps
    /// the result.
    void (*multiply_add_registers)(std::int64_t count, float* values);
};

/// The kernels for this processor.
const LaneKernels& lane_kernels();

/// Those that take bfloat16, null where this processor has none (AVX512-BF16).
const LaneKernels* bfloat16_lane_kernels();

/// All that take floats and that this processor can run, the plainest first, for tests.
struct LaneKernelSet {
    const LaneKernels* kernels[3];
    int count;
};
LaneKernelSet all_lane_kernels();

/// How many tiles `convolve` splits `channels` into: as few as possible, of nearly equal size. Tile
/// i has the channels [channels · i / tiles, channels · (i + 1) / tiles).
constexpr std::int64_t convolution_tiles(std::int64_t channels, int channel_tile) {
    return (channels + channel_tile - 1) / channel_tile;
}

} // namespace hdap::accuracy
