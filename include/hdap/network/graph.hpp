#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hdap::network {

/// The operators that a network is made of.
///
/// Tensors are [channels][height][width] for one image. Fully connected layers are `linear`; a
/// depthwise convolution is a `conv2d` whose `groups` equals its input channels. `add` and
/// `multiply` take two or more inputs with the same channels, or one channel, and with the same
/// extent, or 1 × 1: smaller ones are repeated (as squeeze-and-excitation needs).
enum class Operator {
    input,
    conv2d,
    linear,
    batch_norm,
    relu,
    relu6,
    leaky_relu,
    silu,
    sigmoid,
    tanh,
    hard_sigmoid, ///< max(0, min(1, x/6 + 1/2))
    hard_swish,   ///< x · hard_sigmoid(x)
    softmax,      ///< over the channels
    identity,     ///< also dropout: networks are pruned for inference
    add,
    multiply,
    concat,          ///< of channels
    slice,           ///< a range of channels
    channel_shuffle, ///< channel g·n + i of n·groups becomes channel i·groups + g (ShuffleNet)
    pad,             ///< zeros around the image and before and after the channels
    max_pool,
    average_pool,
    global_average_pool,
    resize_nearest,
    resize_bilinear,
    flatten, ///< [channels][height][width] becomes channels·height·width channels of 1 × 1
};

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
    std::int64_t output_channels = 0; ///< conv2d, linear, slice, input
    std::int64_t groups = 1;          ///< conv2d, channel_shuffle
    Extent kernel;                    ///< conv2d, max_pool, average_pool
    Extent stride;                    ///< conv2d, max_pool, average_pool
    Extent padding{0, 0};             ///< conv2d and pools on all sides; pad: above and left
    Extent padding_after{0, 0};       ///< pad: below and right
    Extent dilation;                  ///< conv2d
    Extent size;                      ///< resize: of the output
    std::int64_t first_channel = 0;   ///< slice
    std::int64_t channels_before = 0; ///< pad: channels of zeros
    std::int64_t channels_after = 0;  ///< pad
    bool bias = false;                ///< conv2d, linear
    bool ceil_mode = false;           ///< pools: a last window may reach over the border
    bool count_include_pad = true;    ///< average_pool: the padding counts as zeros
    bool align_corners = false;       ///< resize_bilinear
    double epsilon = 1e-5;            ///< batch_norm
    double negative_slope = 0.01;     ///< leaky_relu
};

/// A network to be pruned: nodes in topological order; the first is the input.
struct Network {
    std::string name;
    Extent input_extent;
    std::vector<Node> nodes;
    /// The nodes whose tensors the network returns, in their order. Empty: the last node.
    std::vector<std::size_t> outputs = {};
};

/// The node named `name`. Throws ConfigError when there is none; says the nearest name.
std::size_t node_named(const Network& network, const std::string& name);

/// `network.outputs`, or the last node where that is empty. The network must have nodes.
std::vector<std::size_t> output_nodes(const Network& network);

/// How many nodes read each node, plus how often the network returns it. Complexity: O(nodes).
std::vector<std::size_t> count_readers(const Network& network);

/// "3 channels of 32 x 32"
std::string text_of(const TensorShape& shape);

/// The output shape of every node. Complexity: O(nodes).
///
/// Also proves that the network is sound: names are unique and without '/', exactly the first node
/// is the input, every output exists, and nothing is so large that a count of it could overflow
/// (tensors and weights hold at most 2^29 elements, all tensors together 2^22 channels).
/// Throws DataError, naming the node, when shapes do not fit, an index does not point backwards or
/// a field is out of range.
std::vector<TensorShape> infer_shapes(const Network& network);

/// The output shape of node `index` alone, from those of the nodes before it, with its own checks:
/// for whoever grows a network node by node. Throws DataError as infer_shapes.
TensorShape infer_shape(const Network& network, std::size_t index,
                        const std::vector<TensorShape>& earlier);

/// `network`, or the same up to the input of the softmax that it ends with: what a loss that has a
/// softmax of its own takes.
Network without_final_softmax(Network network);

/// The operator's name as the documentation writes it: "conv2d".
std::string_view operator_name(Operator op) noexcept;

/// Whether the operator works on every value by itself and has one input, so that it can overwrite
/// it: activations, identity.
bool is_activation(Operator op) noexcept;

/// Whether the operator has a weight for each pair of channels: convolutions and linear layers.
bool has_weights(Operator op) noexcept;

/// Whether `node` convolves every channel by itself and so has one output channel for each of the
/// `input_channels`. A convolution with a depth multiplier is grouped, not depthwise.
bool is_depthwise(const Node& node, std::int64_t input_channels) noexcept;

/// The row or column of `from` that resize_nearest takes for number `i` of `to`, as PyTorch does:
/// i · (from / to), rounded down, in single precision.
std::int64_t nearest_pixel(std::int64_t i, std::int64_t from, std::int64_t to) noexcept;

} // namespace hdap::network
