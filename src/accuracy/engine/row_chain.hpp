#pragma once

#include "lane_layer.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace hdap::accuracy {

/// Layers of which each reads the one before it, run row by row: of the tensors between them only
/// the last rows exist, and these stay in the cache. Every row is computed once, when the first row
/// of the next layer asks for it.
///
/// The layers are [dense] (depthwise, pointwise)+. The dense convolution of one group may have any
/// kernel, stride and padding; the others are those of has_depthwise_rows, and 1 × 1.
class RowChain {
  public:
    struct Layer {
        const network::Node* node;
        network::TensorShape input;
        network::TensorShape output;
        Clamp clamp;
    };

    RowChain(const std::vector<Layer>& layers, const network::Weights& weights,
             const LaneKernels& kernels);

    /// Runs a block. `accumulate` adds the result, before its clamp, to what is in the output.
    void run(float* input, float* output, bool accumulate);

  private:
    /// A dense layer and the depthwise one that makes its input.
    struct Stage {
        std::optional<DepthwiseLayer> depthwise;
        network::TensorShape input; ///< of the dense layer
        network::TensorShape output;
        Taps taps;
        std::vector<float> weights;
        std::vector<float> bias;
        Clamp clamp;
        std::optional<LaneKernels::Padding> packing; ///< of what the dense layer reads
        LaneBuffer buffer;                           ///< of `rows`
        TensorRows rows;                             ///< of the output
        std::int64_t made = 0;                       ///< rows of the output
        bool accumulate = false;
    };

    [[nodiscard]] Stage make_stage(const Layer& layer, const network::Weights& weights) const;
    void add_dense(const Layer& layer, const network::Weights& weights);
    void add_pair(const Layer& depthwise, const Layer& pointwise, const network::Weights& weights);
    void keep_last_rows(Stage& stage) const;
    void make_row(std::size_t stage, const TensorRows& input);
    [[nodiscard]] const float* packed_row(const network::TensorShape& input) const;
    void make_dense_row(const Stage& stage, const float* input, const std::int64_t* pixels) const;

    const LaneKernels& kernels_;
    std::vector<Stage> stages_;
    LaneBuffer row_;        ///< of a depthwise layer's output
    LaneBuffer packed_row_; ///< the same as words, where these are no floats
    LaneBuffer packed_;     ///< the first layer's input as words, with its padding
};

} // namespace hdap::accuracy
