#include "builder.hpp"

#include <fmt/core.h>

#include <array>

namespace hdap::network {
namespace {

/// A bias is there in Keras' form only, and with it Keras' epsilon.
std::size_t append_conv_norm(NetworkBuilder& builder, const std::string& conv,
                             const std::string& norm, std::size_t from, std::int64_t channels,
                             const NetworkBuilder::Convolution& shape) {
    const std::size_t last = builder.conv(conv, from, channels, shape);
    Node node;
    node.name = norm;
    node.op = Operator::batch_norm;
    if (shape.bias) node.epsilon = 1e-3;
    return builder.append(std::move(node), {last});
}

/// He et al. 2016, section 3.3, option A: every second pixel, and zeros for the new channels, half
/// of them on each side.
std::size_t append_shortcut_a(NetworkBuilder& builder, const std::string& block, std::size_t from,
                              std::int64_t channels, std::int64_t stride) {
    const std::int64_t missing = channels - builder.channels(from);
    const std::size_t subsampled =
        builder.max_pool(block + ".shortcut.subsample", from, 1, stride, 0);
    Node pad;
    pad.name = block + ".shortcut.pad";
    pad.op = Operator::pad;
    pad.channels_before = missing / 2;
    pad.channels_after = missing - missing / 2;
    return builder.append(std::move(pad), {subsampled});
}

/// Two 3 × 3 convolutions, and the end of their block.
std::size_t append_basic_path(NetworkBuilder& builder, const std::string& block, std::size_t from,
                              std::int64_t channels, std::int64_t stride) {
    std::size_t last = append_conv_norm(builder, block + ".conv1", block + ".bn1", from, channels,
                                        {.stride = stride});
    last = builder.apply(Operator::relu, block + ".relu1", {last});
    return append_conv_norm(builder, block + ".conv2", block + ".bn2", last, channels, {});
}

/// 1 × 1, 3 × 3, 1 × 1. `stride` is the 3 × 3 convolution's, or in the first version (v1) the first
/// one's.
std::size_t append_bottleneck_path(NetworkBuilder& builder, const std::string& block,
                                   std::size_t from, std::int64_t channels, std::int64_t stride,
                                   bool v1) {
    std::size_t last =
        append_conv_norm(builder, block + ".conv1", block + ".bn1", from, channels / 4,
                         {.kernel = 1, .stride = v1 ? stride : 1, .bias = v1});
    last = builder.apply(Operator::relu, block + ".relu1", {last});
    last = append_conv_norm(builder, block + ".conv2", block + ".bn2", last, channels / 4,
                            {.stride = v1 ? 1 : stride, .bias = v1});
    last = builder.apply(Operator::relu, block + ".relu2", {last});
    return append_conv_norm(builder, block + ".conv3", block + ".bn3", last, channels,
                            {.kernel = 1, .bias = v1});
}

std::size_t end_block(NetworkBuilder& builder, const std::string& block, std::size_t path,
                      std::size_t shortcut) {
    const std::size_t sum = builder.apply(Operator::add, block + ".add", {path, shortcut});
    return builder.apply(Operator::relu, block + ".relu", {sum});
}

struct ImageNetForm {
    const char* name;
    std::array<std::int64_t, 4> blocks;
    bool bottleneck;
    bool v1;
};

constexpr std::array<ImageNetForm, 5> imagenet_forms{{{"resnet18", {2, 2, 2, 2}, false, false},
                                                      {"resnet34", {3, 4, 6, 3}, false, false},
                                                      {"resnet50", {3, 4, 6, 3}, true, false},
                                                      {"resnet50_v1", {3, 4, 6, 3}, true, true},
                                                      {"resnet101", {3, 4, 23, 3}, true, false}}};

const ImageNetForm& imagenet_form(const std::string& name) {
    for (const ImageNetForm& form : imagenet_forms)
        if (name == form.name) return form;
    return imagenet_forms[0];
}

} // namespace

Network make_imagenet_resnet(const ZooRequest& request) {
    const ImageNetForm& form = imagenet_form(request.name);
    NetworkBuilder builder(request);
    std::size_t last = append_conv_norm(builder, "conv1", "bn1", 0, scaled(64, request.width),
                                        {.kernel = 7, .stride = 2, .bias = form.v1});
    last = builder.apply(Operator::relu, "relu", {last});
    last = builder.max_pool("maxpool", last, 3, 2, 1);
    for (std::size_t stage = 0; stage < form.blocks.size(); ++stage) {
        const std::int64_t channels = scaled((form.bottleneck ? 256 : 64) << stage, request.width);
        for (std::int64_t i = 0; i < form.blocks[stage]; ++i) {
            const std::string block = fmt::format("layer{}.{}", stage + 1, i);
            const std::int64_t stride = stage > 0 && i == 0 ? 2 : 1;
            const std::size_t path =
                form.bottleneck
                    ? append_bottleneck_path(builder, block, last, channels, stride, form.v1)
                    : append_basic_path(builder, block, last, channels, stride);
            std::size_t shortcut = last;
            if (i == 0 && (stride > 1 || builder.channels(last) != channels))
                shortcut = append_conv_norm(builder, block + ".downsample.0",
                                            block + ".downsample.1", last, channels,
                                            {.kernel = 1, .stride = stride, .bias = form.v1});
            last = end_block(builder, block, path, shortcut);
        }
    }
    last = builder.apply(Operator::global_average_pool, "avgpool", {last});
    builder.linear("fc", last, request.classes);
    return std::move(builder).finish();
}

Network make_cifar_resnet(const ZooRequest& request) {
    const bool option_b = request.name.ends_with("_b");
    const std::int64_t layers = std::stoll(request.name.substr(6)); // 6n + 2
    const std::int64_t blocks = (layers - 2) / 6;
    NetworkBuilder builder(request);
    std::size_t last = append_conv_norm(builder, "conv1", "bn1", 0, scaled(16, request.width), {});
    last = builder.apply(Operator::relu, "relu", {last});
    for (int stage = 0; stage < 3; ++stage) {
        const std::int64_t channels = scaled(std::int64_t{16} << stage, request.width);
        for (std::int64_t i = 0; i < blocks; ++i) {
            const std::string block = fmt::format("layer{}.{}", stage + 1, i);
            const std::int64_t stride = stage > 0 && i == 0 ? 2 : 1;
            const std::size_t path = append_basic_path(builder, block, last, channels, stride);
            std::size_t shortcut = last;
            if (stride > 1 && option_b)
                shortcut = append_conv_norm(builder, block + ".shortcut.0", block + ".shortcut.1",
                                            last, channels, {.kernel = 1, .stride = stride});
            else if (stride > 1)
                shortcut = append_shortcut_a(builder, block, last, channels, stride);
            last = end_block(builder, block, path, shortcut);
        }
    }
    last = builder.apply(Operator::global_average_pool, "avgpool", {last});
    builder.linear("linear", last, request.classes);
    return std::move(builder).finish();
}

} // namespace hdap::network
