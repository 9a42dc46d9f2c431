#include "hdap/core/text.hpp"
#include "load_torch.hpp"
#include "operators_torch.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace hdap::network::torchscript {
namespace {

// ------------------------------------------------------------------------ layers with parameters

std::string shape_of(const at::Tensor& tensor) {
    std::string text = "[";
    for (const std::int64_t size : tensor.sizes())
        text += (text.size() > 1 ? ", " : "") + std::to_string(size);
    return text + "]";
}

/// The padding that keeps the extent with a stride of 1; PyTorch's padding = "same".
Extent same_padding(const OperatorCall& call, const Node& node) {
    const Extent whole{node.dilation.height * (node.kernel.height - 1),
                       node.dilation.width * (node.kernel.width - 1)};
    if (whole.height % 2 != 0 || whole.width % 2 != 0)
        call.fail("pads one side more than the other; pad with zeros before it instead");
    return {whole.height / 2, whole.width / 2};
}

Extent padding_of(const OperatorCall& call, const Node& node) {
    const auto* text = call.value("padding").get<Known>();
    if (text == nullptr || !text->value.isString()) return call.extent("padding");
    return text->value.toStringRef() == "same" ? same_padding(call, node) : Extent{0, 0};
}

/// What `node`, a convolution that is to read `input`, reads in the end: where that is blocks of an
/// image's pixels it takes them from the image itself, by a larger kernel.
std::size_t settle_input(const OperatorCall& call, const Traced& input, Node& node,
                         Tensor& weight) {
    const NetworkAssembly& assembly = call.assembly();
    const auto blocks = call.assembly().samples().joined_by(assembly.node(input.node));
    if (!blocks || node.groups != 1 || node.dilation != Extent{1, 1}) return input.node;
    weight = over_pixels(weight, *blocks);
    for (Extent* part : {&node.kernel, &node.stride, &node.padding})
        *part = product(*part, blocks->block);
    return blocks->node;
}

Value convolution(const OperatorCall& call) {
    const Traced input = call.spatial(call.input());
    const Known weight = call.tensor("weight");
    const at::Tensor& filters = weight.value.toTensor();
    if (call.find("transposed") != nullptr && call.flag("transposed"))
        call.fail("is transposed; use a nearest resize and a convolution instead");
    if (filters.dim() != 4) call.fail("has a weight of shape " + shape_of(filters));
    Node node;
    node.name = call.name_of_layer(weight, "conv");
    node.op = Operator::conv2d;
    node.output_channels = filters.size(0);
    node.groups = call.integer("groups");
    node.kernel = {filters.size(2), filters.size(3)};
    node.stride = call.extent("stride");
    node.dilation = call.extent("dilation");
    node.padding = padding_of(call, node);
    node.bias = call.find("bias") != nullptr;
    if (node.groups < 1 || filters.size(1) * node.groups != input.sizes[1])
        call.fail(fmt::format("has a weight of shape {} and {}, but an input of {}",
                              shape_of(filters), core::counted(node.groups, "group"),
                              core::counted(input.sizes[1], "channel")));
    Tensor values = to_floats(filters);
    const std::size_t from = settle_input(call, input, node, values);
    const Traced result = call.append(std::move(node), {from});
    call.assembly().set_weight(result.node, ".weight", std::move(values));
    if (call.find("bias") != nullptr)
        call.assembly().set_weight(result.node, ".bias",
                                   to_floats(call.tensor("bias").value.toTensor()));
    return result;
}

/// `weight` is [outputs, inputs]. What shuffles its input, as positions before channels do, the
/// layer takes over.
Traced append_linear(const OperatorCall& call, const Traced& given, const Known& weight) {
    const Traced input = call.flat(given);
    const at::Tensor& matrix = weight.value.toTensor();
    if (matrix.dim() != 2 || matrix.size(1) != input.sizes[1])
        call.fail(fmt::format("has a weight of shape {}, but an input of {}", shape_of(matrix),
                              core::counted(input.sizes[1], "channel")));
    Node node;
    node.name = call.name_of_layer(weight, "fc");
    node.op = Operator::linear;
    node.output_channels = matrix.size(0);
    Tensor values = to_floats(matrix);
    std::size_t from = input.node;
    if (const Node& before = call.assembly().node(from); before.op == Operator::channel_shuffle) {
        values.values = columns_before_shuffle(values.values, matrix.size(1), before.groups);
        from = before.inputs[0];
    }
    Traced result = call.append(std::move(node), {from});
    result.sizes = {batch_size, matrix.size(0)};
    call.assembly().set_weight(result.node, ".weight", std::move(values));
    return result;
}

Value linear(const OperatorCall& call) {
    const Traced result = append_linear(call, call.input(), call.tensor("weight"));
    if (call.find("bias") != nullptr)
        call.assembly().add_bias_to_last(to_floats(call.tensor("bias").value.toTensor()));
    return result;
}

/// The transposed weight of a product: [inputs, outputs] as [outputs, inputs].
Known transposed(const OperatorCall& call, std::string_view name) {
    Known weight = call.tensor(name);
    if (weight.value.toTensor().dim() != 2)
        call.fail("multiplies by a tensor of shape " + shape_of(weight.value.toTensor()));
    weight.value = weight.value.toTensor().t();
    return weight;
}

Value addmm(const OperatorCall& call) {
    if (call.number("beta") != 1.0 || call.number("alpha") != 1.0)
        call.fail("has a beta or alpha that is not 1");
    const at::Tensor bias = call.tensor("self").value.toTensor();
    const Traced result =
        append_linear(call, call.traced(call.value("mat1")), transposed(call, "mat2"));
    if (bias.numel() != result.sizes[1])
        call.fail(fmt::format("adds a tensor of shape {}; it must be a bias", shape_of(bias)));
    call.assembly().add_bias_to_last(to_floats(bias.flatten()));
    return result;
}

Value matmul(const OperatorCall& call) {
    const bool named_mat2 = call.find("mat2") != nullptr;
    return append_linear(call, call.input(), transposed(call, named_mat2 ? "mat2" : "other"));
}

Value batch_norm(const OperatorCall& call) {
    const Traced input = call.settled(call.input());
    if (call.find("running_mean") == nullptr || call.find("running_var") == nullptr)
        call.fail("has no running statistics: every batch would give other results; train the "
                  "network with track_running_stats = True");
    if (call.flag("training"))
        call.fail("is in training mode; call eval() before the network is exported");
    if (input.sizes.size() < 2 || (input.view != View::plain && input.view != View::joined_pixels))
        call.fail("is applied to a tensor whose second dimension is not the channels");
    const std::int64_t channels = input.sizes[1];
    Node node;
    node.name = call.name_of_layer(call.tensor("running_mean"), "bn");
    node.op = Operator::batch_norm;
    node.epsilon = call.number("eps");
    const Traced result = call.append_alike(std::move(node), input);
    constexpr std::array<std::pair<std::string_view, const char*>, 4> parameters{
        {{"weight", ".weight"},
         {"bias", ".bias"},
         {"running_mean", ".running_mean"},
         {"running_var", ".running_var"}}};
    for (const auto& [argument, suffix] : parameters) {
        if (call.find(argument) != nullptr) {
            call.assembly().set_weight(result.node, suffix,
                                       to_floats(call.tensor(argument).value.toTensor()));
            continue;
        }
        const float neutral = argument == "weight" ? 1.0F : 0.0F;
        call.assembly().set_weight(
            result.node, suffix,
            {{channels}, std::vector<float>(static_cast<std::size_t>(channels), neutral)});
    }
    return result;
}

// ----------------------------------------------------------------------------------- activations

Value activation(const OperatorCall& call, Operator op, const char* word) {
    Node node;
    node.op = op;
    if (op == Operator::leaky_relu) node.negative_slope = call.number("negative_slope");
    const Traced input = call.settled(call.input());
    node.name = call.name(word);
    return call.append_alike(std::move(node), input);
}

Value silu(const OperatorCall& call) {
    return activation(call, Operator::silu, "silu");
}
Value sigmoid(const OperatorCall& call) {
    return activation(call, Operator::sigmoid, "sigmoid");
}
Value tanh(const OperatorCall& call) {
    return activation(call, Operator::tanh, "tanh");
}
Value leaky_relu(const OperatorCall& call) {
    return activation(call, Operator::leaky_relu, "leaky_relu");
}
Value hard_sigmoid(const OperatorCall& call) {
    return activation(call, Operator::hard_sigmoid, "hard_sigmoid");
}
Value hard_swish(const OperatorCall& call) {
    return activation(call, Operator::hard_swish, "hard_swish");
}

/// ReLU. A positive factor may come after it as well as before.
Traced at_least_zero(const OperatorCall& call, Traced input) {
    const bool factor_only = input.affine.is_factor() && input.affine.scale[0] > 0.0;
    const Affine after = factor_only ? input.affine : Affine{};
    if (factor_only)
        input.affine = {};
    else
        input = call.settled(input);
    Node node;
    node.name = call.name("relu");
    node.op = Operator::relu;
    Traced result = call.append_alike(std::move(node), input);
    result.affine = after;
    return result;
}

Value relu(const OperatorCall& call) {
    return at_least_zero(call, call.input());
}

/// `input` clamped to [low, high]: ReLU6 of it, stretched. ReLU6 of x + 3 is 6 · hard sigmoid of x.
Traced clamped(const OperatorCall& call, Traced input, double low, double high) {
    if (!(low < high)) call.fail("clamps to nothing");
    const double width = high - low;
    input.affine.add({-low});
    input.affine.multiply({6.0 / width});
    const bool is_hard_sigmoid = input.affine.is_uniform() &&
                                 std::abs(input.affine.scale[0] - 1.0) < 1e-6 &&
                                 std::abs(input.affine.offset[0] - 3.0) < 1e-6;
    if (is_hard_sigmoid)
        input.affine = {};
    else
        input = call.settled(input);
    Node node;
    node.name = call.name(is_hard_sigmoid ? "hard_sigmoid" : "relu6");
    node.op = is_hard_sigmoid ? Operator::hard_sigmoid : Operator::relu6;
    Traced result = call.append_alike(std::move(node), input);
    result.affine.multiply({is_hard_sigmoid ? width : width / 6.0});
    result.affine.add({low});
    return result;
}

Value relu6(const OperatorCall& call) {
    return clamped(call, call.input(), 0.0, 6.0);
}

Value hardtanh(const OperatorCall& call) {
    return clamped(call, call.input(), call.number("min_val"), call.number("max_val"));
}

/// `input` with one bound: 0 from below, or any from above where it is a ReLU, which the other
/// bound is of.
Traced bounded(const OperatorCall& call, Traced input, double bound, bool below) {
    const Node& node = call.assembly().node(input.node);
    if (below && bound == 0.0) return at_least_zero(call, std::move(input));
    const bool is_relu = node.op == Operator::relu && input.affine.is_factor() &&
                         input.affine.scale[0] > 0.0; // which may as well come before it
    if (below || !is_relu)
        call.fail("has one bound only; it must be 0 from below, or there must be two");
    input.node = node.inputs[0];
    return clamped(call, std::move(input), 0.0, bound);
}

Value clamp(const OperatorCall& call) {
    const bool below = call.find("min") != nullptr;
    const bool above = call.find("max") != nullptr;
    if (below && above) return clamped(call, call.input(), call.number("min"), call.number("max"));
    if (!below && !above) call.fail("has no bound");
    return bounded(call, call.input(), call.number(below ? "min" : "max"), below);
}

/// The larger, or smaller, of a tensor and a number.
Value extremum(const OperatorCall& call, bool larger) {
    const bool number_first = call.value("self").get<Known>() != nullptr;
    return bounded(call, call.traced(call.value(number_first ? "other" : "self")),
                   call.number(number_first ? "self" : "other"), larger);
}

Value maximum(const OperatorCall& call) {
    return extremum(call, true);
}

Value minimum(const OperatorCall& call) {
    return extremum(call, false);
}

Value softmax(const OperatorCall& call) {
    const Traced input = call.settled(call.input());
    const bool over_channels = call.dimension(input, call.integer("dim")) == 1 &&
                               (input.view == View::plain || input.view == View::joined_pixels);
    if (!over_channels) call.fail("is not over the channels; let the network end before it");
    Node node;
    node.name = call.name("softmax");
    node.op = Operator::softmax;
    return call.append_alike(std::move(node), input);
}

Value dropout(const OperatorCall& call) {
    if (call.flag("train"))
        call.fail("is in training mode; call eval() before the network is exported");
    return call.input();
}

// --------------------------------------------------------------------------------------- pooling

Value global_pool(const OperatorCall& call, const Traced& input) {
    Node node;
    node.name = call.name("pool");
    node.op = Operator::global_average_pool;
    return call.append(std::move(node), {input.node});
}

/// What max and average pooling have in common.
Node pooling(const OperatorCall& call, Operator op) {
    Node node;
    node.name = call.name("pool");
    node.op = op;
    node.kernel = call.extent("kernel_size");
    const bool own_stride = call.find("stride") != nullptr && !call.integers("stride").empty();
    node.stride = own_stride ? call.extent("stride") : node.kernel;
    node.padding = call.extent("padding");
    node.ceil_mode = call.flag("ceil_mode");
    return node;
}

Value max_pool(const OperatorCall& call) {
    const Traced input = call.spatial(call.input());
    if (call.extent("dilation") != Extent{1, 1})
        call.fail("is dilated; use a pooling without dilation");
    return call.append(pooling(call, Operator::max_pool), {input.node});
}

Value average_pool(const OperatorCall& call) {
    const Traced input = call.spatial(call.input());
    if (call.find("divisor_override") != nullptr) call.fail("has a divisor of its own");
    const Extent whole{input.sizes[2], input.sizes[3]};
    if (call.extent("kernel_size") == whole && call.extent("padding") == Extent{0, 0})
        return global_pool(call, input);
    Node node = pooling(call, Operator::average_pool);
    node.count_include_pad = call.flag("count_include_pad");
    return call.append(std::move(node), {input.node});
}

/// Pooling to a given extent, by windows of one size where the extents allow it.
Value adaptive_pool(const OperatorCall& call, Operator op) {
    const Traced input = call.spatial(call.input());
    const Extent from{input.sizes[2], input.sizes[3]};
    const Extent to = call.extent("output_size");
    if (to == from) return input;
    if (to == Extent{1, 1} && op == Operator::average_pool) return global_pool(call, input);
    if (to.height < 1 || to.width < 1 || from.height % to.height != 0 || from.width % to.width != 0)
        call.fail(fmt::format("pools {} x {} pixels to {} x {}, which takes windows of different "
                              "sizes; use images of another size",
                              from.height, from.width, to.height, to.width));
    Node node;
    node.name = call.name("pool");
    node.op = op;
    node.kernel = {from.height / to.height, from.width / to.width};
    node.stride = node.kernel;
    return call.append(std::move(node), {input.node});
}

Value adaptive_average_pool(const OperatorCall& call) {
    return adaptive_pool(call, Operator::average_pool);
}
Value adaptive_max_pool(const OperatorCall& call) {
    return adaptive_pool(call, Operator::max_pool);
}

/// Means over height and width, at once or one after the other.
Value mean(const OperatorCall& call) {
    Traced input = call.input();
    if (input.view != View::row_means && input.view != View::joined_pixels)
        input = call.plain(input);
    std::vector<std::size_t> dimensions;
    if (call.find("dim") != nullptr)
        for (const std::int64_t dim : call.integers("dim"))
            dimensions.push_back(call.dimension(input, dim));
    std::sort(dimensions.begin(), dimensions.end());
    const bool keep = call.find("keepdim") != nullptr && call.flag("keepdim");
    const std::vector<std::size_t> rest =
        input.view == View::plain ? std::vector<std::size_t>{2, 3} : std::vector<std::size_t>{2};
    if (dimensions == rest) {
        Traced result = std::get<Traced>(global_pool(call, call.settled(input)).content);
        if (!keep)
            result.sizes = {batch_size, result.sizes[1]};
        else if (input.sizes.size() == 3)
            result.sizes.pop_back(), result.view = View::joined_pixels;
        return result;
    }
    if (input.view != View::plain || input.sizes.size() != 4 ||
        dimensions != std::vector<std::size_t>{3})
        call.fail("is over other dimensions than height and width");
    input.view = View::row_means;
    if (keep)
        input.sizes[3] = 1;
    else
        input.sizes.pop_back();
    return call.reader.in_new_memory(input);
}

// -------------------------------------------------------------------------------------- resizing

Extent resized_extent(const OperatorCall& call, const Traced& input) {
    if (call.find("output_size") != nullptr) return call.extent("output_size");
    std::vector<double> factors = call.numbers("scale_factors");
    if (factors.size() == 1) factors.push_back(factors[0]);
    if (factors.size() != 2) call.fail("needs a factor for height and one for width");
    const auto size = [&](std::size_t i) {
        const double exact = static_cast<double>(input.sizes[2 + i]) * factors[i];
        if (!(exact >= 1.0 && exact <= 1e6))
            call.fail("resizes by a factor that networks here cannot have");
        return static_cast<std::int64_t>(std::floor(exact));
    };
    return {size(0), size(1)};
}

/// Where PyTorch is given a factor, it places the pixels by that instead of by the two extents.
void check_factors(const OperatorCall& call, const Traced& input, const Extent& to) {
    std::vector<double> factors;
    if (call.find("scale_factors") != nullptr) factors = call.numbers("scale_factors");
    if (call.find("scales_h") != nullptr && call.find("scales_w") != nullptr)
        factors = {call.number("scales_h"), call.number("scales_w")};
    if (factors.size() == 1) factors.push_back(factors[0]);
    const std::array<std::int64_t, 2> size{to.height, to.width};
    for (std::size_t i = 0; i < factors.size() && i < 2; ++i)
        if (std::abs(static_cast<double>(input.sizes[2 + i]) * factors[i] -
                     static_cast<double>(size[i])) > 1e-6)
            call.fail("resizes by a factor that does not give whole pixels; use "
                      "recompute_scale_factor = True, or images of another size");
}

Value resize(const OperatorCall& call, Operator op) {
    const Traced input = call.spatial(call.input());
    Node node;
    node.name = call.name("resize");
    node.op = op;
    node.size = resized_extent(call, input);
    if (op == Operator::resize_bilinear) node.align_corners = call.flag("align_corners");
    if (!node.align_corners) check_factors(call, input, node.size);
    return call.append(std::move(node), {input.node});
}

Value resize_nearest(const OperatorCall& call) {
    return resize(call, Operator::resize_nearest);
}
Value resize_bilinear(const OperatorCall& call) {
    return resize(call, Operator::resize_bilinear);
}

constexpr std::array layers{
    OperatorEntry{"_convolution", convolution},
    OperatorEntry{"_convolution_mode", convolution},
    OperatorEntry{"convolution", convolution},
    OperatorEntry{"conv2d", convolution},
    OperatorEntry{"linear", linear},
    OperatorEntry{"addmm", addmm},
    OperatorEntry{"matmul", matmul},
    OperatorEntry{"mm", matmul},
    OperatorEntry{"batch_norm", batch_norm},
    OperatorEntry{"relu", relu},
    OperatorEntry{"relu6", relu6},
    OperatorEntry{"hardtanh", hardtanh},
    OperatorEntry{"clamp", clamp},
    OperatorEntry{"clamp_min", clamp},
    OperatorEntry{"clamp_max", clamp},
    OperatorEntry{"maximum", maximum},
    OperatorEntry{"minimum", minimum},
    OperatorEntry{"max", maximum},
    OperatorEntry{"min", minimum},
    OperatorEntry{"leaky_relu", leaky_relu},
    OperatorEntry{"silu", silu},
    OperatorEntry{"sigmoid", sigmoid},
    OperatorEntry{"tanh", tanh},
    OperatorEntry{"hardsigmoid", hard_sigmoid},
    OperatorEntry{"hardswish", hard_swish},
    OperatorEntry{"softmax", softmax},
    OperatorEntry{"dropout", dropout},
    OperatorEntry{"feature_dropout", dropout},
    OperatorEntry{"max_pool2d", max_pool},
    OperatorEntry{"max_pool2d_with_indices", max_pool},
    OperatorEntry{"avg_pool2d", average_pool},
    OperatorEntry{"adaptive_avg_pool2d", adaptive_average_pool},
    OperatorEntry{"adaptive_max_pool2d", adaptive_max_pool},
    OperatorEntry{"mean", mean},
    OperatorEntry{"upsample_nearest2d", resize_nearest},
    OperatorEntry{"upsample_bilinear2d", resize_bilinear},
};

} // namespace

std::span<const OperatorEntry> layer_operators() {
    return layers;
}

} // namespace hdap::network::torchscript
