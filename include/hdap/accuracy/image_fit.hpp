#pragma once

#include "hdap/accuracy/image_data.hpp"
#include "hdap/network/graph.hpp"

#include <string>

namespace hdap::accuracy {

/// Throws DataError when `images` are not what `network` takes and classifies; `name` stands for
/// the images.
void check_fit(const network::Network& network, const ImageData& images, const std::string& name);

} // namespace hdap::accuracy
