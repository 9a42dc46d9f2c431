#include "load_torch.hpp"
#include "operators_torch.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

namespace hdap::network::torchscript {
namespace {

/// The numbers of an operand that does not depend on the images: one, or one for each channel of
/// `other`. Nothing where it depends on them.
std::optional<std::vector<double>> numbers_of(const OperatorCall& call, const Value& value,
                                              const Value& other) {
    const auto* given = value.get<Known>();
    if (given == nullptr) return std::nullopt;
    if (given->value.isScalar() && !given->value.isComplexDouble())
        return std::vector{given->value.toScalar().toDouble()};
    if (!given->value.isTensor()) call.fail("has an operand that is no number and no tensor");
    const at::Tensor tensor = given->value.toTensor();
    if (tensor.numel() == 1) return std::vector{tensor.item().toDouble()};
    const Traced operand = call.traced(other);
    const auto rank = static_cast<std::int64_t>(operand.sizes.size());
    // Dimensions are aligned at their end.
    const std::int64_t channels_at = tensor.dim() - (rank - 1);
    const bool fits = operand.view == View::plain && tensor.dim() <= rank && channels_at >= 0 &&
                      tensor.numel() == operand.sizes[1] &&
                      tensor.size(channels_at) == operand.sizes[1];
    if (!fits)
        call.fail(fmt::format("combines a tensor of the images with another one of {} dimensions "
                              "that has not one value for each of {} channels",
                              tensor.dim(), operand.sizes[1]));
    const std::vector<float> floats = to_floats(tensor.flatten()).values;
    return std::vector<double>(floats.begin(), floats.end());
}

Value add_numbers(const OperatorCall& call, const Traced& operand,
                  const std::vector<double>& numbers) {
    Traced result = call.reader.in_new_memory(operand);
    result.affine.add(numbers);
    return result;
}

Value multiply_by(const OperatorCall& call, const Traced& operand,
                  const std::vector<double>& numbers) {
    if (!std::all_of(numbers.begin(), numbers.end(), [](double x) { return std::isfinite(x); }))
        call.fail("multiplies by a number that is not finite");
    Traced result = call.reader.in_new_memory(operand);
    result.affine.multiply(numbers);
    return result;
}

/// What stands for [N, C, 1, 1] here, whatever extent it was repeated to.
Traced unexpanded(Traced tensor) {
    if (tensor.view != View::expanded) return tensor;
    tensor.view = View::plain;
    tensor.sizes[2] = tensor.sizes[3] = 1;
    return tensor;
}

/// a · activation(a) as one activation, where it has a name.
std::optional<Operator> activation_of_product(const NetworkAssembly& assembly, std::size_t a,
                                              std::size_t b) {
    const Node& gate = assembly.node(b);
    if (gate.inputs.empty() || gate.inputs[0] != a) return std::nullopt;
    if (gate.op == Operator::sigmoid) return Operator::silu;
    if (gate.op == Operator::hard_sigmoid) return Operator::hard_swish;
    return std::nullopt;
}

/// The sum or product of two tensors of the images, element by element.
Traced combine(const OperatorCall& call, Operator op, const Traced& first, const Traced& second) {
    const bool plain = first.view == View::plain && second.view == View::plain;
    if (first.sizes.size() != second.sizes.size() || (!plain && first.view != second.view) ||
        (!plain && first.sizes != second.sizes))
        call.fail(fmt::format("combines tensors of {} and {} dimensions that do not correspond",
                              first.sizes.size(), second.sizes.size()));
    if (op == Operator::multiply && first.view == View::row_means)
        call.fail("multiplies means over the width alone; take those over height and width "
                  "together before: x.mean([2, 3])");
    if (op == Operator::multiply)
        for (const auto& [a, b] : {std::pair(first, second), std::pair(second, first)})
            if (const auto activation = activation_of_product(call.assembly(), a.node, b.node)) {
                Node node;
                node.name = call.name(*activation == Operator::silu ? "silu" : "hard_swish");
                node.op = *activation;
                return call.append_alike(std::move(node), a);
            }
    Node node;
    node.name = call.name(op == Operator::add ? "add" : "mul");
    node.op = op;
    Traced result = call.append(std::move(node), {first.node, second.node});
    result.view = first.view;
    if (!plain)
        result.sizes = first.sizes;
    else if (first.sizes.size() == 2)
        result.sizes.resize(2);
    return result;
}

/// first + factor · second
Value add_scaled(const OperatorCall& call, const Value& first, const Value& second, double factor) {
    if (auto numbers = numbers_of(call, second, first)) {
        for (double& number : *numbers)
            number *= factor;
        return add_numbers(call, call.traced(first), *numbers);
    }
    Traced b = call.traced(second);
    b.affine.multiply({factor});
    if (const auto numbers = numbers_of(call, first, second)) return add_numbers(call, b, *numbers);
    return combine(call, Operator::add, call.settled(call.traced(first)), call.settled(b));
}

double alpha(const OperatorCall& call) {
    return call.find("alpha") == nullptr ? 1.0 : call.number("alpha");
}

Value add(const OperatorCall& call) {
    return add_scaled(call, call.value("self"), call.value("other"), alpha(call));
}

Value subtract(const OperatorCall& call) {
    return add_scaled(call, call.value("self"), call.value("other"), -alpha(call));
}

/// other − alpha · self
Value reverse_subtract(const OperatorCall& call) {
    return add_scaled(call, call.value("other"), call.value("self"), -alpha(call));
}

Value negate(const OperatorCall& call) {
    return multiply_by(call, call.input(), {-1.0});
}

Value multiply(const OperatorCall& call) {
    const Value& first = call.value("self");
    const Value& second = call.value("other");
    if (const auto numbers = numbers_of(call, second, first))
        return multiply_by(call, call.traced(first), *numbers);
    if (const auto numbers = numbers_of(call, first, second))
        return multiply_by(call, call.traced(second), *numbers);
    Traced a = unexpanded(call.traced(first));
    Traced b = unexpanded(call.traced(second));
    double factor = 1.0;
    for (Traced* operand : {&a, &b}) {
        if (!operand->affine.is_factor()) *operand = call.settled(*operand);
        factor *= operand->affine.scale[0];
        operand->affine = {};
    }
    Traced result = combine(call, Operator::multiply, a, b);
    result.affine.multiply({factor});
    return result;
}

Value divide(const OperatorCall& call) {
    if (call.find("rounding_mode") != nullptr) call.fail("rounds");
    auto numbers = numbers_of(call, call.value("other"), call.value("self"));
    if (!numbers) call.fail("divides by what an image shows");
    for (double& number : *numbers)
        number = 1.0 / number;
    return multiply_by(call, call.input(), *numbers);
}

/// Concatenation of channels.
Value concatenate(const OperatorCall& call) {
    const auto* tensors = call.arguments.at(0).get<List>();
    if (tensors == nullptr || (*tensors)->empty()) call.fail("joins nothing");
    std::vector<std::size_t> nodes;
    std::size_t rank = 0;
    for (const Value& value : **tensors) {
        const Traced tensor = call.plain(call.traced(value));
        if (call.dimension(tensor, call.integer("dim")) != 1)
            call.fail("joins along another dimension than the channels; let the network end before "
                      "it, with several outputs");
        if (rank != 0 && rank != tensor.sizes.size())
            call.fail("joins tensors of different dimensions");
        rank = tensor.sizes.size();
        nodes.push_back(tensor.node);
    }
    if (nodes.size() == 1) return call.traced((**tensors)[0]);
    Node node;
    node.name = call.name("concat");
    node.op = Operator::concat;
    Traced result = call.append(std::move(node), std::move(nodes));
    result.sizes.resize(rank);
    return result;
}

constexpr std::array arithmetic_entries{
    OperatorEntry{"add", add},
    OperatorEntry{"sub", subtract},
    OperatorEntry{"rsub", reverse_subtract},
    OperatorEntry{"neg", negate},
    OperatorEntry{"mul", multiply},
    OperatorEntry{"div", divide},
    OperatorEntry{"cat", concatenate},
    OperatorEntry{"concat", concatenate},
    OperatorEntry{"concatenate", concatenate},
};

} // namespace

std::span<const OperatorEntry> arithmetic_operators() {
    return arithmetic_entries;
}

} // namespace hdap::network::torchscript
