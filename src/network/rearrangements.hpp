#pragma once

#include "hdap/network/graph.hpp"
#include "hdap/network/weights.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

/// Fixed rearrangements of pixels and channels that a layer can take over, by rearranging its
/// weights: it reads what was there before, and no channel is bound by the rearrangement.
namespace hdap::network {

/// Every `step`th pixel of the image that a node makes, from `first` on, in all its channels.
/// `first` is less than `step`.
struct PixelSample {
    std::size_t node = 0;
    Extent first{0, 0};
    Extent step;
};

/// The layer that takes the sample, without a name: a pool over single pixels, or a depthwise
/// convolution whose filters are sampling_weight.
Node sampling_layer(const PixelSample& sample, std::int64_t channels);

/// The weight of that convolution: zeros, and a 1 at the end of each filter.
Tensor sampling_weight(const Node& layer);

/// Blocks of an image's pixels that became channels: samples of one node that hold each pixel once,
/// joined. The stem of YOLOv5 and YOLOX ("Focus"), and ONNX's SpaceToDepth.
struct SpaceToDepth {
    std::size_t node = 0; ///< whose image it is
    Extent block;
    std::vector<Extent> first; ///< of the samples, in the order of their channels
};

/// Which nodes of a growing network take samples of others.
class PixelSamples {
  public:
    /// The sample of `node` as one of the node that this, perhaps, takes a sample of itself.
    [[nodiscard]] PixelSample resolved(const PixelSample& sample) const;

    void remember(std::size_t node, const PixelSample& sample) { samples_[node] = sample; }

    /// The blocks that `node` makes channels of, if it joins all samples of one image.
    [[nodiscard]] std::optional<SpaceToDepth> joined_by(const Node& node) const;

  private:
    std::map<std::size_t, PixelSample> samples_;
};

/// The weight of a convolution of one group that reads the blocks, as that of one that reads the
/// image itself: kernel, stride and padding are `blocks.block` times as large. Not dilated.
/// Complexity: O(elements).
Tensor over_pixels(const Tensor& weight, const SpaceToDepth& blocks);

/// a and b multiplied, height by height and width by width.
Extent product(const Extent& a, const Extent& b);

/// The columns of a matrix [rows, columns] that reads a channel shuffle of `groups`, in the order
/// of the channels before the shuffle. Complexity: O(elements).
std::vector<float> columns_before_shuffle(const std::vector<float>& matrix, std::int64_t columns,
                                          std::int64_t groups);

} // namespace hdap::network
