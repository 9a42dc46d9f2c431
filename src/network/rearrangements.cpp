#include "rearrangements.hpp"

#include <algorithm>
#include <utility>

namespace hdap::network {

Node sampling_layer(const PixelSample& sample, std::int64_t channels) {
    Node layer;
    layer.stride = sample.step;
    layer.op = Operator::max_pool;
    if (sample.first == Extent{0, 0}) return layer;
    layer.op = Operator::conv2d;
    layer.output_channels = channels;
    layer.groups = channels;
    layer.kernel = {sample.first.height + 1, sample.first.width + 1};
    return layer;
}

Tensor sampling_weight(const Node& layer) {
    const auto size = static_cast<std::size_t>(layer.kernel.height * layer.kernel.width);
    std::vector<float> values(size * static_cast<std::size_t>(layer.output_channels), 0.0F);
    for (std::size_t end = size; end <= values.size(); end += size)
        values[end - 1] = 1.0F;
    return {{layer.output_channels, 1, layer.kernel.height, layer.kernel.width}, std::move(values)};
}

PixelSample PixelSamples::resolved(const PixelSample& sample) const {
    const auto found = samples_.find(sample.node);
    if (found == samples_.end()) return sample;
    const auto& [node, first, step] = found->second;
    const Extent offset = product(step, sample.first);
    return {node,
            {first.height + offset.height, first.width + offset.width},
            product(step, sample.step)};
}

std::optional<SpaceToDepth> PixelSamples::joined_by(const Node& node) const {
    if (node.op != Operator::concat) return std::nullopt;
    SpaceToDepth blocks;
    for (const std::size_t input : node.inputs) {
        const auto found = samples_.find(input);
        if (found == samples_.end()) return std::nullopt;
        const PixelSample& sample = found->second;
        if (blocks.first.empty()) {
            blocks.node = sample.node;
            blocks.block = sample.step;
        }
        const bool other = sample.node != blocks.node || sample.step != blocks.block;
        if (other || std::count(blocks.first.begin(), blocks.first.end(), sample.first) > 0)
            return std::nullopt;
        blocks.first.push_back(sample.first);
    }
    // As many as a block has pixels, and no two alike: all of them. They have one extent, so the
    // blocks cover the image.
    const auto pixels = static_cast<std::size_t>(blocks.block.height * blocks.block.width);
    if (blocks.first.size() != pixels) return std::nullopt;
    return blocks;
}

Tensor over_pixels(const Tensor& weight, const SpaceToDepth& blocks) {
    const std::int64_t channels = weight.shape[1];
    const Extent kernel{weight.shape[2], weight.shape[3]};
    const Extent large = product(kernel, blocks.block);
    const std::int64_t of_image = channels / static_cast<std::int64_t>(blocks.first.size());
    Tensor result{{weight.shape[0], of_image, large.height, large.width},
                  std::vector<float>(weight.values.size())};
    std::size_t i = 0;
    for (std::int64_t output = 0; output < weight.shape[0]; ++output)
        for (std::int64_t channel = 0; channel < channels; ++channel) {
            const Extent& first = blocks.first[static_cast<std::size_t>(channel / of_image)];
            const std::int64_t filter = output * of_image + channel % of_image;
            for (std::int64_t y = first.height; y < large.height; y += blocks.block.height)
                for (std::int64_t x = first.width; x < large.width; x += blocks.block.width)
                    result.values[static_cast<std::size_t>(
                        (filter * large.height + y) * large.width + x)] = weight.values[i++];
        }
    return result;
}

Extent product(const Extent& a, const Extent& b) {
    return {a.height * b.height, a.width * b.width};
}

std::vector<float> columns_before_shuffle(const std::vector<float>& matrix, std::int64_t columns,
                                          std::int64_t groups) {
    const std::int64_t per_group = columns / groups;
    std::vector<float> result(matrix.size());
    for (std::size_t i = 0; i < matrix.size(); ++i) {
        const auto column = static_cast<std::int64_t>(i) % columns;
        const std::int64_t before = column % groups * per_group + column / groups;
        result[i - static_cast<std::size_t>(column) + static_cast<std::size_t>(before)] = matrix[i];
    }
    return result;
}

} // namespace hdap::network
