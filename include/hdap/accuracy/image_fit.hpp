#pragma once

#include "hdap/accuracy/image_data.hpp"
#include "hdap/network/graph.hpp"

#include <string>

namespace hdap::accuracy {

/// Throws DataError when `images` are not what `network` takes and classifies: images of another
/// size, several outputs, or other outputs than one for each class. Says both numbers, and what to
/// do. `name` stands for the images in messages, `network_name` for the network; empty: its own.
void check_fit(const network::Network& network, const ImageData& images, const std::string& name,
               const std::string& network_name = {});

} // namespace hdap::accuracy
