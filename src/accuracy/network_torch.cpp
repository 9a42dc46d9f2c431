#include "network_torch.hpp"

#include "accuracy/images/normaliser.hpp"
#include "accuracy/training/channel_statistics.hpp"

#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/add.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/hardsigmoid.h>
#include <ATen/ops/hardswish.h>
#include <ATen/ops/hardtanh.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <ATen/ops/upsample_nearest2d.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace hdap::accuracy {
namespace {

using network::Node;
using network::Operator;

constexpr std::array<std::pair<const char*, at::Tensor NodeParameters::*>, 4> suffixes{
    {{".weight", &NodeParameters::weight},
     {".bias", &NodeParameters::bias},
     {".running_mean", &NodeParameters::running_mean},
     {".running_var", &NodeParameters::running_var}}};

at::Tensor to_torch(const network::Tensor& tensor, const Backend& backend) {
    at::Tensor result = at::empty(tensor.shape, at::kFloat);
    std::copy(tensor.values.begin(), tensor.values.end(), result.data_ptr<float>());
    if (result.dim() == 4) result = result.contiguous(backend.layout());
    return result.to(backend.device);
}

bool has_parameters(const Node& node) {
    return node.op == Operator::conv2d || node.op == Operator::linear ||
           node.op == Operator::batch_norm;
}

/// Whether the node's output may be its input's memory, seen in another way.
bool is_view(const Node& node) {
    return node.op == Operator::identity || node.op == Operator::flatten ||
           node.op == Operator::slice;
}

at::Tensor convolve(const Node& node, const NodeParameters& parameters, const at::Tensor& input) {
    const std::array<std::int64_t, 2> stride{node.stride.height, node.stride.width};
    const std::array<std::int64_t, 2> padding{node.padding.height, node.padding.width};
    const std::array<std::int64_t, 2> dilation{node.dilation.height, node.dilation.width};
    return at::conv2d(input, parameters.weight, parameters.bias, at::IntArrayRef(stride),
                      at::IntArrayRef(padding), at::IntArrayRef(dilation), node.groups);
}

at::Tensor activate(const Node& node, at::Tensor& input, bool may_overwrite) {
    switch (node.op) {
    case Operator::relu:
        return may_overwrite ? at::relu_(input) : at::relu(input);
    case Operator::relu6:
        return may_overwrite ? at::hardtanh_(input, 0.0, 6.0) : at::hardtanh(input, 0.0, 6.0);
    case Operator::leaky_relu:
        return at::leaky_relu(input, node.negative_slope);
    case Operator::silu:
        return at::silu(input);
    case Operator::sigmoid:
        return at::sigmoid(input);
    case Operator::tanh:
        return at::tanh(input);
    case Operator::hard_sigmoid:
        return at::hardsigmoid(input);
    case Operator::hard_swish:
        return at::hardswish(input);
    default:
        return input;
    }
}

at::Tensor pool(const Node& node, const at::Tensor& input) {
    const std::array<std::int64_t, 2> kernel{node.kernel.height, node.kernel.width};
    const std::array<std::int64_t, 2> stride{node.stride.height, node.stride.width};
    const std::array<std::int64_t, 2> padding{node.padding.height, node.padding.width};
    const std::array<std::int64_t, 2> dilation{1, 1};
    if (node.op == Operator::max_pool)
        return at::max_pool2d(input, kernel, stride, padding, dilation, node.ceil_mode);
    return at::avg_pool2d(input, kernel, stride, padding, node.ceil_mode, node.count_include_pad);
}

at::Tensor resize(const Node& node, const at::Tensor& input) {
    const std::array<std::int64_t, 2> size{node.size.height, node.size.width};
    return node.op == Operator::resize_nearest
               ? at::upsample_nearest2d(input, size)
               : at::upsample_bilinear2d(input, size, node.align_corners);
}

at::Tensor pad(const Node& node, const at::Tensor& input) {
    const std::array<std::int64_t, 6> margins{node.padding.width,   node.padding_after.width,
                                              node.padding.height,  node.padding_after.height,
                                              node.channels_before, node.channels_after};
    return at::constant_pad_nd(input, margins);
}

/// Adds or multiplies all inputs.
at::Tensor combine(const Node& node, std::vector<at::Tensor>& values, bool may_overwrite) {
    const auto both = [&node](const at::Tensor& a, const at::Tensor& b) {
        return node.op == Operator::add ? at::add(a, b) : at::mul(a, b);
    };
    at::Tensor& first = values[node.inputs[0]];
    const at::Tensor& second = values[node.inputs[1]];
    at::Tensor result = may_overwrite && node.op == Operator::add && second.sizes() == first.sizes()
                            ? first.add_(second)
                            : both(first, second);
    for (std::size_t k = 2; k < node.inputs.size(); ++k)
        result = both(result, values[node.inputs[k]]);
    return result;
}

/// Not at::channel_shuffle: LibTorch 1.13 has no gradient for it.
at::Tensor shuffle(const Node& node, const at::Tensor& input) {
    const std::int64_t channels = input.size(1);
    return input
        .reshape({input.size(0), node.groups, channels / node.groups, input.size(2), input.size(3)})
        .transpose(1, 2)
        .reshape(input.sizes());
}

at::Tensor join(const Node& node, const std::vector<at::Tensor>& values) {
    std::vector<at::Tensor> parts;
    for (const std::size_t input : node.inputs)
        parts.push_back(values[input]);
    return at::cat(parts, 1);
}

/// The values of each channel.
std::int64_t rows_of(const at::Tensor& values) {
    return values.numel() / values.size(1);
}

/// Writes `input`, channels-last, normalised by `statistics`, to `output`, which may be `input`.
void normalise_by(const ChannelStatistics& statistics, const NodeParameters& norm, double epsilon,
                  const at::Tensor& input, at::Tensor& output) {
    std::vector<float> factor;
    std::vector<float> offset;
    for (std::size_t c = 0; c < statistics.mean.size(); ++c) {
        const double scale = static_cast<double>(norm.weight.data_ptr<float>()[c]) /
                             std::sqrt(statistics.variance[c] + epsilon);
        const auto bias = static_cast<double>(norm.bias.data_ptr<float>()[c]);
        factor.push_back(static_cast<float>(scale));
        offset.push_back(static_cast<float>(bias - statistics.mean[c] * scale));
    }
    scale_channels(input.data_ptr<float>(), rows_of(input), factor, offset,
                   output.data_ptr<float>());
}

/// Moves the running statistics towards those of a batch with `rows` values per channel.
void move_running_statistics(const ChannelStatistics& statistics, std::int64_t rows,
                             double momentum, const NodeParameters& norm) {
    const double to_unbiased = static_cast<double>(rows) / static_cast<double>(rows - 1);
    const auto move = [momentum](float& running, double target) {
        const auto old = static_cast<double>(running);
        running = static_cast<float>(old + momentum * (target - old));
    };
    for (std::size_t c = 0; c < statistics.mean.size(); ++c) {
        move(norm.running_mean.data_ptr<float>()[c], statistics.mean[c]);
        move(norm.running_var.data_ptr<float>()[c], statistics.variance[c] * to_unbiased);
    }
}

/// A batch norm of training, several times faster than LibTorch 1.13's, which takes longer than
/// the convolutions do.
class BatchNormFunction : public torch::autograd::Function<BatchNormFunction> {
  public:
    static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& input,
                              const at::Tensor& weight, const at::Tensor& bias,
                              const at::Tensor& running_mean, const at::Tensor& running_var,
                              double epsilon, double momentum) {
        const at::Tensor values = input.contiguous(at::MemoryFormat::ChannelsLast);
        const NodeParameters norm{weight, bias, running_mean, running_var};
        const ChannelStatistics statistics =
            channel_statistics(values.data_ptr<float>(), rows_of(values), values.size(1));
        move_running_statistics(statistics, rows_of(values), momentum, norm);
        at::Tensor output = at::empty_like(values);
        normalise_by(statistics, norm, epsilon, values, output);
        context->save_for_backward({values, weight});
        context->saved_data["mean"] = statistics.mean;
        context->saved_data["variance"] = statistics.variance;
        context->saved_data["epsilon"] = epsilon;
        return output;
    }

    static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                   const torch::autograd::variable_list& outer) {
        const torch::autograd::variable_list saved = context->get_saved_variables();
        const at::Tensor& input = saved[0];
        const at::Tensor& weight = saved[1];
        const ChannelStatistics statistics{context->saved_data["mean"].toDoubleVector(),
                                           context->saved_data["variance"].toDoubleVector()};
        const double epsilon = context->saved_data["epsilon"].toDouble();
        const at::Tensor gradient = outer[0].contiguous(at::MemoryFormat::ChannelsLast);
        const GradientSums sums = gradient_sums(gradient.data_ptr<float>(), input.data_ptr<float>(),
                                                rows_of(input), statistics.mean);
        at::Tensor of_input = at::empty_like(input);
        batch_norm_gradient(gradient.data_ptr<float>(), input.data_ptr<float>(), rows_of(input),
                            statistics, epsilon, sums, weight.data_ptr<float>(),
                            of_input.data_ptr<float>());
        at::Tensor of_weight = at::empty_like(weight);
        at::Tensor of_bias = at::empty_like(weight);
        for (std::size_t c = 0; c < statistics.mean.size(); ++c) {
            of_weight.data_ptr<float>()[c] =
                static_cast<float>(sums.product[c] / std::sqrt(statistics.variance[c] + epsilon));
            of_bias.data_ptr<float>()[c] = static_cast<float>(sums.gradient[c]);
        }
        return {of_input, of_weight, of_bias, {}, {}, {}, {}};
    }
};

} // namespace

TorchNetwork::TorchNetwork(network::Network network, const network::Weights& weights,
                           const Backend& backend)
    : network_(std::move(network)), backend_(backend), parameters_(network_.nodes.size()),
      outputs_(network::output_nodes(network_)), consumers_(network_.nodes.size(), 0),
      exclusive_(network_.nodes.size(), false) {
    network::check_weights(network_, weights);
    for (const std::size_t output : outputs_)
        ++consumers_[output];
    for (std::size_t i = 0; i < network_.nodes.size(); ++i) {
        const Node& node = network_.nodes[i];
        for (const std::size_t input : node.inputs)
            ++consumers_[input];
        if (!has_parameters(node)) continue;
        for (const auto& [suffix, member] : suffixes) {
            const bool optional_bias =
                node.op != Operator::batch_norm && member == &NodeParameters::bias && !node.bias;
            const auto found = weights.find(node.name + suffix);
            if (found != weights.end() && !optional_bias)
                parameters_[i].*member = to_torch(found->second, backend_);
        }
    }
    // The image is the caller's.
    for (std::size_t i = 1; i < network_.nodes.size(); ++i)
        exclusive_[i] = consumers_[i] == 1 &&
                        (!is_view(network_.nodes[i]) || exclusive_[network_.nodes[i].inputs[0]]);
    for (const std::size_t output : outputs_)
        exclusive_[output] = false;
}

at::Tensor TorchNetwork::arranged(const at::Tensor& tensor) const {
    return tensor.contiguous(backend_.layout());
}

at::Tensor TorchNetwork::forward(const at::Tensor& images) const {
    return run(images, Mode::inference, 0.0);
}

at::Tensor TorchNetwork::forward_gradient(const at::Tensor& images) const {
    return run(images, Mode::gradient, 0.0);
}

at::Tensor TorchNetwork::forward_training(const at::Tensor& images) {
    return run(images, Mode::training, 0.1);
}

at::Tensor TorchNetwork::run(const at::Tensor& images, Mode mode, double momentum) const {
    std::vector<at::Tensor> values(network_.nodes.size());
    std::vector<int> readers = consumers_;
    values[0] = images;
    for (std::size_t i = 1; i < values.size(); ++i) {
        values[i] = apply(i, values, mode, momentum);
        // Free memory is in the cache; the next layer should get it.
        for (const std::size_t input : network_.nodes[i].inputs)
            if (--readers[input] == 0) values[input].reset();
    }
    return values[outputs_.front()].flatten(1);
}

bool TorchNetwork::may_overwrite(std::size_t index, Mode mode) const {
    const std::size_t input = network_.nodes[index].inputs[0];
    if (!exclusive_[input]) return false;
    if (mode == Mode::inference) return true;
    // The gradients of other operators need their outputs.
    const Operator producer = network_.nodes[input].op;
    return producer == Operator::conv2d || producer == Operator::batch_norm ||
           producer == Operator::add;
}

at::Tensor TorchNetwork::apply(std::size_t index, std::vector<at::Tensor>& values, Mode mode,
                               double momentum) const {
    const Node& node = network_.nodes[index];
    const NodeParameters& own = parameters_[index];
    at::Tensor& input = values[node.inputs[0]];
    switch (node.op) {
    case Operator::conv2d:
        return convolve(node, own, input);
    case Operator::linear:
        return at::linear(input.flatten(1), own.weight, own.bias).unsqueeze(2).unsqueeze(3);
    case Operator::batch_norm:
        return normalise(index, input, mode, momentum);
    case Operator::add:
    case Operator::multiply:
        return combine(node, values, may_overwrite(index, mode));
    case Operator::concat:
        return arranged(join(node, values));
    case Operator::slice:
        return arranged(input.narrow(1, node.first_channel, node.output_channels));
    case Operator::channel_shuffle:
        return arranged(shuffle(node, input));
    case Operator::pad:
        return arranged(pad(node, input));
    case Operator::max_pool:
    case Operator::average_pool:
        return pool(node, input);
    case Operator::global_average_pool:
        return at::adaptive_avg_pool2d(input, {1, 1});
    case Operator::resize_nearest:
    case Operator::resize_bilinear:
        return resize(node, input);
    case Operator::flatten:
        return input.flatten(1).unsqueeze(2).unsqueeze(3);
    case Operator::softmax:
        return at::softmax(input, 1);
    default:
        return activate(node, input, may_overwrite(index, mode));
    }
}

at::Tensor TorchNetwork::normalise(std::size_t index, const at::Tensor& input, Mode mode,
                                   double momentum) const {
    const NodeParameters& own = parameters_[index];
    const double epsilon = network_.nodes[index].epsilon;
    if (mode == Mode::training && backend_.own_kernels)
        return BatchNormFunction::apply(input, own.weight, own.bias, own.running_mean,
                                        own.running_var, epsilon, momentum);
    return at::batch_norm(input, own.weight, own.bias, own.running_mean, own.running_var,
                          mode == Mode::training, momentum, epsilon, backend_.device.is_cuda());
}

void TorchNetwork::store(network::Weights& weights) const {
    for (std::size_t i = 0; i < network_.nodes.size(); ++i)
        for (const auto& [suffix, member] : suffixes) {
            if (!(parameters_[i].*member).defined()) continue;
            const at::Tensor tensor = (parameters_[i].*member).detach().to(at::kCPU).contiguous();
            const float* const values = tensor.data_ptr<float>();
            weights.at(network_.nodes[i].name + suffix)
                .values.assign(values, values + tensor.numel());
        }
}

at::Tensor empty_batch(std::int64_t count, const ImageData& images) {
    const std::int64_t row = images.width * images.channels;
    // Strides are given in full: with one channel, "channels last" alone would be ambiguous, and
    // every convolution would fall back to the slow layout.
    return at::empty_strided({count, images.channels, images.height, images.width},
                             {images.height * row, 1, row, images.channels}, at::kFloat);
}

} // namespace hdap::accuracy
