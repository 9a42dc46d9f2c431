#include "builder.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <string>

namespace hdap::network {
namespace {

/// The parts of YOLOv8, with the names of its reference implementation's state dict.
class YoloBuilder {
  public:
    explicit YoloBuilder(const ZooRequest& request) : builder_(request) {}

    std::size_t conv(const std::string& name, std::size_t from, std::int64_t channels,
                     std::int64_t kernel = 3, std::int64_t stride = 1) {
        std::size_t last =
            builder_.conv(name + ".conv", from, channels, {.kernel = kernel, .stride = stride});
        last = builder_.apply(Operator::batch_norm, name + ".bn", {last});
        return builder_.apply(Operator::silu, name + ".act", {last});
    }

    /// Halves that go on together with what `count` bottlenecks make of the second one.
    std::size_t c2f(const std::string& name, std::size_t from, std::int64_t channels, int count,
                    bool shortcut) {
        const std::size_t both = conv(name + ".cv1", from, channels, 1);
        std::vector<std::size_t> parts{slice(name + ".split.0", both, 0, channels / 2),
                                       slice(name + ".split.1", both, channels / 2, channels / 2)};
        for (int i = 0; i < count; ++i) {
            const std::string inner = fmt::format("{}.m.{}", name, i);
            std::size_t last = conv(inner + ".cv1", parts.back(), channels / 2);
            last = conv(inner + ".cv2", last, channels / 2);
            if (shortcut)
                last = builder_.apply(Operator::add, inner + ".add", {parts.back(), last});
            parts.push_back(last);
        }
        return conv(name + ".cv2", concat(name + ".concat", parts), channels, 1);
    }

    /// Spatial pyramid pooling, one pooling after the other.
    std::size_t sppf(const std::string& name, std::size_t from, std::int64_t channels) {
        std::vector<std::size_t> parts{conv(name + ".cv1", from, channels / 2, 1)};
        for (int i = 0; i < 3; ++i)
            parts.push_back(
                builder_.max_pool(fmt::format("{}.m.{}", name, i), parts.back(), 5, 1, 2));
        return conv(name + ".cv2", concat(name + ".concat", parts), channels, 1);
    }

    /// `from` at twice its extent, or at that of `like` where it was rounded up.
    std::size_t upsample(const std::string& name, std::size_t from, std::size_t like) {
        Node node;
        node.name = name;
        node.op = Operator::resize_nearest;
        node.size = builder_.extent(like);
        return builder_.append(std::move(node), {from});
    }

    std::size_t concat(const std::string& name, const std::vector<std::size_t>& parts) {
        return builder_.apply(Operator::concat, name, parts);
    }

    /// One branch of the detection head: two convolutions, and a plain one with bias.
    std::size_t head(const std::string& name, std::size_t from, std::int64_t inner,
                     std::int64_t outputs) {
        std::size_t last = conv(name + ".0", from, inner);
        last = conv(name + ".1", last, inner);
        return builder_.conv(name + ".2", last, outputs, {.kernel = 1, .bias = true});
    }

    Network finish(std::vector<std::size_t> outputs) && {
        return std::move(builder_).finish(std::move(outputs));
    }

  private:
    std::size_t slice(const std::string& name, std::size_t from, std::int64_t first,
                      std::int64_t channels) {
        Node node;
        node.name = name;
        node.op = Operator::slice;
        node.first_channel = first;
        node.output_channels = channels;
        return builder_.append(std::move(node), {from});
    }

    NetworkBuilder builder_;
};

} // namespace

Network make_yolov8n(const ZooRequest& request) {
    const auto width = [&](std::int64_t channels) { return scaled(channels, request.width); };
    YoloBuilder builder(request);
    const auto name = [](int i) { return "model." + std::to_string(i); };
    std::size_t last = builder.conv(name(0), 0, width(16), 3, 2);
    last = builder.conv(name(1), last, width(32), 3, 2);
    last = builder.c2f(name(2), last, width(32), 1, true);
    last = builder.conv(name(3), last, width(64), 3, 2);
    const std::size_t eighth = builder.c2f(name(4), last, width(64), 2, true);
    last = builder.conv(name(5), eighth, width(128), 3, 2);
    const std::size_t sixteenth = builder.c2f(name(6), last, width(128), 2, true);
    last = builder.conv(name(7), sixteenth, width(256), 3, 2);
    last = builder.c2f(name(8), last, width(256), 1, true);
    const std::size_t deepest = builder.sppf(name(9), last, width(256));

    last = builder.upsample(name(10), deepest, sixteenth);
    last = builder.concat(name(11), {last, sixteenth});
    const std::size_t middle = builder.c2f(name(12), last, width(128), 1, false);
    last = builder.upsample(name(13), middle, eighth);
    last = builder.concat(name(14), {last, eighth});
    const std::size_t small = builder.c2f(name(15), last, width(64), 1, false);
    last = builder.conv(name(16), small, width(64), 3, 2);
    last = builder.concat(name(17), {last, middle});
    const std::size_t medium = builder.c2f(name(18), last, width(128), 1, false);
    last = builder.conv(name(19), medium, width(128), 3, 2);
    last = builder.concat(name(20), {last, deepest});
    const std::size_t large = builder.c2f(name(21), last, width(256), 1, false);

    constexpr std::int64_t box_bins = 16;
    const std::int64_t box_inner = std::max<std::int64_t>(width(64) / 4, 4 * box_bins);
    const std::int64_t class_inner =
        std::max(width(64), std::min<std::int64_t>(request.classes, 100));
    std::vector<std::size_t> outputs;
    const std::array<std::size_t, 3> scales{small, medium, large};
    for (std::size_t s = 0; s < scales.size(); ++s)
        outputs.push_back(
            builder.head("model.22.cv2." + std::to_string(s), scales[s], box_inner, 4 * box_bins));
    for (std::size_t s = 0; s < scales.size(); ++s)
        outputs.push_back(builder.head("model.22.cv3." + std::to_string(s), scales[s], class_inner,
                                       request.classes));
    return std::move(builder).finish(std::move(outputs));
}

} // namespace hdap::network
