#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace hdap::network {

/// The operators that a network is made of. Fully connected layers are `linear`; a depthwise
/// convolution is a `conv2d` whose `groups` equals its input channels.
enum class Operator { input, conv2d, linear, batch_norm, relu, relu6, add, global_average_pool };

/// Height and width of an image, or those of a kernel, a stride or a padding.
struct Extent {
    std::int64_t height = 1;
    std::int64_t width = 1;
    bool operator==(const Extent&) const = default;
};

/// The shape of a tensor between two layers, without the batch. After global pooling and after
/// `linear` the extent is 1 × 1.
struct TensorShape {
    std::int64_t channels = 0;
    Extent extent;
    bool operator==(const TensorShape&) const = default;
};

/// One operator of a network. Fields that an operator does not use keep their defaults.
struct Node {
    std::string name; ///< unique; the prefix of its parameters' names, e.g. "features.0.conv"
    Operator op = Operator::input;
    std::vector<std::size_t> inputs;  ///< indices of earlier nodes
    std::int64_t output_channels = 0; ///< conv2d, linear, input; others inherit their input's
    std::int64_t groups = 1;          ///< conv2d
    Extent kernel;                    ///< conv2d
    Extent stride;                    ///< conv2d
    Extent padding{0, 0};             ///< conv2d
    bool bias = false;                ///< conv2d, linear
    double epsilon = 1e-5;            ///< batch_norm
};

/// A network to be pruned: nodes in topological order; the first is the input, the last the output.
struct Network {
    std::string name;
    Extent input_extent;
    std::vector<Node> nodes;
};

/// The output shape of every node. Complexity: O(nodes).
///
/// Also proves that the network is sound: names are unique and without '/', exactly the first node
/// is the input, and nothing is so large that a count of it could overflow (tensors and weights
/// hold at most 2^29 elements).
/// Throws DataError, naming the node, when shapes do not fit, an index does not point backwards or
/// a field is out of range.
std::vector<TensorShape> infer_shapes(const Network& network);

/// Whether `node` convolves every channel by itself and so has one output channel for each of the
/// `input_channels`. A convolution with a depth multiplier is grouped, not depthwise.
bool is_depthwise(const Node& node, std::int64_t input_channels) noexcept;

} // namespace hdap::network
