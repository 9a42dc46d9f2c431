#pragma once

#include "hdap/network/graph.hpp"

#include <string>
#include <vector>

namespace hdap::network {

/// Which network of the zoo, and in what form.
struct ZooRequest {
    std::string name = "mobilenet_v1";
    double width = 1.0;              ///< multiplies all channel counts; (0, 4]
    std::int64_t classes = 0;        ///< outputs of the last layer; [2, 100000], 0: as published
    std::int64_t input_channels = 3; ///< [1, 64]
    Extent input_extent{0, 0};       ///< [8, 1024] each; 0 × 0: as published
};

/// The names that `make_network` knows.
std::vector<std::string> zoo_names();

/// Whether it is one of these.
bool is_in_zoo(const std::string& name);

/// Builds a network of the zoo.
///
/// - mobilenet_v1: Howard et al., "MobileNets" (arXiv 1704.04861), with ReLU6. mobilenet_v2:
/// Sandler
///   et al., CVPR 2018. For images of 32 pixels and less their first convolution has stride 1, as
///   is usual for CIFAR.
/// - resnet18, 34, 50, 101: He et al., "Deep Residual Learning for Image Recognition" (CVPR 2016),
///   with the stride of a bottleneck in its 3 × 3 convolution, as PyTorch has it (4.09 G MACs for
///   resnet50; the paper's form has 3.86 G). resnet50_v1: the paper's form, with the stride in the
///   first 1 × 1 convolution, biases, and a batch norm's epsilon of 1e-3, as Keras has it
///   (data/get-resnet50-imagenet.sh brings weights).
/// - resnet20, 32, 44, 56, 110: the same paper's networks for CIFAR, section 4.2, with its
///   shortcuts without parameters (option A of section 3.3); with "_b" those of 1 × 1 convolutions.
/// - vgg16: Simonyan and Zisserman, ICLR 2015, configuration D. vgg16_cifar: with batch norm and
///   one linear layer.
/// - yolov8n: the detector's backbone, neck and head up to the last convolutions, whose six tensors
///   (boxes, then classes, from fine to coarse) are the outputs; decoding them is the user's.
///
/// Channel counts are multiplied by `width` and rounded to the nearest multiple of 8, at least 8.
/// Names of layers are those of torchvision's and the reference implementations' state dicts:
/// "layer2.0.downsample.0", "features.0", "fc", "linear" (CIFAR), "model.22.cv2.0.0.conv";
/// mobilenet_v1: "stem.conv", "blocks.0.depthwise.bn", "classifier".
/// Throws ConfigError for an unknown name (and says the nearest), values out of range, or images
/// that are too small for the network.
Network make_network(const ZooRequest& request);

} // namespace hdap::network
