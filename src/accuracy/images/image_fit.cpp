#include "hdap/accuracy/image_fit.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/core.h>

#include <vector>

namespace hdap::accuracy {
namespace {

using network::TensorShape;

/// What makes images fit a network that takes others.
std::string size_remedy(const TensorShape& wanted) {
    const bool square = wanted.extent.height == wanted.extent.width;
    if (square && (wanted.channels == 1 || wanted.channels == 3))
        return fmt::format("pack them so (`hdap data pack image-folder --size {} --channels {}`), "
                           "or export the network for images like these",
                           wanted.extent.height, wanted.channels);
    return "pack images of that size, or export the network for images like these";
}

/// What makes a network give an output for each class.
std::string class_remedy(std::int64_t outputs, std::int64_t classes) {
    if (outputs == classes + 1)
        return fmt::format("where one of them stands for the background, leave it out of the "
                           "network's last layer, or pack the images with {} classes, one of them "
                           "without images",
                           core::grouped(outputs));
    if (outputs == 1 && classes == 2)
        return "a single sigmoid for two classes becomes two outputs by a row of zeros before that "
               "of the last layer and a softmax, or nothing, in place of the sigmoid";
    return "pack the images of the classes that it was trained for, or train its last layer for "
           "these (a network of the zoo adapts to the images: `hdap train`)";
}

void check_outputs(const network::Network& network, const std::vector<TensorShape>& shapes,
                   std::int64_t classes, const std::string& name, const std::string& network_name) {
    const std::vector<std::size_t> outputs = network::output_nodes(network);
    if (outputs.size() != 1)
        throw core::DataError(fmt::format(
            "network '{}' has {} outputs; classification needs one, with a value for each class: "
            "export it with that one alone, of ONNX with `hdap network import --stop-at TENSOR`",
            network_name, outputs.size()));
    const TensorShape& found = shapes[outputs[0]];
    if (found.extent != network::Extent{1, 1})
        throw core::DataError(fmt::format(
            "network '{}' ends with {}, not with a value for each of the {} classes of {}: it is "
            "no classifier, or lacks its last layers",
            network_name, text_of(found), core::grouped(classes), name));
    if (found.channels != classes)
        throw core::DataError(fmt::format(
            "{}: has {} classes, but network '{}' has {}; it needs one for each: {}", name,
            core::grouped(classes), network_name, core::counted(found.channels, "output"),
            class_remedy(found.channels, classes)));
}

} // namespace

void check_fit(const network::Network& network, const ImageData& images, const std::string& name,
               const std::string& network_name) {
    check_images(images, name);
    const std::string& called = network_name.empty() ? network.name : network_name;
    const std::vector<TensorShape> shapes = network::infer_shapes(network);
    const TensorShape image{images.channels, {images.height, images.width}};
    if (shapes.front() != image)
        throw core::DataError(fmt::format("{}: images have {}, network '{}' takes {}; {}", name,
                                          text_of(image), called, text_of(shapes.front()),
                                          size_remedy(shapes.front())));
    check_outputs(network, shapes, images.classes, name, called);
}

} // namespace hdap::accuracy
