#include "builder.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

namespace hdap::network {
namespace {

bool is_small(const Extent& image) {
    return std::max(image.height, image.width) <= 32;
}

/// MobileNetV2's inverted residual block (Sandler et al., CVPR 2018, figure 4b), with torchvision's
/// names: `block`.conv.0.0 …
std::size_t append_inverted_residual(NetworkBuilder& builder, const std::string& block,
                                     std::size_t from, std::int64_t channels, std::int64_t stride,
                                     std::int64_t expansion) {
    std::size_t last = from;
    int part = 0;
    const auto convolve = [&](std::int64_t outputs, NetworkBuilder::Convolution shape) {
        const std::string name = fmt::format("{}.conv.{}", block, part++);
        last = builder.conv(name + ".0", last, outputs, shape);
        last = builder.apply(Operator::batch_norm, name + ".1", {last});
        last = builder.apply(Operator::relu6, name + ".2", {last});
    };
    const std::int64_t inner = builder.channels(from) * expansion;
    if (expansion > 1) convolve(inner, {.kernel = 1});
    convolve(inner, {.kernel = 3, .stride = stride, .groups = inner});
    last = builder.conv(fmt::format("{}.conv.{}", block, part), last, channels, {.kernel = 1});
    last = builder.apply(Operator::batch_norm, fmt::format("{}.conv.{}", block, part + 1), {last});
    if (stride == 1 && builder.channels(from) == channels)
        last = builder.apply(Operator::add, block + ".add", {from, last});
    return last;
}

} // namespace

Network make_mobilenet_v1(const ZooRequest& request) {
    struct Block {
        std::int64_t channels;
        std::int64_t stride;
    };
    constexpr std::array<Block, 13> blocks{{{64, 1},
                                            {128, 2},
                                            {128, 1},
                                            {256, 2},
                                            {256, 1},
                                            {512, 2},
                                            {512, 1},
                                            {512, 1},
                                            {512, 1},
                                            {512, 1},
                                            {512, 1},
                                            {1024, 2},
                                            {1024, 1}}};
    NetworkBuilder builder(request);
    const auto finish = [&builder](const std::string& prefix, std::size_t conv) {
        const std::size_t bn = builder.apply(Operator::batch_norm, prefix + ".bn", {conv});
        return builder.apply(Operator::relu6, prefix + ".relu", {bn});
    };
    std::int64_t channels = scaled(32, request.width);
    std::size_t last =
        finish("stem", builder.conv("stem.conv", 0, channels,
                                    {.stride = is_small(request.input_extent) ? 1 : 2}));
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        const std::string depthwise = fmt::format("blocks.{}.depthwise", i);
        const std::string pointwise = fmt::format("blocks.{}.pointwise", i);
        last = finish(depthwise, builder.conv(depthwise + ".conv", last, channels,
                                              {.stride = blocks[i].stride, .groups = channels}));
        channels = scaled(blocks[i].channels, request.width);
        last = finish(pointwise, builder.conv(pointwise + ".conv", last, channels, {.kernel = 1}));
    }
    last = builder.apply(Operator::global_average_pool, "pool", {last});
    builder.linear("classifier", last, request.classes);
    return std::move(builder).finish();
}

Network make_mobilenet_v2(const ZooRequest& request) {
    struct Stage {
        std::int64_t expansion;
        std::int64_t channels;
        std::int64_t blocks;
        std::int64_t stride;
    };
    constexpr std::array<Stage, 7> stages{{{1, 16, 1, 1},
                                           {6, 24, 2, 2},
                                           {6, 32, 3, 2},
                                           {6, 64, 4, 2},
                                           {6, 96, 3, 1},
                                           {6, 160, 3, 2},
                                           {6, 320, 1, 1}}};
    NetworkBuilder builder(request);
    int feature = 0;
    std::size_t last = 0;
    const auto convolve = [&](std::int64_t channels, NetworkBuilder::Convolution shape) {
        const std::string name = "features." + std::to_string(feature++);
        last = builder.conv(name + ".0", last, channels, shape);
        last = builder.apply(Operator::batch_norm, name + ".1", {last});
        last = builder.apply(Operator::relu6, name + ".2", {last});
    };
    convolve(scaled(32, request.width), {.stride = is_small(request.input_extent) ? 1 : 2});
    for (const Stage& stage : stages)
        for (std::int64_t block = 0; block < stage.blocks; ++block)
            last = append_inverted_residual(builder, "features." + std::to_string(feature++), last,
                                            scaled(stage.channels, request.width),
                                            block == 0 ? stage.stride : 1, stage.expansion);
    convolve(scaled(1280, std::max(1.0, request.width)), {.kernel = 1});
    last = builder.apply(Operator::global_average_pool, "pool", {last});
    builder.linear("classifier.1", last, request.classes);
    return std::move(builder).finish();
}

} // namespace hdap::network
