#pragma once

#include "hdap/network/graph.hpp"

#include <string>
#include <vector>

namespace hdap::network {

/// Which network of the zoo, and in what form.
struct ZooRequest {
    std::string name = "mobilenet_v1";
    double width = 1.0;              ///< multiplies all channel counts; (0, 4]
    std::int64_t classes = 1000;     ///< outputs of the last layer; [2, 100000]
    std::int64_t input_channels = 3; ///< [1, 64]
    Extent input_extent{224, 224};   ///< [8, 1024] each
};

/// The names that `make_network` knows.
std::vector<std::string> zoo_names();

/// Builds a network of the zoo.
///
/// mobilenet_v1: Howard et al., "MobileNets" (arXiv 1704.04861), with ReLU6. For images of 32
/// pixels and less the first convolution has stride 1, as is usual for CIFAR.
///
/// resnet20_b, resnet56_b: the networks for CIFAR of He et al., "Deep Residual Learning for Image
/// Recognition" (CVPR 2016), section 4.2, but with option B of section 3.3: a shortcut that changes
/// the shape is a 1 × 1 convolution with batch norm. (The paper's CIFAR networks use option A.)
///
/// Channel counts are multiplied by `width` and rounded to the nearest multiple of 8, at least 8.
/// Names of layers follow PyTorch's habits: "stem.conv", "blocks.0.depthwise.bn", "classifier";
/// "conv1", "layer2.0.downsample.0", "fc".
/// Throws ConfigError for an unknown name (and says the nearest) or values out of range.
Network make_network(const ZooRequest& request);

} // namespace hdap::network
