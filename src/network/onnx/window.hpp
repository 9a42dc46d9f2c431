#pragma once

#include "hdap/network/graph.hpp"
#include "importer.hpp"

namespace hdap::network {

/// How a convolution or pool of an ONNX node moves over the image.
struct Window {
    Extent kernel;
    Extent stride;
    Extent dilation;
    Extent before{0, 0}; ///< padding above and to the left
    Extent after{0, 0};  ///< padding below and to the right
};

/// Reads strides, dilations, pads and auto_pad, for an image of this extent.
/// Throws DataError when one of them is not two-dimensional, or out of range.
Window read_window(const OnnxNode& node, const Extent& kernel, const Extent& image);

/// Attribute `name` as height and width, each at least `least`; `otherwise` when it is missing.
/// Throws DataError when it does not have two sizes, or they are not in [least, 1024].
Extent extent_attribute(const OnnxNode& node, const char* name, std::int64_t least,
                        const Extent& otherwise);

/// `input` with zeros around it, as the window asks; itself when it asks for none.
std::size_t append_padding(OnnxImporter& importer, std::size_t input, const Window& window,
                           const std::string& name);

} // namespace hdap::network
