#include "row_chain.hpp"

#include "hdap/core/check.hpp"

#include <algorithm>
#include <utility>

namespace hdap::accuracy {
namespace {

using network::TensorShape;

constexpr std::int64_t group = LaneKernels::group_pixels;

/// How a pointwise convolution reads a depthwise row in [width / group][words][group][lanes]: a
/// tile of pixels has its inputs side by side.
Taps group_taps(const TensorShape& input, const LaneKernels& kernels) {
    const std::int64_t words = words_of(input.channels, kernels);
    const int lanes = kernels.lanes;
    Taps taps;
    for (std::int64_t w = 0; w < words; ++w)
        taps.offsets.push_back(w * group * lanes);
    for (std::int64_t x = 0; x < input.extent.width; ++x)
        taps.pixels.push_back((x / group * words * group + x % group) * lanes);
    return taps;
}

std::int64_t row_elements(const TensorShape& shape) {
    return shape.channels * ((shape.extent.width + group - 1) / group * group);
}

} // namespace

RowChain::RowChain(const std::vector<Layer>& layers, const network::Weights& weights,
                   const LaneKernels& kernels)
    : kernels_(kernels) {
    std::size_t i = 0;
    if (layers.size() % 2 == 1) add_dense(layers[i++], weights);
    for (; i < layers.size(); i += 2)
        add_pair(layers[i], layers[i + 1], weights);
    std::int64_t longest_row = 0;
    for (std::size_t s = 0; s < stages_.size(); ++s) {
        if (stages_[s].depthwise)
            longest_row = std::max(longest_row, row_elements(stages_[s].input));
        if (s + 1 < stages_.size()) keep_last_rows(stages_[s]);
    }
    row_ = make_buffer(longest_row * kernels.lanes);
    if (kernels.packed_channels > 1) packed_row_ = make_buffer(longest_row * kernels.lanes);
}

/// The first layer, which reads a whole tensor.
void RowChain::add_dense(const Layer& layer, const network::Weights& weights) {
    Stage stage = make_stage(layer, weights);
    stage.taps = taps_of(*layer.node, layer.input, layer.output, kernels_);
    if (kernels_.packed_channels > 1 || layer.node->padding != network::Extent{0, 0}) {
        const TensorShape& padded = stage.taps.padded;
        stage.packing = padding_of(*layer.node, layer.input, padded.extent);
        packed_ = make_buffer(padded.channels * pixels_of(padded) * kernels_.lanes);
    }
    stages_.push_back(std::move(stage));
}

void RowChain::add_pair(const Layer& depthwise, const Layer& pointwise,
                        const network::Weights& weights) {
    Stage stage = make_stage(pointwise, weights);
    stage.depthwise = depthwise_layer(*depthwise.node, weights, depthwise.input, depthwise.output,
                                      depthwise.clamp);
    stage.taps = group_taps(stage.input, kernels_);
    stages_.push_back(std::move(stage));
}

void RowChain::keep_last_rows(Stage& stage) const {
    constexpr std::int64_t held = 3; // what the next depthwise convolution reads
    const std::int64_t row = stage.output.channels * stage.output.extent.width;
    stage.buffer = make_buffer(held * row * kernels_.lanes);
    stage.rows = last_rows(stage.buffer.get(), stage.output, held, kernels_.lanes);
}

/// A stage but for how it reads its input.
RowChain::Stage RowChain::make_stage(const Layer& layer, const network::Weights& weights) const {
    const std::vector<float>& weight = weights.at(layer.node->name + ".weight").values;
    const std::int64_t channels = layer.output.channels;
    Stage stage;
    stage.input = layer.input;
    stage.output = layer.output;
    stage.weights = packed_weights(
        weight,
        {0, channels, layer.input.channels, layer.node->kernel.height * layer.node->kernel.width},
        kernels_);
    stage.bias = bias_of(*layer.node, weights);
    stage.clamp = layer.clamp;
    return stage;
}

void RowChain::run(float* input, float* output, bool accumulate) {
    for (Stage& stage : stages_)
        stage.made = 0;
    Stage& last = stages_.back();
    last.rows = all_rows(output, last.output, kernels_.lanes);
    last.accumulate = accumulate;
    const Stage& first = stages_.front();
    const TensorRows rows =
        all_rows(input, first.depthwise ? first.depthwise->input : first.input, kernels_.lanes);
    while (last.made < last.output.extent.height)
        make_row(stages_.size() - 1, rows);
}

/// Makes the stage's next row, and before it the rows that it reads.
void RowChain::make_row(std::size_t index, const TensorRows& input) {
    Stage& stage = stages_[index];
    if (stage.depthwise) {
        const std::int64_t last_read = std::min(stage.made * stage.depthwise->stride + 1,
                                                stage.depthwise->input.extent.height - 1);
        while (index > 0 && stages_[index - 1].made <= last_read)
            make_row(index - 1, input);
        // The rows that are read are still held, the first of them included.
        HDAP_CHECK(index == 0 || stage.made * stage.depthwise->stride - 1 >=
                                     stages_[index - 1].made - stages_[index - 1].rows.held,
                   index, stage.made, stages_[index - 1].made);
        run_depthwise_row(kernels_, *stage.depthwise, index > 0 ? stages_[index - 1].rows : input,
                          stage.made, row_.get(), group * kernels_.lanes,
                          stage.input.channels * group * kernels_.lanes);
        make_dense_row(stage, packed_row(stage.input), stage.taps.pixels.data());
    } else {
        if (stage.packing && stage.made == 0)
            kernels_.pack(*stage.packing, input.first, stage.input.channels, packed_.get());
        make_dense_row(stage, stage.packing ? packed_.get() : input.first,
                       stage.taps.pixels.data() + stage.made * stage.output.extent.width);
    }
    ++stage.made;
}

/// What a pointwise convolution of such an input reads of the row that a depthwise one has left.
const float* RowChain::packed_row(const TensorShape& input) const {
    if (kernels_.packed_channels == 1) return row_.get();
    constexpr LaneKernels::Padding none{.height = 1,
                                        .width = group,
                                        .top = 0,
                                        .left = 0,
                                        .output_height = 1,
                                        .output_width = group};
    const std::int64_t groups = (input.extent.width + group - 1) / group;
    const std::int64_t vectors = group * kernels_.lanes;
    for (std::int64_t g = 0; g < groups; ++g)
        kernels_.pack(none, row_.get() + g * input.channels * vectors, input.channels,
                      packed_row_.get() + g * words_of(input.channels, kernels_) * vectors);
    return packed_row_.get();
}

void RowChain::make_dense_row(const Stage& stage, const float* input,
                              const std::int64_t* pixels) const {
    kernels_.convolve({.input = input,
                       .tap_offsets = stage.taps.offsets.data(),
                       .taps = static_cast<std::int64_t>(stage.taps.offsets.size()),
                       .pixel_offsets = pixels,
                       .pixels = stage.output.extent.width,
                       .weights = stage.weights.data(),
                       .bias = stage.bias.data(),
                       .channels = stage.output.channels,
                       .output = stage.rows.row(stage.made),
                       .output_stride = stage.rows.channel_stride,
                       .accumulate = stage.accumulate,
                       .low = stage.clamp.low,
                       .high = stage.clamp.high});
}

} // namespace hdap::accuracy
