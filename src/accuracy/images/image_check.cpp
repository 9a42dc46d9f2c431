#include "image_check.hpp"

#include "hdap/core/error.hpp"

#include <vector>

namespace hdap::accuracy {

void check_fit(const network::Network& network, const ImageData& images, const std::string& name) {
    check_images(images, name);
    const std::vector<network::TensorShape> shapes = network::infer_shapes(network);
    const auto text = [](const network::TensorShape& shape) {
        return std::to_string(shape.channels) + " channels of " +
               std::to_string(shape.extent.height) + " x " + std::to_string(shape.extent.width);
    };
    const network::TensorShape image{images.channels, {images.height, images.width}};
    if (shapes.front() != image)
        throw core::DataError(name + ": images have " + text(image) + ", network '" + network.name +
                              "' takes " + text(shapes.front()));
    const std::vector<std::size_t> outputs = network::output_nodes(network);
    if (outputs.size() != 1)
        throw core::DataError("network '" + network.name + "' has " +
                              std::to_string(outputs.size()) +
                              " outputs; classification needs one, with a value for each class");
    const network::TensorShape logits{images.classes, {1, 1}};
    if (shapes[outputs[0]] != logits)
        throw core::DataError(name + ": has " + std::to_string(images.classes) +
                              " classes, but the output of network '" + network.name + "' has " +
                              text(shapes[outputs[0]]));
}

} // namespace hdap::accuracy
