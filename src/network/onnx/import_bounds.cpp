#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "importer.hpp"
#include "network/tensor_check.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

/// ReLU, ReLU6 and hard sigmoids, which exporters write as one operator or as several that bound a
/// tensor one after the other: Clip, Relu, and Max and Min with numbers.
namespace hdap::network {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// A large number is what exporters write for no bound.
double bound(double number) {
    constexpr double most = 3.4e38;
    if (std::isnan(number)) throw core::DataError("a bound is no number (NaN)");
    return std::abs(number) >= most ? std::copysign(infinity, number) : number;
}

/// The one number that a constant bounds all elements of `x` with.
double bound(OnnxImporter& importer, const std::string& tensor, const Feature& x) {
    const Constant constant = importer.constant(tensor, "bound");
    const std::vector<float>& values = constant.floats();
    // Shapes are aligned at their end, and the tensor must not grow.
    const std::size_t rank = x.dims.size() + 1;
    bool fits = !values.empty() && constant.shape.size() <= rank;
    for (std::size_t i = 0; fits && i < constant.shape.size(); ++i) {
        const std::size_t axis = rank - constant.shape.size() + i;
        fits = constant.shape[i] == 1 || (axis > 0 && constant.shape[i] == x.dims[axis - 1]);
    }
    const auto differs = [&](float value) { return value != values[0] && !std::isnan(values[0]); };
    if (!fits || std::any_of(values.begin(), values.end(), differs))
        throw core::DataError(fmt::format(
            "the bound '{}' of shape {} must be one number, the same for the whole tensor; train "
            "with ReLU or ReLU6",
            tensor, shape_text(constant.shape)));
    return bound(static_cast<double>(values[0]));
}

/// What is clipped to `first` and then to `second`.
Bounds narrowed(const Bounds& first, const Bounds& second) {
    const auto within = [&second](double x) {
        return std::min(std::max(x, second.low), second.high);
    };
    return {within(first.low), within(first.high)};
}

/// The tensor that is bounded to `further`. A ReLU that has become a node already is a bound of
/// what it reads, where another from above makes a ReLU6 of the two.
Feature bounded(const OnnxImporter& importer, const std::string& tensor, const Bounds& further) {
    Feature x = importer.feature(tensor);
    x.exclusive = x.exclusive && importer.uses(tensor) == 1;
    const Node& node = importer.node(x.node);
    const bool is_relu =
        node.op == Operator::relu && x.affine.is_identity() && x.bounds == Bounds{};
    if (!is_relu || further.high == infinity) return x;
    x.node = node.inputs[0]; // the ReLU is dropped unless something else reads it
    x.bounds.low = 0.0;
    x.exclusive = false;
    return x;
}

/// How an activation gives the bounds: of `line`, and then times `factor`.
struct Activation {
    Operator op = Operator::identity;
    Affine line;
    double factor = 1.0;
};

/// 6·line − 3, of which the hard sigmoid is the line within [0, 1].
Affine before_hard_sigmoid(Affine line) {
    for (double& scale : line.scale)
        scale *= 6.0;
    for (double& shift : line.shift)
        shift = 6.0 * shift - 3.0;
    // x/6 + 1/2, in single precision, need not be it to the last bit.
    constexpr double tolerance = 1e-6;
    const bool is_x = line.is_uniform() && std::abs(line.scale[0] - 1.0) <= tolerance &&
                      std::abs(line.shift[0]) <= 3.0 * tolerance;
    return is_x ? Affine{} : line;
}

Activation activation_of(const Affine& line, const Bounds& bounds) {
    if (bounds == Bounds{0.0, 1.0}) return {Operator::hard_sigmoid, before_hard_sigmoid(line)};
    if (bounds == Bounds{0.0, infinity}) return {Operator::relu, line};
    const bool three_more = line.is_uniform() && line.scale[0] == 1.0 && line.shift[0] == 3.0;
    if (bounds == Bounds{0.0, 6.0} && three_more) return {Operator::hard_sigmoid, {}, 6.0};
    if (bounds == Bounds{0.0, 6.0}) return {Operator::relu6, line};
    throw core::DataError(fmt::format("clips to [{}, {}], only [0, 6] (ReLU6) and [0, inf] (ReLU), "
                                      "and [0, 1] (hard sigmoid), are supported; train with one of "
                                      "these",
                                      core::shortest(bounds.low), core::shortest(bounds.high)));
}

/// Defines the node's output as `x` with its bounds made an activation, which works on any view.
void define_activation(OnnxImporter& importer, const OnnxNode& node, Feature x) {
    const Bounds bounds = std::exchange(x.bounds, {});
    if (bounds == Bounds{}) return importer.define(node.output(0), std::move(x));
    const Activation activation = activation_of(x.affine, bounds);
    x.affine = activation.line;
    if (x.affine_name.empty()) x.affine_name = node.name() + ".line";
    if (!x.affine.is_identity()) importer.make_affine_node(x);
    x.node = importer.append(activation.op, x.node, node.name());
    x.exclusive = true;
    x.affine.scale = {activation.factor};
    x.affine_name = node.name();
    importer.define(node.output(0), std::move(x));
}

/// Whether bounds wait for those of the operator that alone reads the tensor: the two may be what
/// we have an operator for, and one alone not. A ReLU is, and stays so behind another.
bool waits(const Bounds& bounds, const std::string& reader) {
    constexpr std::array<std::string_view, 3> others{"Clip", "Max", "Min"};
    if (std::find(others.begin(), others.end(), reader) != others.end()) return true;
    return reader == "Relu" && bounds != Bounds{0.0, infinity};
}

void import_bounds(OnnxImporter& importer, const OnnxNode& node, const std::string& tensor,
                   const Bounds& bounds) {
    Feature x = bounded(importer, tensor, bounds);
    x.bounds = narrowed(x.bounds, bounds);
    if (waits(x.bounds, importer.only_reader(node.output(0))))
        return importer.define(node.output(0), std::move(x));
    define_activation(importer, node, std::move(x));
}

void import_relu(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(1);
    import_bounds(importer, node, node.input(0), {0.0, infinity});
}

/// The bounds are attributes up to opset 10, then inputs.
void import_clip(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(3);
    const Feature& x = importer.feature(node.input(0));
    Bounds bounds{bound(node.number("min", -infinity)), bound(node.number("max", infinity))};
    if (node.has_input(1)) bounds.low = bound(importer, node.input(1), x);
    if (node.has_input(2)) bounds.high = bound(importer, node.input(2), x);
    import_bounds(importer, node, node.input(0), bounds);
}

/// Max, or Min, of one tensor and numbers.
void import_extremum(OnnxImporter& importer, const OnnxNode& node) {
    const bool largest = node.op() == "Max";
    std::optional<std::string> tensor;
    for (std::size_t i = 0; i < node.input_count(); ++i) {
        if (importer.is_constant(node.input(i))) continue;
        if (tensor)
            throw core::DataError(fmt::format("takes the {} of two tensors, which is not "
                                              "supported; train with ReLU, ReLU6 or LeakyReLU, or "
                                              "stop before it (--stop-at)",
                                              largest ? "larger" : "smaller"));
        tensor = node.input(i);
    }
    const Feature& x = importer.feature(tensor.value_or(node.input(0)));
    Bounds bounds;
    for (std::size_t i = 0; i < node.input_count(); ++i) {
        if (node.input(i) == tensor) continue;
        const double number = bound(importer, node.input(i), x);
        bounds = narrowed(bounds, largest ? Bounds{number, infinity} : Bounds{-infinity, number});
    }
    import_bounds(importer, node, *tensor, bounds);
}

} // namespace

std::map<std::string, ImportOperator> bounding_operators() {
    return {{"Clip", import_clip},
            {"Max", import_extremum},
            {"Min", import_extremum},
            {"Relu", import_relu}};
}

} // namespace hdap::network
