#include "folding.hpp"

#include "hdap/core/error.hpp"
#include "network/tensor_check.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <utility>

namespace hdap::network {
namespace {

using Shape = std::vector<std::int64_t>;
using Inputs = std::vector<const Constant*>;

/// What a computation needs besides its inputs.
struct Context {
    const OnnxNode& node;
    const Inputs& inputs;
    TensorReader& reader;
    MemoryBudget& budget;

    [[nodiscard]] const Constant& input(std::size_t i) const {
        if (i >= inputs.size() || inputs[i] == nullptr)
            throw core::DataError(fmt::format("input {} is missing", i));
        return *inputs[i];
    }
    [[nodiscard]] bool has(std::size_t i) const {
        return i < inputs.size() && inputs[i] != nullptr;
    }
    [[nodiscard]] std::string output() const { return node.output(0); }
};

[[noreturn]] void fail_batch() {
    throw core::DataError("computes something with the size of the batch that cannot be followed; "
                          "simplify the model for a fixed batch before (onnxsim)");
}

/// Calls apply(elements) with the elements of `constant`, whatever they are, and makes a constant
/// of what it returns.
template <class Apply>
Constant map_elements(const Context& c, const Constant& source, Shape shape, Apply apply) {
    const std::int64_t count = element_count(shape);
    c.budget.take(count, source.is_integer() ? sizeof(Integer) : sizeof(float));
    if (source.is_integer())
        return make_constant(c.output(), std::move(shape), apply(source.integers()));
    return make_constant(c.output(), std::move(shape), apply(source.floats()));
}

/// The same elements in another shape; not copied.
Constant reshaped(const Context& c, const Constant& source, Shape shape) {
    if (element_count(shape) != static_cast<std::int64_t>(source.size()))
        throw core::DataError(
            fmt::format("cannot reshape {} to {}", shape_text(source.shape), shape_text(shape)));
    // A layer's weight keeps its name through rearrangements that have no name of their own.
    Constant result = source;
    result.shape = std::move(shape);
    if (c.output().ends_with(".weight")) result.name = c.output();
    return result;
}

Shape row_major_strides(const Shape& shape) {
    Shape strides(shape.size(), 1);
    for (std::size_t i = shape.size(); i-- > 1;)
        strides[i - 1] = strides[i] * shape[i];
    return strides;
}

/// The elements at offset + Σ index·stride for all indices of `shape`.
template <class Element>
std::vector<Element> strided(const std::vector<Element>& source, const Shape& shape,
                             const Shape& strides, std::int64_t offset) {
    const std::int64_t count = element_count(shape);
    std::vector<Element> result;
    result.reserve(static_cast<std::size_t>(count));
    Shape index(shape.size(), 0);
    for (std::int64_t i = 0; i < count; ++i) {
        result.push_back(source[static_cast<std::size_t>(offset)]);
        for (std::size_t axis = shape.size(); axis-- > 0;) {
            offset += strides[axis];
            if (++index[axis] < shape[axis]) break;
            offset -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    return result;
}

Constant strided(const Context& c, const Constant& source, const Shape& shape, const Shape& strides,
                 std::int64_t offset) {
    Constant result = map_elements(c, source, shape, [&](const auto& elements) {
        return strided(elements, shape, strides, offset);
    });
    if (!c.output().ends_with(".weight")) result.name = source.name;
    return result;
}

/// The shape that both are repeated to.
Shape broadcast_shape(const Shape& a, const Shape& b) {
    Shape shape(std::max(a.size(), b.size()), 1);
    for (std::size_t i = 0; i < shape.size(); ++i) {
        const std::int64_t in_a = i < a.size() ? a[a.size() - 1 - i] : 1;
        const std::int64_t in_b = i < b.size() ? b[b.size() - 1 - i] : 1;
        if (in_a != in_b && in_a != 1 && in_b != 1)
            throw core::DataError(fmt::format("combines constants of shapes {} and {}",
                                              shape_text(a), shape_text(b)));
        shape[shape.size() - 1 - i] = in_a == 1 ? in_b : in_a;
    }
    return shape;
}

/// The strides of a tensor that is repeated to `shape`.
Shape broadcast_strides(const Shape& own, const Shape& shape) {
    const Shape strides = row_major_strides(own);
    Shape result(shape.size(), 0);
    for (std::size_t i = 0; i < own.size(); ++i)
        if (own[i] != 1) result[shape.size() - own.size() + i] = strides[i];
    return result;
}

Constant broadcast(const Context& c, const Constant& source, const Shape& shape) {
    return strided(c, source, shape, broadcast_strides(source.shape, shape), 0);
}

std::int64_t checked(bool overflow, std::int64_t value) {
    if (overflow) throw core::DataError("a computation of shapes overflows");
    return value;
}

Integer sum(const Integer& a, const Integer& b) {
    if (a.value == 0) return b;
    if (b.value == 0) return a;
    if (a.batches != b.batches) fail_batch();
    std::int64_t value = 0;
    const bool overflow = __builtin_add_overflow(a.value, b.value, &value);
    return {checked(overflow, value), a.batches};
}

Integer negative(const Integer& a) {
    if (a.value == std::numeric_limits<std::int64_t>::min()) (void)checked(true, 0);
    return {-a.value, a.batches};
}

Integer product(const Integer& a, const Integer& b) {
    constexpr int most_batches = 8;
    std::int64_t value = 0;
    const bool overflow =
        __builtin_mul_overflow(a.value, b.value, &value) || a.batches + b.batches > most_batches;
    return {checked(overflow, value), a.batches + b.batches};
}

Integer quotient(const Integer& a, const Integer& b) {
    if (b.value == 0) throw core::DataError("divides by zero");
    if (b.value == -1) return product(a, b);
    const Integer result{a.value / b.value, a.batches - b.batches};
    const bool exact = a.value % b.value == 0;
    if (result.batches < 0 || (!exact && (a.batches > 0 || b.batches > 0))) fail_batch();
    return result;
}

/// Applies an operation of two numbers to all elements, repeating the smaller tensor.
template <class OfFloats, class OfIntegers>
Constant combined(const Context& c, OfFloats of_floats, OfIntegers of_integers) {
    const Shape shape = broadcast_shape(c.input(0).shape, c.input(1).shape);
    const Constant a = broadcast(c, c.input(0), shape);
    const Constant b = broadcast(c, c.input(1), shape);
    if (a.is_integer() != b.is_integer())
        throw core::DataError("combines integers with floating-point numbers");
    return map_elements(c, a, shape, [&](const auto& elements) {
        auto result = elements;
        for (std::size_t i = 0; i < result.size(); ++i)
            if constexpr (std::is_same_v<std::decay_t<decltype(result[i])>, float>)
                result[i] = of_floats(result[i], b.floats()[i]);
            else
                result[i] = of_integers(result[i], b.integers()[i]);
        return result;
    });
}

/// Applies an operation of one floating-point number to all elements.
template <class Operation>
Constant mapped_floats(const Context& c, Operation operation) {
    std::vector<float> result = c.input(0).floats();
    c.budget.take(static_cast<std::int64_t>(result.size()), sizeof(float));
    std::transform(result.begin(), result.end(), result.begin(), operation);
    return make_constant(c.output(), c.input(0).shape, std::move(result));
}

Constant fold_constant(const Context& c) {
    const OnnxNode& node = c.node;
    Constant result;
    if (node.has("value"))
        result = c.reader.read(node.tensor("value"));
    else if (node.has("value_float"))
        result =
            make_constant("", {}, std::vector{static_cast<float>(node.number("value_float", 0.0))});
    else if (node.has("value_int"))
        result = make_constant("", {}, std::vector{Integer{node.integer("value_int", 0)}});
    else if (node.has("value_floats")) {
        std::vector<float> values = node.numbers("value_floats");
        const auto size = static_cast<std::int64_t>(values.size());
        result = make_constant("", {size}, std::move(values));
    } else {
        std::vector<Integer> values;
        for (const std::int64_t value : node.integers("value_ints", {}))
            values.push_back({value});
        const auto size = static_cast<std::int64_t>(values.size());
        result = make_constant("", {size}, std::move(values));
    }
    result.name = c.output();
    return result;
}

Constant fold_constant_of_shape(const Context& c) {
    const Shape shape = plain_integers(c.input(0));
    const std::int64_t count = element_count(shape);
    c.budget.take(count, sizeof(Integer));
    const auto size = static_cast<std::size_t>(count);
    if (!c.node.has("value")) return make_constant(c.output(), shape, std::vector<float>(size));
    const Constant value = c.reader.read(c.node.tensor("value"));
    if (value.size() != 1) throw core::DataError("attribute 'value' must hold one element");
    if (value.is_integer())
        return make_constant(c.output(), shape, std::vector(size, value.integers()[0]));
    return make_constant(c.output(), shape, std::vector(size, value.floats()[0]));
}

Constant as_floating(const Constant& source, const Context& c) {
    if (!source.is_integer()) return reshaped(c, source, source.shape);
    return network::as_floating(source, c.output(), c.budget);
}

Constant as_integers(const Constant& source, const Context& c) {
    if (source.is_integer()) return reshaped(c, source, source.shape);
    c.budget.take(static_cast<std::int64_t>(source.size()), sizeof(Integer));
    std::vector<Integer> integers;
    for (const float value : source.floats()) {
        constexpr float most = 9e18F;
        if (!(std::abs(value) < most)) throw core::DataError("casts a number that is too large");
        integers.push_back({static_cast<std::int64_t>(value)});
    }
    return make_constant(c.output(), source.shape, std::move(integers));
}

Constant fold_cast(const Context& c) {
    const std::int64_t to = c.node.integer("to", onnx::TensorProto::FLOAT);
    const Constant& source = c.input(0);
    c.node.ignore("saturate");
    const bool floating = to == onnx::TensorProto::FLOAT || to == onnx::TensorProto::DOUBLE ||
                          to == onnx::TensorProto::FLOAT16 || to == onnx::TensorProto::BFLOAT16;
    return floating ? as_floating(source, c) : as_integers(source, c);
}

/// The type of the second input.
Constant fold_cast_like(const Context& c) {
    c.node.ignore("saturate");
    return c.input(1).is_integer() ? as_integers(c.input(0), c) : as_floating(c.input(0), c);
}

Constant fold_shape(const Context& c) {
    const auto& shape = c.input(0).shape;
    const auto rank = static_cast<std::int64_t>(shape.size());
    const auto place = [rank](std::int64_t at) {
        return std::clamp<std::int64_t>(at < 0 ? at + rank : at, 0, rank);
    };
    std::vector<Integer> sizes;
    const std::int64_t last = place(c.node.integer("end", rank));
    for (std::int64_t i = place(c.node.integer("start", 0)); i < last; ++i)
        sizes.push_back({shape[static_cast<std::size_t>(i)]});
    const auto count = static_cast<std::int64_t>(sizes.size());
    return make_constant(c.output(), {count}, std::move(sizes));
}

/// Axes are an attribute or, since opset 13, an input.
std::vector<std::int64_t> axes_of(const Context& c) {
    return c.has(1) ? plain_integers(c.input(1)) : c.node.integers("axes", {});
}

Constant fold_unsqueeze(const Context& c) {
    const std::vector<std::int64_t> axes = axes_of(c);
    const Shape& shape = c.input(0).shape;
    const std::size_t rank = shape.size() + axes.size();
    std::vector<bool> added(rank, false);
    for (const std::int64_t axis : axes)
        added[normalised_axis(axis, rank)] = true;
    Shape result;
    std::size_t next = 0;
    for (std::size_t i = 0; i < rank; ++i)
        result.push_back(added[i] || next == shape.size() ? 1 : shape[next++]);
    return reshaped(c, c.input(0), std::move(result));
}

Constant fold_squeeze(const Context& c) {
    const Shape& shape = c.input(0).shape;
    std::vector<bool> removed(shape.size(), false);
    const std::vector<std::int64_t> axes = axes_of(c);
    for (const std::int64_t axis : axes)
        removed[normalised_axis(axis, shape.size())] = true;
    Shape result;
    for (std::size_t i = 0; i < shape.size(); ++i)
        if (!(axes.empty() ? shape[i] == 1 : removed[i])) result.push_back(shape[i]);
    return reshaped(c, c.input(0), std::move(result));
}

Constant fold_reshape(const Context& c) {
    const bool zero_is_size = c.node.flag("allowzero", false);
    return reshaped(c, c.input(0),
                    reshape_target(plain_integers(c.input(1)), c.input(0).shape, zero_is_size));
}

Constant fold_transpose(const Context& c) {
    const Shape& from = c.input(0).shape;
    Shape order;
    for (std::size_t i = from.size(); i-- > 0;)
        order.push_back(static_cast<std::int64_t>(i));
    order = c.node.integers("perm", order);
    const Shape strides = row_major_strides(from);
    Shape shape;
    Shape new_strides;
    std::vector<bool> seen(from.size(), false);
    for (const std::int64_t axis : order) {
        const std::size_t place = normalised_axis(axis, from.size());
        if (seen[place]) throw core::DataError("attribute 'perm' is not a permutation");
        seen[place] = true;
        shape.push_back(from[place]);
        new_strides.push_back(strides[place]);
    }
    if (shape.size() != from.size()) throw core::DataError("attribute 'perm' is not a permutation");
    return strided(c, c.input(0), shape, new_strides, 0);
}

template <class Elements>
const Elements& elements_of(const Constant& constant, const Elements&) {
    if constexpr (std::is_same_v<Elements, std::vector<float>>)
        return constant.floats();
    else
        return constant.integers();
}

std::int64_t product_of(Shape::const_iterator first, Shape::const_iterator last) {
    return element_count(Shape(first, last));
}

Constant fold_concat(const Context& c) {
    const Shape& first = c.input(0).shape;
    const std::size_t axis = normalised_axis(c.node.integer("axis", 0), first.size());
    Shape shape = first;
    shape[axis] = 0;
    for (std::size_t i = 0; i < c.inputs.size(); ++i) {
        Shape other = c.input(i).shape;
        const std::int64_t size = other.size() == first.size() ? other[axis] : 0;
        if (other.size() == first.size()) other[axis] = first[axis];
        if (other != first)
            throw core::DataError(fmt::format("joins constants of shapes {} and {}",
                                              shape_text(first), shape_text(c.input(i).shape)));
        shape[axis] += size;
    }
    const bool empty = element_count(shape) == 0;
    const auto place = static_cast<std::ptrdiff_t>(axis);
    const auto blocks =
        static_cast<std::size_t>(empty ? 0 : product_of(shape.begin(), shape.begin() + place));
    return map_elements(c, c.input(0), shape, [&](const auto& elements) {
        std::decay_t<decltype(elements)> result;
        for (std::size_t block = 0; block < blocks; ++block)
            for (std::size_t i = 0; i < c.inputs.size(); ++i) {
                const auto& part = elements_of(c.input(i), elements);
                const auto size = static_cast<std::ptrdiff_t>(part.size() / blocks);
                const auto begin = part.begin() + static_cast<std::ptrdiff_t>(block) * size;
                result.insert(result.end(), begin, begin + size);
            }
        return result;
    });
}

Constant fold_gather(const Context& c) {
    const Shape& from = c.input(0).shape;
    const std::size_t axis = normalised_axis(c.node.integer("axis", 0), from.size());
    std::vector<std::int64_t> places = plain_integers(c.input(1));
    for (std::int64_t& place : places)
        place =
            static_cast<std::int64_t>(normalised_axis(place, static_cast<std::size_t>(from[axis])));
    const auto middle = from.begin() + static_cast<std::ptrdiff_t>(axis);
    Shape shape(from.begin(), middle);
    shape.insert(shape.end(), c.input(1).shape.begin(), c.input(1).shape.end());
    shape.insert(shape.end(), middle + 1, from.end());
    const bool empty = element_count(shape) == 0;
    const std::int64_t outer = empty ? 0 : product_of(from.begin(), middle);
    const std::int64_t inner = empty ? 0 : product_of(middle + 1, from.end());
    return map_elements(c, c.input(0), shape, [&](const auto& elements) {
        std::decay_t<decltype(elements)> result;
        for (std::int64_t o = 0; o < outer; ++o)
            for (const std::int64_t place : places) {
                const auto begin = elements.begin() + (o * *middle + place) * inner;
                result.insert(result.end(), begin, begin + inner);
            }
        return result;
    });
}

Constant fold_slice(const Context& c) {
    Shape shape = c.input(0).shape;
    Shape strides = row_major_strides(shape);
    std::int64_t offset = 0;
    const auto numbers = [&](std::size_t input) {
        return c.has(input) ? plain_integers(c.input(input)) : std::vector<std::int64_t>{};
    };
    const SliceBounds bounds = c.inputs.size() > 1
                                   ? SliceBounds{numbers(1), numbers(2), numbers(3), numbers(4)}
                                   : slice_attributes(c.node);
    for (const SliceRange& range : slice_ranges(bounds, shape)) {
        offset += range.first * strides[range.axis];
        strides[range.axis] *= range.step;
        shape[range.axis] = range.count;
    }
    return strided(c, c.input(0), shape, strides, offset);
}

Constant fold_where(const Context& c) {
    const Shape shape =
        broadcast_shape(broadcast_shape(c.input(0).shape, c.input(1).shape), c.input(2).shape);
    const Constant condition = broadcast(c, c.input(0), shape);
    const Constant yes = broadcast(c, c.input(1), shape);
    const Constant no = broadcast(c, c.input(2), shape);
    return map_elements(c, yes, shape, [&](const auto& elements) {
        auto result = elements_of(no, elements);
        for (std::size_t i = 0; i < result.size(); ++i)
            if (condition.integers()[i].value != 0) result[i] = elements[i];
        return result;
    });
}

Constant fold_equal(const Context& c) {
    const Shape shape = broadcast_shape(c.input(0).shape, c.input(1).shape);
    const Constant a = broadcast(c, c.input(0), shape);
    const Constant b = broadcast(c, c.input(1), shape);
    std::vector<Integer> result;
    for (std::size_t i = 0; i < a.size(); ++i)
        result.push_back(
            {a.is_integer() ? a.integers()[i] == b.integers()[i] : a.floats()[i] == b.floats()[i]});
    return make_constant(c.output(), shape, std::move(result));
}

Constant fold_negative(const Context& c) {
    return map_elements(c, c.input(0), c.input(0).shape, [](const auto& elements) {
        auto result = elements;
        for (auto& element : result)
            if constexpr (std::is_same_v<std::decay_t<decltype(element)>, float>)
                element = -element;
            else
                element = negative(element);
        return result;
    });
}

using Fold = std::function<Constant(const Context&)>;

Constant fold_identity(const Context& c) {
    return reshaped(c, c.input(0), c.input(0).shape);
}

const std::map<std::string, Fold>& folds() {
    static const std::map<std::string, Fold> table{
        {"Add", [](const Context& c) { return combined(c, std::plus<float>(), sum); }},
        {"Cast", fold_cast},
        {"CastLike", fold_cast_like},
        {"Ceil", [](const Context& c) { return mapped_floats(c, ceilf); }},
        {"Concat", fold_concat},
        {"Constant", fold_constant},
        {"ConstantOfShape", fold_constant_of_shape},
        {"Div", [](const Context& c) { return combined(c, std::divides<float>(), quotient); }},
        {"Dropout", fold_identity},
        {"Equal", fold_equal},
        {"Expand",
         [](const Context& c) {
             return broadcast(c, c.input(0),
                              broadcast_shape(c.input(0).shape, plain_integers(c.input(1))));
         }},
        {"Floor", [](const Context& c) { return mapped_floats(c, floorf); }},
        {"Gather", fold_gather},
        {"Identity", fold_identity},
        {"Mul", [](const Context& c) { return combined(c, std::multiplies<float>(), product); }},
        {"Neg", fold_negative},
        {"Reshape", fold_reshape},
        {"Shape", fold_shape},
        {"Slice", fold_slice},
        {"Sqrt", [](const Context& c) { return mapped_floats(c, sqrtf); }},
        {"Squeeze", fold_squeeze},
        {"Sub",
         [](const Context& c) {
             return combined(c, std::minus<float>(), [](const Integer& a, const Integer& b) {
                 return sum(a, negative(b));
             });
         }},
        {"Transpose", fold_transpose},
        {"Unsqueeze", fold_unsqueeze},
        {"Where", fold_where},
    };
    return table;
}

} // namespace

std::optional<Constant> fold_constants(const OnnxNode& node, const Inputs& inputs,
                                       TensorReader& reader, MemoryBudget& budget) {
    const auto found = folds().find(node.op());
    if (found == folds().end()) return std::nullopt;
    return found->second({node, inputs, reader, budget});
}

Constant as_floating(const Constant& constant, std::string name, MemoryBudget& budget) {
    if (!constant.is_integer()) return constant;
    budget.take(static_cast<std::int64_t>(constant.size()), sizeof(float));
    const Shape values = plain_integers(constant);
    return make_constant(std::move(name), constant.shape,
                         std::vector<float>(values.begin(), values.end()));
}

std::size_t normalised_axis(std::int64_t axis, std::size_t rank) {
    const auto signed_rank = static_cast<std::int64_t>(rank);
    if (axis < -signed_rank || axis >= signed_rank)
        throw core::DataError(fmt::format("{} is not in [-{}, {})", axis, rank, rank));
    return static_cast<std::size_t>(axis < 0 ? axis + signed_rank : axis);
}

Shape reshape_target(Shape wanted, const Shape& from, bool zero_is_size) {
    const std::int64_t count = element_count(from);
    std::int64_t known = 1;
    std::optional<std::size_t> open;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        if (wanted[i] == 0 && !zero_is_size && i < from.size()) wanted[i] = from[i];
        if (wanted[i] == -1 && !open)
            open = i;
        else
            known = element_count({known, wanted[i]});
    }
    if (open && known > 0) wanted[*open] = count / known;
    if (element_count(wanted) != count)
        throw core::DataError(
            fmt::format("cannot reshape {} to {}", shape_text(from), shape_text(wanted)));
    return wanted;
}

std::vector<std::int64_t> plain_integers(const Constant& constant) {
    std::vector<std::int64_t> result;
    for (const Integer& integer : constant.integers()) {
        if (integer.batches != 0 && integer.value != 0) fail_batch();
        result.push_back(integer.value);
    }
    return result;
}

SliceBounds slice_attributes(const OnnxNode& node) {
    return {node.integers("starts", {}), node.integers("ends", {}), node.integers("axes", {}), {}};
}

namespace {

SliceRange slice_range(std::size_t axis, std::int64_t size, std::int64_t start, std::int64_t end,
                       std::int64_t step) {
    if (step == 0) throw core::DataError("has a step of 0");
    constexpr std::int64_t largest_step = std::int64_t{1} << 31;
    step = std::clamp(step, -largest_step, largest_step);
    if (start < 0) start += size;
    if (end < 0) end += size;
    const bool forwards = step > 0;
    start = std::clamp<std::int64_t>(start, 0, forwards ? size : size - 1);
    end = std::clamp<std::int64_t>(end, forwards ? 0 : -1, forwards ? size : size - 1);
    const std::int64_t distance = forwards ? end - start : start - end;
    const std::int64_t pace = std::abs(step);
    return {axis, start, std::max<std::int64_t>(0, (distance + pace - 1) / pace), step};
}

} // namespace

std::vector<SliceRange> slice_ranges(const SliceBounds& bounds, const Shape& shape) {
    const std::size_t count = bounds.starts.size();
    if (bounds.ends.size() != count || (!bounds.axes.empty() && bounds.axes.size() != count) ||
        (!bounds.steps.empty() && bounds.steps.size() != count))
        throw core::DataError(
            fmt::format("has {} starts, and another number of ends, axes or steps", count));
    std::vector<SliceRange> ranges;
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t axis = normalised_axis(
            bounds.axes.empty() ? static_cast<std::int64_t>(i) : bounds.axes[i], shape.size());
        for (const SliceRange& range : ranges)
            if (range.axis == axis) throw core::DataError("cuts one axis twice");
        ranges.push_back(slice_range(axis, shape[axis], bounds.starts[i], bounds.ends[i],
                                     bounds.steps.empty() ? 1 : bounds.steps[i]));
    }
    return ranges;
}

} // namespace hdap::network
