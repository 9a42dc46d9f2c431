#include "image_check.hpp"

#include "hdap/core/error.hpp"

#include <fmt/core.h>

#include <vector>

namespace hdap::accuracy {

void check_fit(const network::Network& network, const ImageData& images, const std::string& name) {
    check_images(images, name);
    const std::vector<network::TensorShape> shapes = network::infer_shapes(network);
    const auto text = [](const network::TensorShape& shape) {
        return fmt::format("{} channels of {} x {}", shape.channels, shape.extent.height,
                           shape.extent.width);
    };
    const network::TensorShape image{images.channels, {images.height, images.width}};
    if (shapes.front() != image)
        throw core::DataError(fmt::format("{}: images have {}, network '{}' takes {}", name,
                                          text(image), network.name, text(shapes.front())));
    const std::vector<std::size_t> outputs = network::output_nodes(network);
    if (outputs.size() != 1)
        throw core::DataError(fmt::format(
            "network '{}' has {} outputs; classification needs one, with a value for each class",
            network.name, outputs.size()));
    const network::TensorShape logits{images.classes, {1, 1}};
    if (shapes[outputs[0]] != logits)
        throw core::DataError(
            fmt::format("{}: has {} classes, but the output of network '{}' has {}", name,
                        images.classes, network.name, text(shapes[outputs[0]])));
}

} // namespace hdap::accuracy
