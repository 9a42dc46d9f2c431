#include "lane_layer.hpp"

#include "hdap/core/error.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>

namespace hdap::accuracy {

using network::Node;
using network::Operator;
using network::TensorShape;

LaneBuffer make_buffer(std::int64_t elements) {
    constexpr std::size_t line = 64;
    const std::size_t bytes =
        (static_cast<std::size_t>(elements) * sizeof(float) + line - 1) / line * line;
    LaneBuffer buffer(static_cast<float*>(std::aligned_alloc(line, std::max(bytes, line))));
    if (!buffer)
        throw core::InternalError("no memory for " + std::to_string(bytes) +
                                  " bytes of activations");
    std::memset(buffer.get(), 0, bytes);
    return buffer;
}

std::int64_t pixels_of(const TensorShape& shape) {
    return shape.extent.height * shape.extent.width;
}

bool is_clamp(Operator op) {
    return op == Operator::relu || op == Operator::relu6;
}

Clamp clamp_of(const Node& activation) {
    if (activation.op == Operator::relu) return {0.0F, std::numeric_limits<float>::infinity()};
    if (activation.op == Operator::relu6) return {0.0F, 6.0F};
    return {};
}

std::vector<float> bias_of(const Node& node, const network::Weights& weights) {
    if (node.bias) return weights.at(node.name + ".bias").values;
    return std::vector<float>(static_cast<std::size_t>(node.output_channels), 0.0F);
}

std::int64_t words_of(std::int64_t channels, const LaneKernels& kernels) {
    return (channels + kernels.packed_channels - 1) / kernels.packed_channels;
}

std::uint16_t bfloat16_of(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    constexpr std::uint32_t quiet = 0x0040; // or rounding could make infinity of not-a-number
    if (std::isnan(value)) return static_cast<std::uint16_t>(bits >> 16 | quiet);
    const std::uint32_t half_or_less_if_even = 0x7FFF + (bits >> 16 & 1);
    return static_cast<std::uint16_t>((bits + half_or_less_if_even) >> 16);
}

namespace {

/// The word of `channel` and, where a word has two, of the next one, in `filter`, which is
/// [input channels][kernel pixels], at one place of the kernel.
float word_of(const float* filter, const Filters& filters, std::int64_t channel, std::int64_t place,
              const LaneKernels& kernels) {
    const float* const lower = filter + channel * filters.kernel_pixels + place;
    if (kernels.packed_channels == 1) return *lower;
    const bool alone = channel + 1 == filters.input_channels;
    const std::uint32_t upper = alone ? 0U : bfloat16_of(lower[filters.kernel_pixels]);
    return std::bit_cast<float>(upper << 16 | bfloat16_of(*lower));
}

} // namespace

std::vector<float> packed_weights(const std::vector<float>& weight, const Filters& filters,
                                  const LaneKernels& kernels) {
    const std::int64_t tiles = convolution_tiles(filters.channels, kernels.channel_tile);
    const std::int64_t filter = filters.input_channels * filters.kernel_pixels;
    std::vector<float> words;
    for (std::int64_t tile = 0; tile < tiles; ++tile) {
        const std::int64_t begin = filters.channels * tile / tiles;
        const std::int64_t end = filters.channels * (tile + 1) / tiles;
        for (std::int64_t i = 0; i < filters.input_channels; i += kernels.packed_channels)
            for (std::int64_t place = 0; place < filters.kernel_pixels; ++place)
                for (std::int64_t c = begin; c < end; ++c)
                    words.push_back(word_of(weight.data() + (filters.first + c) * filter, filters,
                                            i, place, kernels));
    }
    return words;
}

Taps taps_of(const Node& node, const TensorShape& input, const TensorShape& output,
             const LaneKernels& kernels) {
    const int lanes = kernels.lanes;
    Taps taps;
    taps.padded = {words_of(input.channels / node.groups, kernels),
                   {input.extent.height + 2 * node.padding.height,
                    input.extent.width + 2 * node.padding.width}};
    const std::int64_t height = taps.padded.extent.height;
    const std::int64_t width = taps.padded.extent.width;
    for (std::int64_t c = 0; c < taps.padded.channels; ++c)
        for (std::int64_t y = 0; y < node.kernel.height; ++y)
            for (std::int64_t x = 0; x < node.kernel.width; ++x)
                taps.offsets.push_back(
                    ((c * height + y * node.dilation.height) * width + x * node.dilation.width) *
                    lanes);
    for (std::int64_t y = 0; y < output.extent.height; ++y)
        for (std::int64_t x = 0; x < output.extent.width; ++x)
            taps.pixels.push_back((y * node.stride.height * width + x * node.stride.width) * lanes);
    return taps;
}

LaneKernels::Padding padding_of(const Node& node, const TensorShape& from,
                                const network::Extent& to) {
    return {.height = from.extent.height,
            .width = from.extent.width,
            .top = node.padding.height,
            .left = node.padding.width,
            .output_height = to.height,
            .output_width = to.width};
}

TensorRows all_rows(float* values, const TensorShape& shape, int lanes) {
    return {values, shape.extent.width * lanes, pixels_of(shape) * lanes, shape.extent.height};
}

TensorRows last_rows(float* values, const TensorShape& shape, std::int64_t held, int lanes) {
    const std::int64_t channel_stride = shape.extent.width * lanes;
    return {values, shape.channels * channel_stride, channel_stride, held};
}

bool has_depthwise_rows(const Node& node, std::int64_t input_channels) {
    const network::Extent one{1, 1};
    return network::is_depthwise(node, input_channels) && node.kernel == network::Extent{3, 3} &&
           node.padding == one && node.dilation == one &&
           (node.stride == one || node.stride == network::Extent{2, 2});
}

DepthwiseLayer depthwise_layer(const Node& node, const network::Weights& weights,
                               const TensorShape& input, const TensorShape& output,
                               const Clamp& clamp) {
    return {input,
            output,
            node.stride.width,
            weights.at(node.name + ".weight").values,
            bias_of(node, weights),
            clamp};
}

void run_depthwise_row(const LaneKernels& kernels, const DepthwiseLayer& layer,
                       const TensorRows& input, std::int64_t y, float* output,
                       std::int64_t output_stride, std::int64_t group_stride) {
    LaneKernels::DepthwiseRow row{.rows = {},
                                  .input_stride = input.channel_stride,
                                  .width = layer.input.extent.width,
                                  .stride = layer.stride,
                                  .weights = layer.weights.data(),
                                  .bias = layer.bias.data(),
                                  .channels = layer.input.channels,
                                  .output = output,
                                  .output_width = layer.output.extent.width,
                                  .output_stride = output_stride,
                                  .group_stride = group_stride,
                                  .low = layer.clamp.low,
                                  .high = layer.clamp.high};
    for (std::int64_t k = 0; k < 3; ++k) {
        const std::int64_t from = y * layer.stride + k - 1;
        row.rows[k] = from >= 0 && from < layer.input.extent.height ? input.row(from) : nullptr;
    }
    kernels.depthwise_row(row);
}

} // namespace hdap::accuracy
