#include "export_torch.hpp"

#include "archive.hpp"
#include "hdap/core/error.hpp"

#include <ATen/ops/empty.h>
#include <fmt/core.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <utility>

namespace hdap::network {
namespace {

namespace jit = torch::jit;

at::Tensor to_torch(const Tensor& tensor) {
    at::Tensor result = at::empty(tensor.shape, at::kFloat);
    std::copy(tensor.values.begin(), tensor.values.end(), result.data_ptr<float>());
    return result;
}

/// The parts of "layer1.0.conv1": "layer1", "0", "conv1".
std::vector<std::string> parts(const std::string& name) {
    std::vector<std::string> result;
    std::istringstream stream(name);
    for (std::string part; std::getline(stream, part, '.');)
        result.push_back(part);
    if (name.ends_with('.')) result.emplace_back();
    return result;
}

/// A tree of modules in which "layer1.0.conv1.weight" is the parameter `weight` of the module
/// `conv1` of the module `0` of `layer1`.
class ModuleTree {
  public:
    ModuleTree()
        : unit_(std::make_shared<jit::CompilationUnit>()), root_("__torch__.hdap.Network", unit_) {
        root_.register_attribute("training", c10::BoolType::get(), false);
    }

    [[nodiscard]] jit::Module& root() { return root_; }

    void add(const std::string& name, const at::Tensor& tensor, bool is_buffer) {
        std::vector<std::string> path = parts(name);
        if (!can_be_written(name)) refuse(name);
        const std::string last = path.back();
        path.pop_back();
        jit::Module module = root_;
        for (const std::string& part : path)
            module = child(module, part, name);
        if (last.empty() || module.hasattr(last)) refuse(name);
        module.register_parameter(last, tensor, is_buffer);
    }

  private:
    jit::Module child(jit::Module& parent, const std::string& part, const std::string& name) {
        if (part.empty() || (parent.hasattr(part) && !parent.attr(part).isModule())) refuse(name);
        if (!parent.hasattr(part)) {
            constexpr bool unique_class_name = true;
            jit::Module made("__torch__.hdap.Module", unit_, unique_class_name);
            made.register_attribute("training", c10::BoolType::get(), false);
            parent.register_module(part, made);
        }
        return parent.attr(part).toModule();
    }

    /// LibTorch writes names between quotes, but does not read everything again that may be there.
    static bool can_be_written(const std::string& name) {
        return std::all_of(name.begin(), name.end(), [](char letter) {
            return letter >= ' ' && letter <= '~' && letter != '"' && letter != '\'' &&
                   letter != '\\';
        });
    }

    [[noreturn]] static void refuse(const std::string& name) {
        throw core::DataError(
            fmt::format("a parameter cannot be called '{}' in a TorchScript file: a part of the "
                        "name is empty, is both a module and a tensor, or has other letters than "
                        "ASCII's without quotes and backslashes; rename the layer",
                        name));
    }

    std::shared_ptr<jit::CompilationUnit> unit_;
    jit::Module root_;
};

/// Writes `forward`, operator by operator.
///
/// A tensor of extent 1 × 1 is [N, C] from a linear layer or a flattening on, as PyTorch's users
/// write it, and [N, C, 1, 1] otherwise; each operator takes what it can.
class ForwardWriter {
  public:
    ForwardWriter(const Network& network, const jit::Module& module)
        : network_(network), shapes_(infer_shapes(network)),
          graph_(std::make_shared<jit::Graph>()) {
        self_ = graph_->addInput("self")->setType(module.type());
        tensors_.push_back({graph_->addInput("images"), false});
    }

    std::shared_ptr<jit::Graph> write() && {
        for (std::size_t i = 1; i < network_.nodes.size(); ++i)
            tensors_.push_back(write_node(i));
        std::vector<jit::Value*> results;
        for (const std::size_t output : output_nodes(network_))
            results.push_back(shapes_[output].extent == Extent{1, 1} ? flat(output)
                                                                     : spatial(output));
        graph_->registerOutput(results.size() == 1
                                   ? results[0]
                                   : graph_->insertNode(graph_->createTuple(results))->output());
        return graph_;
    }

  private:
    struct Tensor {
        jit::Value* value;
        bool flat; ///< [N, C]
    };

    jit::Value* insert(const char* op, at::ArrayRef<jit::NamedValue> arguments) {
        return graph_->insert(c10::Symbol::fromQualString(op), arguments);
    }

    /// [N, C, H, W]
    jit::Value* spatial(std::size_t node) {
        const Tensor& tensor = tensors_[node];
        if (!tensor.flat) return tensor.value;
        return insert("aten::unsqueeze", {insert("aten::unsqueeze", {tensor.value, 2}), 3});
    }

    /// [N, C·H·W]
    jit::Value* flat(std::size_t node) {
        const Tensor& tensor = tensors_[node];
        return tensor.flat ? tensor.value : insert("aten::flatten", {tensor.value, 1, -1});
    }

    /// The inputs of a node, all of them [N, C], or none.
    std::pair<std::vector<jit::Value*>, bool> alike(const Node& node) {
        const bool all_flat = std::all_of(node.inputs.begin(), node.inputs.end(),
                                          [&](std::size_t input) { return tensors_[input].flat; });
        std::vector<jit::Value*> values;
        for (const std::size_t input : node.inputs)
            values.push_back(all_flat ? tensors_[input].value : spatial(input));
        return {values, all_flat};
    }

    jit::Value* list(const std::vector<jit::Value*>& values, const c10::TypePtr& type) {
        return graph_->insertNode(graph_->createList(type, values))->output();
    }

    /// The parameter `suffix` of `node`, or None.
    jit::NamedValue parameter(const Node& node, const char* suffix, bool present = true) {
        if (!present) return c10::IValue();
        jit::Value* value = self_;
        std::string path;
        for (const std::string& part : parts(node.name + suffix)) {
            path += "." + part;
            jit::Value*& attribute = attributes_[path];
            if (attribute == nullptr) attribute = graph_->insertGetAttr(value, part);
            value = attribute;
        }
        return value;
    }

    static std::vector<std::int64_t> pair(const Extent& extent) {
        return {extent.height, extent.width};
    }

    Tensor write_node(std::size_t index) {
        const Node& node = network_.nodes[index];
        const std::size_t from = node.inputs[0];
        switch (node.op) {
        case Operator::conv2d:
            return {insert("aten::conv2d", {spatial(from), parameter(node, ".weight"),
                                            parameter(node, ".bias", node.bias), pair(node.stride),
                                            pair(node.padding), pair(node.dilation), node.groups}),
                    false};
        case Operator::linear:
            return {insert("aten::linear", {flat(from), parameter(node, ".weight"),
                                            parameter(node, ".bias", node.bias)}),
                    true};
        case Operator::add:
        case Operator::multiply:
            return write_combination(node);
        case Operator::concat: {
            const auto [values, all_flat] = alike(node);
            return {insert("aten::cat", {list(values, c10::TensorType::get()), 1}), all_flat};
        }
        case Operator::channel_shuffle:
            return {write_shuffle(node), false};
        case Operator::max_pool:
        case Operator::average_pool:
            return {write_pool(node), false};
        case Operator::global_average_pool:
            return {insert("aten::adaptive_avg_pool2d", {spatial(from), pair({1, 1})}), false};
        case Operator::resize_nearest:
            return {insert("aten::upsample_nearest2d",
                           {spatial(from), pair(node.size), c10::IValue(), c10::IValue()}),
                    false};
        case Operator::resize_bilinear:
            return {insert("aten::upsample_bilinear2d",
                           {spatial(from), pair(node.size), node.align_corners, c10::IValue(),
                            c10::IValue()}),
                    false};
        case Operator::pad:
            return {write_pad(node), false};
        case Operator::flatten:
            return {flat(from), true};
        default:
            return {write_unary(node, tensors_[from].value), tensors_[from].flat};
        }
    }

    /// Operators that take [N, C] and [N, C, H, W] alike.
    jit::Value* write_unary(const Node& node, jit::Value* input) {
        switch (node.op) {
        case Operator::batch_norm: {
            constexpr bool training = false;
            constexpr double momentum = 0.1;
            constexpr bool cudnn = true;
            return insert("aten::batch_norm",
                          {input, parameter(node, ".weight"), parameter(node, ".bias"),
                           parameter(node, ".running_mean"), parameter(node, ".running_var"),
                           training, momentum, node.epsilon, cudnn});
        }
        case Operator::relu:
            return insert("aten::relu", {input});
        case Operator::relu6:
            return insert("aten::hardtanh", {input, 0.0, 6.0});
        case Operator::leaky_relu:
            return insert("aten::leaky_relu", {input, node.negative_slope});
        case Operator::silu:
            return insert("aten::silu", {input});
        case Operator::sigmoid:
            return insert("aten::sigmoid", {input});
        case Operator::tanh:
            return insert("aten::tanh", {input});
        case Operator::hard_sigmoid:
            return insert("aten::hardsigmoid", {input});
        case Operator::hard_swish:
            return insert("aten::hardswish", {input});
        case Operator::softmax:
            return insert("aten::softmax", {input, 1, c10::IValue()});
        case Operator::slice:
            return insert("aten::slice", {input, 1, node.first_channel,
                                          node.first_channel + node.output_channels, 1});
        default:
            return input;
        }
    }

    Tensor write_combination(const Node& node) {
        const auto [values, all_flat] = alike(node);
        jit::Value* result = values[0];
        for (std::size_t k = 1; k < values.size(); ++k)
            result =
                insert(node.op == Operator::add ? "aten::add" : "aten::mul", {result, values[k]});
        return {result, all_flat};
    }

    /// As torchvision's ShuffleNetV2 does it: other runtimes know this form.
    jit::Value* write_shuffle(const Node& node) {
        jit::Value* const input = spatial(node.inputs[0]);
        const TensorShape& shape = shapes_[node.inputs[0]];
        jit::Value* const batch = insert("aten::size", {input, 0});
        const auto view = [&](jit::Value* tensor, const std::vector<std::int64_t>& sizes) {
            std::vector<jit::Value*> values{batch};
            for (const std::int64_t size : sizes)
                values.push_back(graph_->insertConstant(size));
            return insert("aten::reshape", {tensor, list(values, c10::IntType::get())});
        };
        const Extent& extent = shape.extent;
        jit::Value* const groups =
            view(input, {node.groups, shape.channels / node.groups, extent.height, extent.width});
        return view(insert("aten::transpose", {groups, 1, 2}),
                    {shape.channels, extent.height, extent.width});
    }

    jit::Value* write_pool(const Node& node) {
        jit::Value* const input = spatial(node.inputs[0]);
        if (node.op == Operator::max_pool)
            return insert("aten::max_pool2d", {input, pair(node.kernel), pair(node.stride),
                                               pair(node.padding), pair({1, 1}), node.ceil_mode});
        return insert("aten::avg_pool2d",
                      {input, pair(node.kernel), pair(node.stride), pair(node.padding),
                       node.ceil_mode, node.count_include_pad, c10::IValue()});
    }

    jit::Value* write_pad(const Node& node) {
        const std::vector<std::int64_t> margins{node.padding.width,   node.padding_after.width,
                                                node.padding.height,  node.padding_after.height,
                                                node.channels_before, node.channels_after};
        return insert("aten::constant_pad_nd", {spatial(node.inputs[0]), margins, 0});
    }

    const Network& network_;
    std::vector<TensorShape> shapes_;
    std::shared_ptr<jit::Graph> graph_;
    jit::Value* self_ = nullptr;
    std::map<std::string, jit::Value*> attributes_; ///< by path
    std::vector<Tensor> tensors_;                   ///< per node
};

/// The module, with its parameters in the order of the layers.
jit::Module make_module(const Network& network, const Weights& weights) {
    ModuleTree tree;
    const auto expected = expected_shapes(network);
    for (const Node& node : network.nodes)
        for (const char* suffix : {".weight", ".bias", ".running_mean", ".running_var"}) {
            const std::string name = node.name + suffix;
            if (expected.contains(name))
                tree.add(name, to_torch(weights.at(name)), std::string(suffix).starts_with(".run"));
        }
    jit::Module& module = tree.root();
    const auto graph = ForwardWriter(network, module).write();
    module.type()->addMethod(module._ivalue()->compilation_unit()->create_function(
        c10::QualifiedName(*module.type()->name(), "forward"), graph));
    return module;
}

} // namespace

std::vector<std::byte> written_archive(const Network& network, const Weights& weights,
                                       const std::optional<Normalisation>& normalisation) {
    check_weights(network, weights);
    const TensorShape input = infer_shapes(network).front();
    jit::ExtraFilesMap records{{input_shape_record, input_shape_text(input)}};
    if (normalisation)
        for (const auto& [name, text] : normalisation_entries(*normalisation))
            records.emplace(name, text);
    try {
        std::ostringstream stream;
        make_module(network, weights).save(stream, records);
        const std::string text = std::move(stream).str();
        std::vector<std::byte> bytes(text.size());
        std::memcpy(bytes.data(), text.data(), text.size());
        return bytes;
    } catch (const c10::Error& error) {
        throw core::InternalError(
            fmt::format("network '{}' cannot be written as TorchScript: LibTorch: {}", network.name,
                        error.what_without_backtrace()));
    }
}

} // namespace hdap::network
