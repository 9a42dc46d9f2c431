#include "window.hpp"

#include "hdap/core/error.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace hdap::network {
namespace {

constexpr std::int64_t largest = 1024; // as in infer_shape

/// Pads so that there are size/stride windows, rounded up.
void pad_to_same(Window& window, const Extent& image, bool more_before) {
    const auto total = [](std::int64_t size, std::int64_t kernel, std::int64_t stride,
                          std::int64_t dilation) {
        const std::int64_t windows = (size + stride - 1) / stride;
        const std::int64_t pads = (windows - 1) * stride + (kernel - 1) * dilation + 1 - size;
        if (pads < -1) // runtimes differ in where the first window begins
            throw core::DataError("attribute 'auto_pad' has no clear meaning for strides so much "
                                  "larger than the kernel; export it with explicit pads");
        return std::max<std::int64_t>(0, pads);
    };
    const Extent all{
        total(image.height, window.kernel.height, window.stride.height, window.dilation.height),
        total(image.width, window.kernel.width, window.stride.width, window.dilation.width)};
    window.before = {all.height / 2, all.width / 2};
    window.after = {all.height - window.before.height, all.width - window.before.width};
    if (more_before) std::swap(window.before, window.after);
}

} // namespace

Extent extent_attribute(const OnnxNode& node, const char* name, std::int64_t least,
                        const Extent& otherwise) {
    const std::vector<std::int64_t> sizes =
        node.integers(name, {otherwise.height, otherwise.width});
    if (sizes.size() != 2)
        throw core::DataError(fmt::format(
            "attribute '{}' has {} sizes; only operators on images, with 2, are supported", name,
            sizes.size()));
    for (const std::int64_t size : sizes)
        if (size < least || size > largest)
            throw core::DataError(fmt::format("attribute '{}' holds {}, must be in [{}, {}]", name,
                                              size, least, largest));
    return {sizes[0], sizes[1]};
}

Window read_window(const OnnxNode& node, const Extent& kernel, const Extent& image) {
    Window window;
    window.kernel = kernel;
    window.stride = extent_attribute(node, "strides", 1, {1, 1});
    window.dilation = extent_attribute(node, "dilations", 1, {1, 1});
    const std::string automatic = node.text("auto_pad", "NOTSET");
    const std::vector<std::int64_t> pads = node.integers("pads", {0, 0, 0, 0});
    if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
        if (std::max(kernel.height, kernel.width) > largest)
            throw core::DataError("a kernel is larger than 1024");
        pad_to_same(window, image, automatic == "SAME_LOWER");
    } else if (automatic == "NOTSET") {
        if (pads.size() != 4)
            throw core::DataError(fmt::format(
                "attribute 'pads' has {} sizes; only operators on images, with 4, are supported",
                pads.size()));
        for (const std::int64_t pad : pads)
            if (pad < 0 || pad > largest)
                throw core::DataError(
                    fmt::format("attribute 'pads' holds {}, must be in [0, {}]", pad, largest));
        window.before = {pads[0], pads[1]};
        window.after = {pads[2], pads[3]};
    } else if (automatic != "VALID") {
        throw core::DataError(fmt::format("attribute 'auto_pad' is '{}'", automatic));
    }
    return window;
}

std::size_t append_padding(OnnxImporter& importer, std::size_t input, const Window& window,
                           const std::string& name) {
    if (window.before == Extent{0, 0} && window.after == Extent{0, 0}) return input;
    Node pad;
    pad.op = Operator::pad;
    pad.inputs = {input};
    pad.padding = window.before;
    pad.padding_after = window.after;
    return importer.append(std::move(pad), name);
}

} // namespace hdap::network
