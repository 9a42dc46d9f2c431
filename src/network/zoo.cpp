#include "hdap/network/zoo.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace hdap::network {
namespace {

/// Appends nodes to a network; every function returns the index of the node it made.
class NetworkBuilder {
  public:
    explicit NetworkBuilder(const ZooRequest& request)
        : network_{.name = request.name, .input_extent = request.input_extent, .nodes = {}} {
        Node input;
        input.name = "input";
        input.output_channels = request.input_channels;
        append(std::move(input));
    }

    /// A square convolution without bias; odd kernels are padded to keep the extent.
    std::size_t conv(const std::string& name, std::size_t from, std::int64_t channels,
                     std::int64_t kernel, std::int64_t stride, std::int64_t groups = 1) {
        Node node;
        node.name = name;
        node.op = Operator::conv2d;
        node.inputs = {from};
        node.output_channels = channels;
        node.groups = groups;
        node.kernel = {kernel, kernel};
        node.stride = {stride, stride};
        node.padding = {kernel / 2, kernel / 2};
        return append(std::move(node));
    }

    /// An operator without parameters of its shape.
    std::size_t apply(Operator op, const std::string& name, std::vector<std::size_t> from) {
        Node node;
        node.name = name;
        node.op = op;
        node.inputs = std::move(from);
        return append(std::move(node));
    }

    /// Global pooling and a fully connected layer with bias.
    Network classify(const std::string& name, std::size_t from, std::int64_t classes) && {
        Node node;
        node.name = name;
        node.op = Operator::linear;
        node.inputs = {apply(Operator::global_average_pool, "pool", {from})};
        node.output_channels = classes;
        node.bias = true;
        append(std::move(node));
        return std::move(network_);
    }

  private:
    std::size_t append(Node node) {
        network_.nodes.push_back(std::move(node));
        return network_.nodes.size() - 1;
    }

    Network network_;
};

std::int64_t scaled(std::int64_t channels, double width) {
    const double exact = static_cast<double>(channels) * width;
    const auto rounded = static_cast<std::int64_t>(std::floor(exact / 8.0 + 0.5)) * 8;
    return std::max<std::int64_t>(8, rounded);
}

Network make_mobilenet_v1(const ZooRequest& request) {
    struct Block {
        std::int64_t channels;
        std::int64_t stride;
    };
    constexpr std::array<Block, 13> blocks{{{64, 1},
                                            {128, 2},
                                            {128, 1},
                                            {256, 2},
                                            {256, 1},
                                            {512, 2},
                                            {512, 1},
                                            {512, 1},
                                            {512, 1},
                                            {512, 1},
                                            {512, 1},
                                            {1024, 2},
                                            {1024, 1}}};
    NetworkBuilder builder(request);
    const auto finish = [&builder](const std::string& prefix, std::size_t conv) {
        const std::size_t bn = builder.apply(Operator::batch_norm, prefix + ".bn", {conv});
        return builder.apply(Operator::relu6, prefix + ".relu", {bn});
    };
    const bool small = std::max(request.input_extent.height, request.input_extent.width) <= 32;
    std::int64_t channels = scaled(32, request.width);
    std::size_t last = finish("stem", builder.conv("stem.conv", 0, channels, 3, small ? 1 : 2));
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        const std::string depthwise = "blocks." + std::to_string(i) + ".depthwise";
        const std::string pointwise = "blocks." + std::to_string(i) + ".pointwise";
        last = finish(depthwise, builder.conv(depthwise + ".conv", last, channels, 3,
                                              blocks[i].stride, channels));
        channels = scaled(blocks[i].channels, request.width);
        last = finish(pointwise, builder.conv(pointwise + ".conv", last, channels, 1, 1));
    }
    return std::move(builder).classify("classifier", last, request.classes);
}

/// Two 3 × 3 convolutions beside a shortcut.
std::size_t append_basic_block(NetworkBuilder& builder, const std::string& prefix, std::size_t from,
                               std::int64_t channels, std::int64_t stride, bool project) {
    std::size_t last = builder.conv(prefix + ".conv1", from, channels, 3, stride);
    last = builder.apply(Operator::batch_norm, prefix + ".bn1", {last});
    last = builder.apply(Operator::relu, prefix + ".relu1", {last});
    last = builder.conv(prefix + ".conv2", last, channels, 3, 1);
    last = builder.apply(Operator::batch_norm, prefix + ".bn2", {last});
    std::size_t shortcut = from;
    if (project) {
        shortcut = builder.conv(prefix + ".downsample.0", from, channels, 1, stride);
        shortcut = builder.apply(Operator::batch_norm, prefix + ".downsample.1", {shortcut});
    }
    last = builder.apply(Operator::add, prefix + ".add", {last, shortcut});
    return builder.apply(Operator::relu, prefix + ".relu2", {last});
}

/// He et al. 2016, section 4.2, with 6·blocks + 2 layers.
Network make_cifar_resnet(const ZooRequest& request, int blocks) {
    NetworkBuilder builder(request);
    std::size_t last = builder.conv("conv1", 0, scaled(16, request.width), 3, 1);
    last = builder.apply(Operator::batch_norm, "bn1", {last});
    last = builder.apply(Operator::relu, "relu", {last});
    for (int stage = 0; stage < 3; ++stage) {
        const std::int64_t channels = scaled(std::int64_t{16} << stage, request.width);
        for (int block = 0; block < blocks; ++block) {
            const bool enters_stage = stage > 0 && block == 0;
            last = append_basic_block(
                builder, "layer" + std::to_string(stage + 1) + "." + std::to_string(block), last,
                channels, enters_stage ? 2 : 1, enters_stage);
        }
    }
    return std::move(builder).classify("fc", last, request.classes);
}

[[noreturn]] void refuse_name(const std::string& name) {
    const std::string shown = name.substr(0, 64); // a hostile name must not cost time
    const std::vector<std::string> known = zoo_names();
    throw core::ConfigError("unknown network '" + shown + "'" + core::did_you_mean(shown, known) +
                            "; known: " + core::join(known));
}

void check_range(const char* what, std::int64_t value, std::int64_t low, std::int64_t high) {
    if (value < low || value > high)
        throw core::ConfigError("network " + std::string(what) + " is " + std::to_string(value) +
                                ", must be in [" + std::to_string(low) + ", " +
                                std::to_string(high) + "]");
}

void check_ranges(const ZooRequest& request) {
    if (!(request.width > 0.0 && request.width <= 4.0))
        throw core::ConfigError("network width is " + core::shortest(request.width) +
                                ", must be in (0, 4]");
    check_range("classes", request.classes, 2, 100'000);
    check_range("input_channels", request.input_channels, 1, 64);
    check_range("input height", request.input_extent.height, 8, 1024);
    check_range("input width", request.input_extent.width, 8, 1024);
}

} // namespace

std::vector<std::string> zoo_names() {
    return {"mobilenet_v1", "resnet20_b", "resnet56_b"};
}

Network make_network(const ZooRequest& request) {
    const std::vector<std::string> names = zoo_names();
    if (std::find(names.begin(), names.end(), request.name) == names.end())
        refuse_name(request.name);
    check_ranges(request);
    if (request.name == "resnet20_b") return make_cifar_resnet(request, 3);
    if (request.name == "resnet56_b") return make_cifar_resnet(request, 9);
    return make_mobilenet_v1(request);
}

} // namespace hdap::network
