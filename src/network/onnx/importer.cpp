#include "importer.hpp"

#include "folding.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "network/tensor_check.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <utility>

namespace hdap::network {
namespace {

/// What a user can do about an operator that we have none for.
std::string workaround(const std::string& op) {
    static const std::map<std::string, std::string> known{
        {"ConvTranspose", "replace it by Resize and Conv"},
        {"PRelu", "train with ReLU, LeakyReLU or SiLU"},
        {"Elu", "train with ReLU, LeakyReLU or SiLU"},
        {"Selu", "train with ReLU, LeakyReLU or SiLU"},
        {"Celu", "train with ReLU, LeakyReLU or SiLU"},
        {"Softplus", "train with ReLU, SiLU or HardSwish instead of Mish"},
        {"Mish", "train with ReLU, SiLU or HardSwish"},
        {"Erf", "train with SiLU instead of GELU"},
        {"Gelu", "train with SiLU instead of GELU"},
        {"InstanceNormalization", "train with BatchNormalization"},
        {"LayerNormalization", "train with BatchNormalization"},
        {"GroupNormalization", "train with BatchNormalization"},
        {"LpNormalization", "stop before it (--stop-at), and normalise the output afterwards"},
        {"LRN", "train with BatchNormalization"},
        {"LogSoftmax", "stop before it (--stop-at): the logits have the same order"},
        {"ArgMax", "stop before it (--stop-at), and take the largest output afterwards"},
        {"TopK", "stop before it (--stop-at), and take the largest outputs afterwards"},
        {"NonMaxSuppression", "stop before it (--stop-at), and select the boxes afterwards"},
        {"QuantizeLinear", "import the network before it is quantised"},
        {"DequantizeLinear", "import the network before it is quantised"},
        {"DynamicQuantizeLinear", "import the network before it is quantised"},
        {"QLinearConv", "import the network before it is quantised"},
        {"QLinearMatMul", "import the network before it is quantised"},
        {"ConvInteger", "import the network before it is quantised"},
        {"MatMulInteger", "import the network before it is quantised"},
        {"If", "export it for inference with constant folding, or simplify it (onnxsim)"},
        {"Loop", "unroll it: export it for inference, or simplify it (onnxsim)"},
        {"Scan", "unroll it: export it for inference, or simplify it (onnxsim)"},
        {"LSTM", "only convolutional networks can be pruned"},
        {"GRU", "only convolutional networks can be pruned"},
        {"RNN", "only convolutional networks can be pruned"},
        {"Einsum", "only convolutional networks can be pruned"},
        {"DepthToSpace", "replace it by Resize and Conv"},
    };
    const auto found = known.find(op);
    return found != known.end() ? found->second : "stop before it (--stop-at)";
}

const std::map<std::string, ImportOperator>& operators() {
    static const std::map<std::string, ImportOperator> table = [] {
        std::map<std::string, ImportOperator> all = layer_operators();
        all.merge(elementwise_operators());
        all.merge(bounding_operators());
        all.merge(image_operators());
        all.merge(shape_operators());
        return all;
    }();
    return table;
}

bool all_are(const std::vector<double>& values, double value) {
    return std::all_of(values.begin(), values.end(), [value](double v) { return v == value; });
}

/// A name that files of ours can hold: '/' separates groups in HDF5, and reports print names.
std::string storable(const std::string& wanted, const char* otherwise) {
    constexpr std::size_t longest = 200;
    const std::size_t first = wanted.find_first_not_of('/');
    if (first == std::string::npos) return otherwise;
    std::string name = wanted.substr(first, longest);
    for (char& c : name)
        if (c == '/')
            c = '.';
        else if (c <= ' ' || c > '~')
            c = '_';
    return name;
}

/// The only input that is not a weight: old files list those, too.
const onnx::ValueInfoProto&
only_input(const onnx::GraphProto& graph,
           const std::unordered_map<std::string, const onnx::TensorProto*>& initializers) {
    const onnx::ValueInfoProto* input = nullptr;
    for (const onnx::ValueInfoProto& candidate : graph.input()) {
        if (initializers.contains(candidate.name())) continue;
        if (input != nullptr)
            throw core::DataError(fmt::format("the network has several inputs, as '{}' and '{}'; "
                                              "only networks of one image are supported",
                                              input->name(), candidate.name()));
        input = &candidate;
    }
    if (input == nullptr) throw core::DataError("the network has no input");
    return *input;
}

/// Batch, channels, height and width; 0 for those that are open.
std::array<std::int64_t, 4> input_sizes(const onnx::TypeProto::Tensor& type) {
    if (type.elem_type() != onnx::TensorProto::FLOAT &&
        type.elem_type() != onnx::TensorProto::DOUBLE &&
        type.elem_type() != onnx::TensorProto::FLOAT16 &&
        type.elem_type() != onnx::TensorProto::BFLOAT16)
        throw core::DataError("holds no floating-point numbers; export the network with an input "
                              "of type FLOAT");
    if (type.shape().dim_size() != 4)
        throw core::DataError(fmt::format("has {}, must have 4: batch, channels, height, width",
                                          core::counted(type.shape().dim_size(), "dimension")));
    std::array<std::int64_t, 4> sizes{};
    for (int axis = 0; axis < 4; ++axis)
        sizes[static_cast<std::size_t>(axis)] =
            std::max<std::int64_t>(0, type.shape().dim(axis).dim_value());
    if (sizes[1] == 0)
        throw core::DataError("does not say how many channels it has; export it with a fixed "
                              "number of channels");
    return sizes;
}

/// Whether the file may have images of one channel, and that last, of the size that was asked for.
bool is_channels_last(const std::array<std::int64_t, 4>& sizes,
                      const std::optional<Extent>& wanted) {
    const auto [batch, height, width, channels] = sizes;
    return wanted && channels == 1 && *wanted == Extent{height, width};
}

/// The image's extent: the file's, or what was asked for where the file leaves it open.
Extent choose_extent(const Extent& of_file, const std::optional<Extent>& wanted) {
    if (!wanted) {
        if (of_file.height > 0 && of_file.width > 0) return of_file;
        throw core::DataError("does not fix the height and width of images; say which to import "
                              "it for, or export it for a fixed size");
    }
    if ((of_file.height > 0 && of_file.height != wanted->height) ||
        (of_file.width > 0 && of_file.width != wanted->width))
        throw core::DataError(
            fmt::format("is {0} x {1}, {2} x {3} was asked for; export the network for that size, "
                        "or pack images of {0} x {1} (`hdap data pack`)",
                        of_file.height, of_file.width, wanted->height, wanted->width));
    return *wanted;
}

/// A value for each channel, of one for each or one for all.
std::vector<float> per_channel(const std::vector<double>& values, std::int64_t channels) {
    std::vector<float> all(static_cast<std::size_t>(channels), static_cast<float>(values[0]));
    if (values.size() > 1) std::copy(values.begin(), values.end(), all.begin());
    return all;
}

/// The nodes that the outputs need, with their places.
void drop_unused(Network& network) {
    std::vector<bool> used(network.nodes.size(), false);
    used[0] = true;
    for (const std::size_t output : network.outputs)
        used[output] = true;
    for (std::size_t i = network.nodes.size(); i-- > 0;)
        if (used[i])
            for (const std::size_t input : network.nodes[i].inputs)
                used[input] = true;
    std::vector<std::size_t> place(network.nodes.size(), 0);
    std::vector<Node> kept;
    for (std::size_t i = 0; i < network.nodes.size(); ++i) {
        if (!used[i]) continue;
        place[i] = kept.size();
        kept.push_back(std::move(network.nodes[i]));
        for (std::size_t& input : kept.back().inputs)
            input = place[input];
    }
    network.nodes = std::move(kept);
    for (std::size_t& output : network.outputs)
        output = place[output];
}

} // namespace

bool Affine::is_identity() const noexcept {
    return all_are(scale, 1.0) && all_are(shift, 0.0);
}

bool Affine::is_uniform() const noexcept {
    return scale.size() == 1 && shift.size() == 1;
}

bool Affine::is_factor() const noexcept {
    return scale.size() == 1 && all_are(shift, 0.0);
}

OnnxImporter::OnnxImporter(const OnnxModel& model, TensorReader& reader, MemoryBudget& budget,
                           const OnnxImportParameters& parameters)
    : model_(model), reader_(reader), budget_(budget), parameters_(parameters) {}

PrunedNetwork OnnxImporter::run() {
    network_.name = storable(model_.graph().name(), "network");
    find_tensors();
    find_input();
    const std::vector<std::string> outputs = output_names();
    std::set<std::string> available{input_name_};
    for (const auto& [name, tensor] : initializers_)
        available.insert(name);
    const std::vector<std::size_t> order = evaluation_order(model_.graph(), available, outputs);
    count_uses(order, outputs);
    for (const std::size_t i : order) {
        const OnnxNode node(model_.graph().node(static_cast<int>(i)));
        try {
            import_node(node);
        } catch (const core::DataError& error) {
            const std::string reads =
                node.has_input(0) ? fmt::format(", which reads '{}'", node.input(0)) : "";
            throw core::DataError(fmt::format("{}{}: {}", node.description(), reads, error.what()));
        }
    }
    return finish(outputs);
}

void OnnxImporter::find_tensors() {
    for (const onnx::TensorProto& tensor : model_.graph().initializer())
        if (!initializers_.emplace(tensor.name(), &tensor).second)
            throw core::DataError(
                fmt::format("there are two initializers named '{}'", tensor.name()));
}

void OnnxImporter::find_input() {
    const onnx::ValueInfoProto& input = only_input(model_.graph(), initializers_);
    input_name_ = input.name();
    try {
        const auto sizes = input_sizes(input.type().tensor_type());
        const auto [batch, channels, height, width] = sizes;
        const bool last = is_channels_last(sizes, parameters_.input_extent);
        fixed_batch_ = batch;
        network_.input_extent =
            last ? Extent{height, width} : choose_extent({height, width}, parameters_.input_extent);
        Node node;
        node.output_channels = channels;
        define_node(input_name_, append(std::move(node), input_name_), false);
    } catch (const core::DataError& error) {
        throw core::DataError(fmt::format("input '{}': {}", input_name_, error.what()));
    }
}

std::vector<std::string> OnnxImporter::output_names() const {
    std::vector<std::string> names = parameters_.outputs;
    if (!names.empty()) {
        std::vector<std::string> known;
        for (const onnx::NodeProto& node : model_.graph().node())
            known.insert(known.end(), node.output().begin(), node.output().end());
        for (const std::string& name : names)
            if (std::find(known.begin(), known.end(), name) == known.end())
                throw core::DataError(fmt::format("no tensor is named '{}'{}", name,
                                                  core::did_you_mean(name, known)));
        return names;
    }
    for (const onnx::ValueInfoProto& output : model_.graph().output())
        names.push_back(output.name());
    if (names.empty()) throw core::DataError("the network has no output");
    return names;
}

void OnnxImporter::count_uses(const std::vector<std::size_t>& order,
                              const std::vector<std::string>& outputs) {
    for (const std::string& output : outputs)
        ++uses_[output];
    for (const std::size_t i : order) {
        const onnx::NodeProto& node = model_.graph().node(static_cast<int>(i));
        // CastLike asks for the type of its second input only.
        const int read = node.op_type() == "CastLike" ? 1 : node.input_size();
        for (int input = 0; input < std::min(read, node.input_size()); ++input) {
            ++uses_[node.input(input)];
            readers_[node.input(input)] = node.op_type();
        }
    }
}

void OnnxImporter::import_node(const OnnxNode& node) {
    if (!node.domain().empty() && node.domain() != "ai.onnx")
        throw core::DataError(
            fmt::format("is an operator of '{}', not a standard one; export the network with "
                        "standard operators, or stop before it (--stop-at)",
                        node.domain()));
    if (!import_constants(node)) {
        const auto found = operators().find(node.op());
        if (found == operators().end())
            throw core::DataError("the operator is not supported; " + workaround(node.op()));
        found->second(*this, node);
    }
    for (std::size_t i = 1; i < node.output_count(); ++i)
        if (uses(node.output(i)) > 0 && !values_.contains(node.output(i)))
            throw core::DataError(
                fmt::format("output {} ('{}') is not supported; export the network for inference",
                            i, node.output(i)));
    node.check_attributes();
}

bool OnnxImporter::import_constants(const OnnxNode& node) {
    std::vector<Constant> constants(node.input_count());
    std::vector<const Constant*> inputs;
    for (std::size_t i = 0; i < node.input_count(); ++i)
        if (node.has_input(i) && !is_constant(node.input(i))) return false;
    for (std::size_t i = 0; i < node.input_count(); ++i) {
        if (node.has_input(i)) constants[i] = constant(node.input(i), "input");
        inputs.push_back(node.has_input(i) ? &constants[i] : nullptr);
    }
    std::optional<Constant> result = fold_constants(node, inputs, reader_, budget_);
    // An operator that is not known at all is somebody else's to refuse, and so are no inputs.
    if (!result && (node.input_count() == 0 || !operators().contains(node.op()))) return false;
    if (!result)
        throw core::DataError("works on constants only; simplify the model before (onnxsim)");
    define(node.output(0), std::move(*result));
    return true;
}

bool OnnxImporter::is_batch(const Integer& size) const noexcept {
    if (size.batches == 1) return size.value == 1;
    return size.batches == 0 && (size.value == 1 || (size.value > 0 && size.value == fixed_batch_));
}

bool OnnxImporter::is_constant(const std::string& tensor) const {
    const auto found = values_.find(tensor);
    return found != values_.end() ? found->second.index() == 0 : initializers_.contains(tensor);
}

Constant OnnxImporter::constant(const std::string& tensor, const char* what) {
    const auto found = values_.find(tensor);
    if (found != values_.end() && found->second.index() == 0) return std::get<0>(found->second);
    const auto initializer = initializers_.find(tensor);
    if (initializer == initializers_.end())
        throw core::DataError(
            fmt::format("{} '{}' is computed from the image, must be constant", what, tensor));
    Constant constant = reader_.read(*initializer->second);
    // Large ones are weights of one layer each, which takes them over.
    constexpr std::size_t most_kept = std::size_t{1} << 12;
    if (constant.size() <= most_kept) values_.emplace(tensor, constant);
    return constant;
}

const Feature& OnnxImporter::feature(const std::string& tensor) const {
    const auto found = values_.find(tensor);
    if (found == values_.end() || found->second.index() != 1)
        throw core::DataError(
            fmt::format("input '{}' is constant, must be computed from the image", tensor));
    return std::get<1>(found->second);
}

Feature& OnnxImporter::find_feature(const std::string& tensor) {
    return const_cast<Feature&>(feature(tensor));
}

namespace {

[[noreturn]] void refuse_transposed(const std::string& tensor) {
    throw core::DataError(fmt::format("reads '{}', in which channels and positions are transposed; "
                                      "of transposed tensors only channel shuffles, and positions "
                                      "before channels that are flattened, are supported",
                                      tensor));
}

} // namespace

const Feature& OnnxImporter::plain(const std::string& tensor) {
    Feature& feature = find_feature(tensor);
    if (!feature.order.empty()) refuse_transposed(tensor);
    if (!feature.affine.is_identity()) make_affine_node(feature);
    return feature;
}

void OnnxImporter::check_arrangement(const std::string& tensor) const {
    const Feature& feature = this->feature(tensor);
    if (!feature.order.empty()) refuse_transposed(tensor);
    const auto& [channels, extent] = shapes_[feature.node];
    const bool flat = extent == Extent{1, 1} && feature.dims == std::vector{channels};
    if (!flat && feature.dims != std::vector{channels, extent.height, extent.width})
        throw core::DataError(
            fmt::format("reads '{}' of shape {} without the batch, in which the {} channels of "
                        "{} x {} are arranged in another way; stop before it (--stop-at)",
                        tensor, shape_text(feature.dims), channels, extent.height, extent.width));
}

const Feature& OnnxImporter::tensor(const std::string& tensor) {
    const Feature& feature = plain(tensor);
    check_arrangement(tensor);
    return feature;
}

std::size_t OnnxImporter::image(const std::string& tensor) {
    const Feature& feature = this->tensor(tensor);
    if (feature.dims.size() != 3)
        throw core::DataError(
            fmt::format("reads '{}', which is [batch, channels], as an image", tensor));
    return feature.node;
}

std::size_t OnnxImporter::uses(const std::string& tensor) const {
    const auto found = uses_.find(tensor);
    return found == uses_.end() ? 0 : found->second;
}

std::string OnnxImporter::only_reader(const std::string& tensor) const {
    const auto found = readers_.find(tensor);
    return uses(tensor) == 1 && found != readers_.end() ? found->second : "";
}

void OnnxImporter::define(const std::string& tensor, Feature feature) {
    const bool pending = !feature.affine.is_identity();
    values_.insert_or_assign(tensor, std::move(feature));
    // Only a tensor with one reader may stay what it is not yet: else two of them might each change
    // the layer's bias.
    if (pending && uses(tensor) > 1) (void)plain(tensor);
}

void OnnxImporter::define(const std::string& tensor, Constant constant) {
    values_.insert_or_assign(tensor, std::move(constant));
}

void OnnxImporter::define_node(const std::string& tensor, std::size_t node, bool flat) {
    const auto& [channels, extent] = shapes_[node];
    Feature feature{node, {channels}};
    if (!flat) feature.dims = {channels, extent.height, extent.width};
    define(tensor, std::move(feature));
}

void OnnxImporter::define_part(const std::string& tensor, const std::string& source,
                               std::size_t node, std::vector<std::int64_t> dims) {
    const Feature& whole = feature(source);
    Feature part{node, std::move(dims)};
    // The very tensor: others may read it through the source.
    if (node == whole.node) part.exclusive = whole.exclusive && uses(source) == 1;
    define(tensor, std::move(part));
}

void OnnxImporter::define_view(const OnnxNode& node, const std::string& source,
                               std::vector<std::int64_t> dims) {
    Feature view = feature(source);
    view.exclusive = view.exclusive && uses(source) == 1;
    if (dims == view.dims) return define(node.output(0), std::move(view));
    if (!view.order.empty()) refuse_transposed(source);
    const TensorShape& shape = shapes_[view.node];
    const std::int64_t elements = shape.channels * shape.extent.height * shape.extent.width;
    const bool channels_only = std::all_of(dims.begin() + (dims.empty() ? 0 : 1), dims.end(),
                                           [](std::int64_t size) { return size == 1; });
    if (shape.extent != Extent{1, 1} && channels_only) {
        if (dims.empty() || dims[0] != elements)
            throw core::DataError(
                fmt::format("makes {} of {}", shape_text(dims), shape_text(view.dims)));
        view = plain(source);
        view.node = append(Operator::flatten, view.node, node.name());
    }
    view.dims = std::move(dims);
    define(node.output(0), std::move(view));
}

void OnnxImporter::take_channels_last(const std::string& tensor) {
    const Feature& source = feature(tensor);
    const auto& [height, extent] = shapes_[0]; // as if it were [N, C, H, W]
    const bool untouched = source.node == 0 && network_.nodes.size() == 1;
    if (!untouched || !source.affine.is_uniform() ||
        source.dims != std::vector{height, extent.height, std::int64_t{1}})
        return;
    network_.input_extent = {height, extent.height};
    network_.nodes[0].output_channels = 1;
    shapes_[0] = infer_shape(network_, 0, {});
}

std::size_t OnnxImporter::append(Node node, const std::string& name) {
    node.name = unique_name(name);
    network_.nodes.push_back(std::move(node));
    shapes_.push_back(infer_shape(network_, network_.nodes.size() - 1, shapes_));
    return network_.nodes.size() - 1;
}

std::size_t OnnxImporter::append(Operator op, std::size_t input, const std::string& name) {
    Node node;
    node.op = op;
    node.inputs = {input};
    return append(std::move(node), name);
}

void OnnxImporter::add_parameter(std::size_t node, const char* suffix,
                                 std::vector<std::int64_t> shape, std::vector<float> values) {
    budget_.take(static_cast<std::int64_t>(values.size()), sizeof(float));
    weights_.insert_or_assign(network_.nodes[node].name + suffix,
                              Tensor{std::move(shape), std::move(values)});
}

void OnnxImporter::make_affine_node(Feature& feature) {
    const Operator op = network_.nodes[feature.node].op;
    const bool layer = op == Operator::conv2d || op == Operator::linear;
    if (layer && feature.exclusive)
        fold_into_layer(feature);
    else
        append_affine_layer(feature);
    feature.affine = {};
}

void OnnxImporter::append_affine_layer(Feature& feature) {
    const std::int64_t channels = shapes_[feature.node].channels;
    Node layer;
    layer.op = Operator::conv2d;
    layer.inputs = {feature.node};
    layer.output_channels = channels;
    layer.groups = channels;
    layer.bias = true;
    feature.node = append(std::move(layer), feature.affine_name);
    budget_.take(2 * channels, sizeof(float));
    add_parameter(feature.node, ".weight", {channels, 1, 1, 1},
                  per_channel(feature.affine.scale, channels));
    add_parameter(feature.node, ".bias", {channels}, per_channel(feature.affine.shift, channels));
}

void OnnxImporter::fold_into_layer(const Feature& feature) {
    Node& layer = network_.nodes[feature.node];
    const auto& [scale, shift] = feature.affine;
    const std::int64_t channels = shapes_[feature.node].channels;
    budget_.take(channels, sizeof(float));
    Tensor& weight = weights_.at(layer.name + ".weight");
    Tensor& bias = weights_[layer.name + ".bias"];
    if (!layer.bias)
        bias = {{channels}, std::vector<float>(static_cast<std::size_t>(channels), 0.0F)};
    layer.bias = true;
    const std::size_t filter = weight.values.size() / bias.values.size();
    for (std::size_t c = 0; c < bias.values.size(); ++c) {
        const double factor = scale[scale.size() == 1 ? 0 : c];
        for (float& value : std::span(weight.values).subspan(c * filter, filter))
            value = static_cast<float>(factor * static_cast<double>(value));
        bias.values[c] = static_cast<float>(factor * static_cast<double>(bias.values[c]) +
                                            shift[shift.size() == 1 ? 0 : c]);
    }
}

std::string OnnxImporter::unique_name(const std::string& wanted) {
    const std::string base = storable(wanted, "node");
    std::string name = base;
    int& number = last_number_.emplace(base, 1).first->second;
    while (!names_.insert(name).second)
        name = base + "_" + std::to_string(++number);
    return name;
}

PrunedNetwork OnnxImporter::finish(const std::vector<std::string>& outputs) {
    for (const std::string& output : outputs) {
        try {
            network_.outputs.push_back(tensor(output).node);
        } catch (const core::DataError& error) {
            throw core::DataError(fmt::format("output '{}': {}", output, error.what()));
        }
    }
    if (parameters_.input_extent && *parameters_.input_extent != network_.input_extent)
        throw core::DataError(fmt::format(
            "input '{}': is {} x {}, {} x {} was asked for; no Reshape or Transpose makes its last "
            "axis the channels",
            input_name_, network_.input_extent.height, network_.input_extent.width,
            parameters_.input_extent->height, parameters_.input_extent->width));
    drop_unused(network_);
    if (network_.outputs == std::vector{network_.nodes.size() - 1}) network_.outputs.clear();
    (void)infer_shapes(network_);
    const auto expected = expected_shapes(network_);
    std::erase_if(weights_, [&](const auto& weight) { return !expected.contains(weight.first); });
    check_weights(network_, weights_);
    return {std::move(network_), std::move(weights_)};
}

std::string layer_name(const OnnxNode& node, const Constant& weight) {
    constexpr std::string_view suffix = ".weight";
    if (weight.name.size() <= suffix.size() || !weight.name.ends_with(suffix)) return node.name();
    return weight.name.substr(0, weight.name.size() - suffix.size());
}

} // namespace hdap::network
