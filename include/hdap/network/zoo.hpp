#pragma once

#include "hdap/network/graph.hpp"

#include <string>
#include <vector>

namespace hdap::network {

/// Which network of the zoo, and in what form.
struct ZooRequest {
    std::string name = "mobilenet_v1";
    double width = 1.0;             ///< multiplies all channel counts; (0, 4]
    std::int64_t classes = 1000;    ///< outputs of the last layer; [2, 100000]
    std::int64_t input_channels = 3;
    Extent input_extent{224, 224};
};

/// The names that `make_network` knows.
std::vector<std::string> zoo_names();

/// Builds a network of the zoo.
///
/// mobilenet_v1: Howard et al., "MobileNets" (arXiv 1704.04861). For images of 32 pixels and less
/// the first convolution has stride 1, as is usual for CIFAR. Channel counts are rounded to
/// multiples of 8, at least 8, as in the reference code.
/// Throws ConfigError for an unknown name (and says the nearest) or values out of range.
Network make_network(const ZooRequest& request);

} // namespace hdap::network
