#include "operators_torch.hpp"

#include "load_torch.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <utility>

namespace hdap::network::torchscript {
namespace {

/// What to do instead of an operator that networks here do not have.
struct Workaround {
    std::string_view op;
    const char* advice;
};

constexpr std::array<Workaround, 22> workarounds{
    {{"gelu", "use SiLU or hard swish instead and fine-tune"},
     {"elu", "use leaky ReLU or SiLU instead and fine-tune"},
     {"selu", "use leaky ReLU or SiLU instead and fine-tune"},
     {"celu", "use leaky ReLU or SiLU instead and fine-tune"},
     {"mish", "use SiLU instead and fine-tune"},
     {"softplus", "use SiLU instead and fine-tune"},
     {"prelu", "use leaky ReLU with one fixed slope instead and fine-tune"},
     {"log_softmax", "let the network return its logits"},
     {"argmax", "let the network return its logits"},
     {"conv_transpose2d", "use a nearest resize and a convolution instead"},
     {"conv1d", "use a convolution of height 1 over [N, C, 1, W] instead"},
     {"conv3d", "only images are supported: [N, C, H, W]"},
     {"layer_norm", "use batch norm instead and fine-tune"},
     {"group_norm", "use batch norm instead and fine-tune"},
     {"instance_norm", "use batch norm instead and fine-tune"},
     {"pixel_shuffle", "use a nearest resize and a convolution instead"},
     {"pixel_unshuffle", "use a convolution with stride instead"},
     {"upsample_bicubic2d", "use a bilinear resize instead"},
     {"reflection_pad2d", "pad with zeros instead"},
     {"replication_pad2d", "pad with zeros instead"},
     {"to_mkldnn", "save the module before torch.jit.optimize_for_inference"},
     {"quantize_per_tensor", "export the network before it is quantised"}}};

std::string advice(std::string_view op) {
    for (const Workaround& known_one : workarounds)
        if (known_one.op == op) return known_one.advice;
    return "end the exported network before it, or write it with convolutions, linear layers, "
           "batch "
           "norms, pooling, activations, sums, products and concatenations";
}

const OperatorEntry* entry_of(std::string_view op) {
    for (const auto& entries : {layer_operators(), arithmetic_operators(), view_operators()}) {
        const auto found =
            std::find_if(entries.begin(), entries.end(),
                         [&](const OperatorEntry& entry) { return entry.name == op; });
        if (found != entries.end()) return &*found;
    }
    return nullptr;
}

/// "aten::relu_" is "relu".
std::string base_name(const torch::jit::Node& node) {
    std::string op = node.kind().toUnqualString();
    if (op.size() > 1 && op.ends_with('_') && !op.ends_with("__")) op.pop_back();
    return op;
}

/// Whether the module has neither parts nor parameters: ReLU, Dropout, MaxPool2d …
bool does_one_thing(const ObjectAt& module) {
    const auto& slots = module.object->slots();
    return std::none_of(slots.begin(), slots.end(),
                        [](const c10::IValue& slot) { return slot.isObject() || slot.isTensor(); });
}

} // namespace

Value run_on_images(const OperatorCall& call) {
    const std::string op = base_name(call.node);
    const OperatorEntry* const entry = call.node.maybeSchema() == nullptr ? nullptr : entry_of(op);
    if (entry == nullptr) call.fail("is not one that networks here are made of; " + advice(op));
    return entry->handler(call);
}

const Value* OperatorCall::find(std::string_view name) const {
    const auto& declared = node.maybeSchema()->arguments();
    for (std::size_t i = 0; i < declared.size() && i < arguments.size(); ++i)
        if (declared[i].name() == name) return arguments[i].is_none() ? nullptr : &arguments[i];
    return nullptr;
}

const Value& OperatorCall::value(std::string_view name) const {
    const Value* const found = find(name);
    if (found == nullptr) fail(fmt::format("has no argument '{}'", name));
    return *found;
}

Traced OperatorCall::traced(const Value& given) const {
    const auto* tensor = given.get<Traced>();
    if (tensor == nullptr) fail("is applied to something that does not depend on the images");
    return reader.current(node, frame, *tensor);
}

std::int64_t OperatorCall::integer(std::string_view name) const {
    const auto* number = value(name).get<Known>();
    if (number == nullptr || !number->value.isInt())
        fail(fmt::format("needs an integer as '{}'", name));
    return number->value.toInt();
}

double OperatorCall::number(std::string_view name) const {
    const auto* given = value(name).get<Known>();
    if (given != nullptr && given->value.isScalar() && !given->value.isComplexDouble())
        return given->value.toScalar().toDouble();
    if (given != nullptr && given->value.isTensor() && given->value.toTensor().numel() == 1)
        return given->value.toTensor().item().toDouble();
    fail(fmt::format("needs a number as '{}'", name));
}

bool OperatorCall::flag(std::string_view name) const {
    const auto* given = value(name).get<Known>();
    if (given == nullptr || !given->value.isBool())
        fail(fmt::format("needs true or false as '{}'", name));
    return given->value.toBool();
}

std::vector<std::int64_t> OperatorCall::integers(std::string_view name) const {
    const auto* list = value(name).get<List>();
    if (list == nullptr) return {integer(name)};
    std::vector<std::int64_t> result;
    for (const Value& element : **list) {
        const auto* number = element.get<Known>();
        if (number == nullptr || !number->value.isInt())
            fail(fmt::format("needs integers as '{}'", name));
        result.push_back(number->value.toInt());
    }
    return result;
}

std::vector<double> OperatorCall::numbers(std::string_view name) const {
    const auto* list = value(name).get<List>();
    if (list == nullptr) return {number(name)};
    std::vector<double> result;
    for (const Value& element : **list) {
        const auto* number = element.get<Known>();
        if (number == nullptr || !number->value.isScalar())
            fail(fmt::format("needs numbers as '{}'", name));
        result.push_back(number->value.toScalar().toDouble());
    }
    return result;
}

Extent OperatorCall::extent(std::string_view name) const {
    const std::vector<std::int64_t> sizes = integers(name);
    if (sizes.size() == 1) return {sizes[0], sizes[0]};
    if (sizes.size() != 2) fail(fmt::format("needs a height and a width as '{}'", name));
    return {sizes[0], sizes[1]};
}

Known OperatorCall::tensor(std::string_view name) const {
    const auto* given = value(name).get<Known>();
    if (given == nullptr || !given->value.isTensor())
        fail(fmt::format("needs a '{}' that does not depend on the images", name));
    return *given;
}

std::size_t OperatorCall::dimension(const Traced& tensor, std::int64_t dim) const {
    const auto count = static_cast<std::int64_t>(tensor.sizes.size());
    const std::int64_t from_front = dim < 0 ? dim + count : dim;
    if (from_front < 0 || from_front >= count)
        fail(fmt::format("works on dimension {} of a tensor that has {}", dim, count));
    return static_cast<std::size_t>(from_front);
}

std::string OperatorCall::name(const std::string& word) const {
    const ObjectAt& module = frame.self;
    if (module.path.empty()) return assembly().numbered_name(word);
    return does_one_thing(module) ? module.path : module.path + "." + word;
}

std::string OperatorCall::name_of_layer(const Known& weight, const std::string& word) const {
    const std::string& parameter = weight.name;
    for (const std::string_view suffix : {".weight", ".running_mean"})
        if (parameter.ends_with(suffix))
            return parameter.substr(0, parameter.size() - suffix.size());
    if (!parameter.empty() && parameter != "weight" && parameter != "running_mean")
        return parameter;
    return frame.self.path.empty() ? assembly().numbered_name(word) : frame.self.path;
}

Traced OperatorCall::append(Node layer, std::vector<std::size_t> inputs) const {
    const std::size_t made = assembly().append(std::move(layer), std::move(inputs));
    const TensorShape& shape = assembly().shape(made);
    return reader.in_new_memory(
        {.node = made,
         .sizes = {batch_size, shape.channels, shape.extent.height, shape.extent.width}});
}

Traced OperatorCall::append_alike(Node layer, const Traced& tensor) const {
    if (tensor.view == View::row_means && is_activation(layer.op)) // a sum or a slice may wait
        fail("is applied to means over the width alone; take those over height and width together "
             "before: x.mean([2, 3])");
    Traced result = append(std::move(layer), {tensor.node});
    result.sizes = tensor.sizes;
    result.view = tensor.view;
    return result;
}

Traced OperatorCall::settled(const Traced& tensor) const {
    Traced result = tensor;
    if (!tensor.affine.is_identity()) {
        const std::int64_t channels = assembly().shape(tensor.node).channels;
        const auto numbers = [&](const std::vector<double>& values) {
            if (values.size() != 1 && values.size() != static_cast<std::size_t>(channels))
                fail("reads numbers that were scaled one by one, not channel by channel");
            std::vector<float> floats(values.begin(), values.end());
            floats.resize(static_cast<std::size_t>(channels), floats[0]);
            return floats;
        };
        result.node =
            assembly().append_affine(name("scale"), tensor.node, numbers(tensor.affine.scale),
                                     numbers(tensor.affine.offset));
        result.affine = {};
        result = reader.in_new_memory(result);
    }
    if (result.view != View::expanded) return result;
    Node resize;
    resize.name = name("expand");
    resize.op = Operator::resize_nearest;
    resize.size = {result.sizes[2], result.sizes[3]};
    return append(std::move(resize), {result.node});
}

Traced OperatorCall::plain(const Traced& tensor) const {
    const Traced result = settled(tensor);
    if (result.view != View::plain)
        fail(fmt::format("is applied to a tensor of {} dimensions that no longer are batch, "
                         "channels, height and width",
                         tensor.sizes.size()));
    return result;
}

Traced OperatorCall::spatial(const Traced& tensor) const {
    const Traced result = plain(tensor);
    if (result.sizes.size() != 4)
        fail(fmt::format(
            "is applied to a tensor of {} dimensions; it needs batch, channels, height and width",
            result.sizes.size()));
    return result;
}

Traced OperatorCall::flat(const Traced& tensor) const {
    const Traced result = plain(tensor);
    if (result.sizes.size() != 2)
        fail(fmt::format("is applied to a tensor of {} dimensions; it needs batch and channels: "
                         "flatten it first",
                         result.sizes.size()));
    return result;
}

std::size_t output_node(Reader& reader, const Value& tensor) {
    // The program's end is no operator of it.
    torch::jit::Graph nothing;
    const Frame frame{};
    const std::vector<Value> arguments;
    const OperatorCall call{reader, *nothing.return_node(), frame, arguments};
    const Traced result = call.settled(call.traced(tensor));
    if (result.view != View::plain && result.view != View::joined_pixels)
        call.fail("gets a tensor that no longer is batch, channels, height and width");
    return result.node;
}

} // namespace hdap::network::torchscript
