#pragma once

#include "hdap/network/zoo.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace hdap::network {

/// Appends nodes to a network; every function returns the index of the node it made.
class NetworkBuilder {
  public:
    explicit NetworkBuilder(const ZooRequest& request);

    struct Convolution {
        std::int64_t kernel = 3;
        std::int64_t stride = 1;
        std::int64_t groups = 1;
        bool bias = false;
    };

    /// A square convolution; odd kernels are padded to keep the extent.
    std::size_t conv(const std::string& name, std::size_t from, std::int64_t channels,
                     const Convolution& shape);

    /// An operator of one or more inputs that has no fields of its own.
    std::size_t apply(Operator op, const std::string& name, std::vector<std::size_t> from);

    std::size_t linear(const std::string& name, std::size_t from, std::int64_t channels);

    std::size_t max_pool(const std::string& name, std::size_t from, std::int64_t kernel,
                         std::int64_t stride, std::int64_t padding);

    /// Appends `node` with these inputs.
    std::size_t append(Node node, std::vector<std::size_t> from);

    /// The channels of the output of `node`.
    [[nodiscard]] std::int64_t channels(std::size_t node) const { return shapes_[node].channels; }
    [[nodiscard]] Extent extent(std::size_t node) const { return shapes_[node].extent; }

    /// The network; with `outputs`, or the last node's.
    Network finish(std::vector<std::size_t> outputs = {}) &&;

  private:
    Network network_;
    std::vector<TensorShape> shapes_;
};

/// `channels` · `width`, rounded to the nearest multiple of 8, at least 8.
std::int64_t scaled(std::int64_t channels, double width);

Network make_mobilenet_v1(const ZooRequest& request);
Network make_mobilenet_v2(const ZooRequest& request);
/// resnet18, resnet34, resnet50, resnet50_v1, resnet101.
Network make_imagenet_resnet(const ZooRequest& request);
/// resnet20, 32, 44, 56, 110, and the same with "_b".
Network make_cifar_resnet(const ZooRequest& request);
Network make_vgg16(const ZooRequest& request);
Network make_vgg16_cifar(const ZooRequest& request);
Network make_yolov8n(const ZooRequest& request);

} // namespace hdap::network
