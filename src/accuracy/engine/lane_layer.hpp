#pragma once

#include "hdap/network/graph.hpp"
#include "hdap/network/weights.hpp"
#include "lane_kernels.hpp"

#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <vector>

namespace hdap::accuracy {

struct FreeMemory {
    void operator()(float* pointer) const noexcept { std::free(pointer); }
};

/// Memory at the boundary of a cache line.
using LaneBuffer = std::unique_ptr<float, FreeMemory>;

/// A buffer of `elements` floats, all 0: lanes without an image must not hold numbers that slow the
/// arithmetic down. Throws InternalError where there is no memory.
LaneBuffer make_buffer(std::int64_t elements);

std::int64_t pixels_of(const network::TensorShape& shape);

/// What a layer's result is clamped to by the activation that is done in the same pass.
struct Clamp {
    float low = -std::numeric_limits<float>::infinity();
    float high = std::numeric_limits<float>::infinity();
};

/// Whether the activation only clamps.
bool is_clamp(network::Operator op);

/// The clamp of such an activation, and none for other nodes.
Clamp clamp_of(const network::Node& activation);

/// The bias of a layer, zeros where it has none.
std::vector<float> bias_of(const network::Node& node, const network::Weights& weights);

/// How many words so many input channels take; see LaneKernels::packed_channels.
std::int64_t words_of(std::int64_t channels, const LaneKernels& kernels);

/// `value` as bfloat16: its sign, its exponent and the upper seven bits of its fraction, rounded to
/// nearest, ties to even.
std::uint16_t bfloat16_of(float value);

/// Filters of a layer's weight, which is [output channels][input channels][kernel pixels].
struct Filters {
    std::int64_t first;    ///< output channel
    std::int64_t channels; ///< output channels
    std::int64_t input_channels;
    std::int64_t kernel_pixels;
};

/// Filters as words, in the order of LaneKernels::Convolution::weights.
std::vector<float> packed_weights(const std::vector<float>& weight, const Filters& filters,
                                  const LaneKernels& kernels);

/// How a convolution or linear layer reads its input.
struct Taps {
    network::TensorShape padded;       ///< of one group's input with its padding, in words
    std::vector<std::int64_t> offsets; ///< [taps], in words
    std::vector<std::int64_t> pixels;  ///< [output pixels], in words
};

Taps taps_of(const network::Node& node, const network::TensorShape& input,
             const network::TensorShape& output, const LaneKernels& kernels);

/// The padding that gives an input the extent `to`.
LaneKernels::Padding padding_of(const network::Node& node, const network::TensorShape& from,
                                const network::Extent& to);

/// Where the rows of a block's tensor lie: all of them in [channels][rows][width][lanes], or the
/// last few in [rows][channels][width][lanes].
struct TensorRows {
    float* first = nullptr;
    std::int64_t row_stride = 0;     ///< in floats
    std::int64_t channel_stride = 0; ///< in floats
    std::int64_t held = 0;           ///< rows that are there at a time

    /// Row `y` of the first channel.
    [[nodiscard]] float* row(std::int64_t y) const { return first + y % held * row_stride; }
};

TensorRows all_rows(float* values, const network::TensorShape& shape, int lanes);

/// `values` has held · channels · width · lanes floats.
TensorRows last_rows(float* values, const network::TensorShape& shape, std::int64_t held,
                     int lanes);

/// A layer that LaneKernels::depthwise_row computes.
struct DepthwiseLayer {
    network::TensorShape input;
    network::TensorShape output;
    std::int64_t stride = 1;
    std::vector<float> weights; ///< [channels][3][3]
    std::vector<float> bias;    ///< [channels]
    Clamp clamp;
};

/// Whether LaneKernels::depthwise_row computes the node: 3 × 3, padding 1, stride 1 or 2.
bool has_depthwise_rows(const network::Node& node, std::int64_t input_channels);

DepthwiseLayer depthwise_layer(const network::Node& node, const network::Weights& weights,
                               const network::TensorShape& input,
                               const network::TensorShape& output, const Clamp& clamp);

/// Row `y` of the layer's output, to `output`, with the strides of LaneKernels::DepthwiseRow.
void run_depthwise_row(const LaneKernels& kernels, const DepthwiseLayer& layer,
                       const TensorRows& input, std::int64_t y, float* output,
                       std::int64_t output_stride, std::int64_t group_stride);

} // namespace hdap::accuracy
