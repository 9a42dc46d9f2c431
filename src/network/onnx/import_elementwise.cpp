#include "folding.hpp"
#include "hdap/core/error.hpp"
#include "importer.hpp"
#include "network/tensor_check.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace hdap::network {
namespace {

bool near(double a, double b) {
    return std::abs(a - b) <= 1e-6 * std::abs(b);
}

/// What a constant adds to or multiplies with: one number, or one for each channel.
std::vector<double> channel_values(const Constant& constant, const Feature& feature,
                                   std::int64_t channels) {
    constant.check_finite();
    const std::vector<float>& values = constant.floats();
    const std::size_t rank = feature.dims.size() + 1;
    bool fits = feature.order.empty() && constant.shape.size() <= rank && !values.empty();
    for (std::size_t i = 0; fits && i < constant.shape.size(); ++i) {
        const std::size_t axis = rank - constant.shape.size() + i;
        fits = constant.shape[i] == 1 ||
               (axis == 1 && constant.shape[i] == channels && feature.dims[0] == channels);
    }
    if (!fits) {
        const bool last = feature.node == 0 && !constant.shape.empty() && !feature.dims.empty() &&
                          constant.shape.back() == feature.dims.back();
        throw core::DataError(fmt::format(
            "combines '{}' of shape {} with a tensor of shape {} without the batch; only constants "
            "of one number, or one per channel, are supported{}",
            constant.name, shape_text(constant.shape), shape_text(feature.dims),
            last ? "; if the input has its channels last, export the network with the channels "
                   "first (tf2onnx: --inputs-as-nchw)"
                 : ""));
    }
    return {values.begin(), values.end()};
}

/// Both lists, repeated to the same length, combined element by element.
template <class Operation>
std::vector<double> zip(const std::vector<double>& a, const std::vector<double>& b,
                        Operation operation) {
    std::vector<double> result;
    for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i)
        result.push_back(operation(a[a.size() == 1 ? 0 : i], b[b.size() == 1 ? 0 : i]));
    return result;
}

/// Adds to, or multiplies, `affine` as the operator says.
void apply_constant(Affine& affine, const std::string& op, const std::vector<double>& values,
                    bool constant_first) {
    const std::vector<double> minus{-1.0};
    if (op == "Sub" && constant_first) { // c − x
        affine.scale = zip(affine.scale, minus, std::multiplies<>());
        affine.shift = zip(values, affine.shift, std::minus<>());
    } else if (op == "Add") {
        affine.shift = zip(affine.shift, values, std::plus<>());
    } else if (op == "Sub") {
        affine.shift = zip(affine.shift, values, std::minus<>());
    } else if (op == "Mul") {
        affine.scale = zip(affine.scale, values, std::multiplies<>());
        affine.shift = zip(affine.shift, values, std::multiplies<>());
    } else {
        affine.scale = zip(affine.scale, values, std::divides<>());
        affine.shift = zip(affine.shift, values, std::divides<>());
    }
    // What was divided, and then multiplied, by one number need not be 1 to the last bit.
    for (double& scale : affine.scale)
        if (near(scale, 1.0)) scale = 1.0;
    for (const std::vector<double>* numbers : {&affine.scale, &affine.shift})
        for (const double number : *numbers)
            if (!(std::abs(number) <= static_cast<double>(std::numeric_limits<float>::max())))
                throw core::DataError("divides by zero, or makes numbers that are too large");
}

/// A tensor and a constant.
void import_affine(OnnxImporter& importer, const OnnxNode& node, bool constant_first) {
    if (constant_first && node.op() == "Div")
        throw core::DataError("divides a constant by a tensor, which is not supported");
    const std::string& source = node.input(constant_first ? 1 : 0);
    const Constant constant = importer.constant(node.input(constant_first ? 0 : 1), "operand");
    Feature feature = importer.feature(source);
    const std::vector<double> values =
        channel_values(constant, feature, importer.shape(feature.node).channels);
    importer.budget().take(static_cast<std::int64_t>(values.size()), 2 * sizeof(double));
    apply_constant(feature.affine, node.op(), values, constant_first);
    feature.affine_name = node.name();
    feature.exclusive = feature.exclusive && importer.uses(source) == 1;
    importer.define(node.output(0), std::move(feature));
}

/// Throws when tensors that are combined are not both [N, C] or both [N, C, H, W]: ONNX would
/// repeat them in other ways than we do.
void check_ranks(const std::vector<Feature>& inputs) {
    for (const Feature& input : inputs)
        if (input.dims.size() != inputs.front().dims.size())
            throw core::DataError(fmt::format("combines tensors of shapes {} and {} without the "
                                              "batch, which have different ranks",
                                              shape_text(inputs.front().dims),
                                              shape_text(input.dims)));
}

void append_combination(OnnxImporter& importer, const OnnxNode& node, Operator op,
                        const std::vector<Feature>& inputs, double factor) {
    check_ranks(inputs);
    Node combination;
    combination.op = op;
    for (const Feature& input : inputs)
        combination.inputs.push_back(input.node);
    const std::size_t index = importer.append(std::move(combination), node.name());
    importer.define_node(node.output(0), index, inputs.front().dims.size() == 1);
    if (factor == 1.0) return;
    Feature product = importer.feature(node.output(0));
    product.affine.scale = {factor};
    product.affine_name = node.name();
    importer.define(node.output(0), std::move(product));
}

void import_sum(OnnxImporter& importer, const OnnxNode& node) {
    std::vector<Feature> inputs;
    for (std::size_t i = 0; i < node.input_count(); ++i)
        inputs.push_back(importer.tensor(node.input(i)));
    if (inputs.size() == 1) return importer.define_view(node, node.input(0), inputs[0].dims);
    append_combination(importer, node, Operator::add, inputs, 1.0);
}

void import_add(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(2);
    const bool first = importer.is_constant(node.input(0));
    if (first || importer.is_constant(node.input(1))) return import_affine(importer, node, first);
    import_sum(importer, node);
}

void import_subtract(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(2);
    const bool first = importer.is_constant(node.input(0));
    if (first || importer.is_constant(node.input(1))) return import_affine(importer, node, first);
    throw core::DataError("subtracts tensors from each other, which is not supported; subtract in "
                          "the layer before, or stop before it (--stop-at)");
}

void import_divide(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(2);
    const bool first = importer.is_constant(node.input(0));
    if (first || importer.is_constant(node.input(1))) return import_affine(importer, node, first);
    throw core::DataError(
        "divides tensors by each other, which is not supported; stop before it (--stop-at)");
}

/// The operand of a product without what it is scaled by, if that is one number, which `factor`
/// takes over.
Feature without_factor(OnnxImporter& importer, const std::string& tensor, double& factor) {
    if (!importer.feature(tensor).affine.is_factor()) return importer.tensor(tensor);
    importer.check_arrangement(tensor);
    Feature feature = importer.feature(tensor);
    factor *= std::exchange(feature.affine.scale, {1.0})[0];
    return feature;
}

/// x·sigmoid(x) has an operator of its own, and so has that with the hard sigmoid.
std::optional<Operator> gated(const OnnxImporter& importer, const Feature& x, const Feature& gate) {
    const Node& sigmoid = importer.node(gate.node);
    if (x.dims != gate.dims || sigmoid.inputs != std::vector{x.node}) return std::nullopt;
    if (sigmoid.op == Operator::sigmoid) return Operator::silu;
    if (sigmoid.op == Operator::hard_sigmoid) return Operator::hard_swish;
    return std::nullopt;
}

void import_multiply(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(2);
    const bool first = importer.is_constant(node.input(0));
    if (first || importer.is_constant(node.input(1))) return import_affine(importer, node, first);
    double factor = 1.0;
    const Feature a = without_factor(importer, node.input(0), factor);
    const Feature b = without_factor(importer, node.input(1), factor);
    for (const auto& [x, gate] : {std::pair(&a, &b), std::pair(&b, &a)})
        if (const auto op = gated(importer, *x, *gate)) {
            // One operand is enough; the sigmoid is dropped unless something else reads it.
            return append_combination(importer, node, *op, {*x}, factor);
        }
    append_combination(importer, node, Operator::multiply, {a, b}, factor);
}

void append_activation(OnnxImporter& importer, const OnnxNode& node, Node activation) {
    const Feature input = importer.tensor(node.input(0));
    activation.inputs = {input.node};
    const std::size_t index = importer.append(std::move(activation), node.name());
    importer.define_node(node.output(0), index, input.dims.size() == 1);
}

template <Operator op>
void import_activation(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(1);
    Node activation;
    activation.op = op;
    append_activation(importer, node, std::move(activation));
}

void import_leaky_relu(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(1);
    Node activation;
    activation.op = Operator::leaky_relu;
    activation.negative_slope = node.number("alpha", 0.01);
    append_activation(importer, node, std::move(activation));
}

/// max(0, min(1, alpha·x + beta)), which is ours of 6·alpha·x + 6·(beta − 1/2). Keras and Paddle
/// have 0.2 and 0.5.
void import_hard_sigmoid(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(1);
    const double alpha = node.number("alpha", 0.2);
    const double beta = node.number("beta", 0.5);
    if (near(alpha, 1.0 / 6.0) && near(beta, 0.5))
        return import_activation<Operator::hard_sigmoid>(importer, node);
    Feature line = importer.tensor(node.input(0));
    line.exclusive = line.exclusive && importer.uses(node.input(0)) == 1;
    line.affine_name = node.name() + ".line";
    apply_constant(line.affine, "Mul", {6.0 * alpha}, false);
    apply_constant(line.affine, "Add", {6.0 * (beta - 0.5)}, false);
    if (!line.affine.is_identity()) importer.make_affine_node(line);
    const std::size_t index = importer.append(Operator::hard_sigmoid, line.node, node.name());
    importer.define_node(node.output(0), index, line.dims.size() == 1);
}

void import_softmax(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(1);
    const Feature& input = importer.tensor(node.input(0));
    const auto rank = static_cast<std::int64_t>(input.dims.size()) + 1;
    std::int64_t axis = node.integer("axis", importer.opset() < 13 ? 1 : -1);
    if (axis < 0) axis += rank;
    // Up to opset 12 all axes from this one on are taken together.
    const bool together =
        importer.opset() < 13 && importer.shape(input.node).extent != Extent{1, 1};
    if (axis != 1 || together)
        throw core::DataError("is a softmax over other axes than the channels, which is not "
                              "supported; stop before it (--stop-at)");
    import_activation<Operator::softmax>(importer, node);
}

void import_identity(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(1);
    importer.define_view(node, node.input(0), importer.feature(node.input(0)).dims);
}

/// Networks are pruned for inference.
void import_dropout(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(3);
    for (const char* attribute : {"ratio", "seed"})
        node.ignore(attribute);
    importer.define_view(node, node.input(0), importer.feature(node.input(0)).dims);
}

[[noreturn]] void refuse_integers() {
    throw core::DataError(
        "makes integers of a tensor, which is not supported; stop before it (--stop-at)");
}

void import_cast(OnnxImporter& importer, const OnnxNode& node) {
    const std::int64_t to = node.integer("to", onnx::TensorProto::UNDEFINED);
    node.ignore("saturate");
    if (to != onnx::TensorProto::FLOAT && to != onnx::TensorProto::DOUBLE &&
        to != onnx::TensorProto::FLOAT16 && to != onnx::TensorProto::BFLOAT16)
        refuse_integers();
    import_identity(importer, node);
}

/// A constant as the floating-point numbers that tensors are here, or a tensor as it is.
void import_cast_like(OnnxImporter& importer, const OnnxNode& node) {
    node.check_inputs(2);
    node.ignore("saturate");
    const std::string& source = node.input(0);
    if (!importer.is_constant(source)) {
        if (importer.is_constant(node.input(1)) &&
            importer.constant(node.input(1), "operand").is_integer())
            refuse_integers();
        return importer.define_view(node, source, importer.feature(source).dims);
    }
    importer.define(node.output(0), as_floating(importer.constant(source, "operand"),
                                                node.output(0), importer.budget()));
}

} // namespace

std::map<std::string, ImportOperator> elementwise_operators() {
    return {{"Add", import_add},
            {"Cast", import_cast},
            {"CastLike", import_cast_like},
            {"Div", import_divide},
            {"Dropout", import_dropout},
            {"HardSigmoid", import_hard_sigmoid},
            {"HardSwish", import_activation<Operator::hard_swish>},
            {"Identity", import_identity},
            {"LeakyRelu", import_leaky_relu},
            {"Mul", import_multiply},
            {"Sigmoid", import_activation<Operator::sigmoid>},
            {"Softmax", import_softmax},
            {"Sub", import_subtract},
            {"Sum", import_sum},
            {"Tanh", import_activation<Operator::tanh>}};
}

} // namespace hdap::network
