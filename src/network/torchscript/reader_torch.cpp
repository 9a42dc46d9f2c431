#include "reader_torch.hpp"

#include "hdap/core/error.hpp"
#include "load_torch.hpp"
#include "operators_torch.hpp"

#include <fmt/core.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace hdap::network::torchscript {
namespace {

namespace jit = torch::jit;
namespace prim = c10::prim;

constexpr std::size_t most_steps = 2'000'000;
constexpr int deepest_call = 100;

/// The operators that make tensors out of parameters and sizes that we let LibTorch evaluate: those
/// whose result is not much larger than what goes in.
bool may_make_tensors(std::string_view op) {
    constexpr auto known = std::to_array<std::string_view>(
        {"aten::_weight_norm", "aten::abs",        "aten::add",        "aten::alias",
         "aten::cat",          "aten::clone",      "aten::contiguous", "aten::detach",
         "aten::div",          "aten::flatten",    "aten::floor",      "aten::floor_divide",
         "aten::mean",         "aten::mul",        "aten::narrow",     "aten::neg",
         "aten::norm",         "aten::permute",    "aten::pow",        "aten::reciprocal",
         "aten::remainder",    "aten::reshape",    "aten::rsqrt",      "aten::rsub",
         "aten::select",       "aten::slice",      "aten::sqrt",       "aten::squeeze",
         "aten::sub",          "aten::sum",        "aten::t",          "aten::tensor",
         "aten::to",           "aten::transpose",  "aten::unsqueeze",  "aten::var",
         "aten::view",         "prim::NumToTensor"});
    return std::find(known.begin(), known.end(), op) != known.end();
}

/// The operators that keep a parameter what it is, so that its name is its name still.
bool keeps_name(std::string_view op) {
    constexpr auto known = std::to_array<std::string_view>(
        {"aten::alias", "aten::clone", "aten::contiguous", "aten::detach", "aten::flatten",
         "aten::permute", "aten::reshape", "aten::squeeze", "aten::t", "aten::to",
         "aten::transpose", "aten::unsqueeze", "aten::view"});
    return std::find(known.begin(), known.end(), op) != known.end();
}

bool writes_to_first(const jit::Node& node) {
    const auto* schema = node.maybeSchema();
    if (schema == nullptr || schema->arguments().empty()) return false;
    const auto* alias = schema->arguments()[0].alias_info();
    return alias != nullptr && alias->isWrite();
}

bool is_list_of_tensors(const c10::TypePtr& type) {
    const auto list = type->cast<c10::ListType>();
    return list && list->getElementType()->isSubtypeOf(*c10::TensorType::get());
}

/// The image, and defaults for the other arguments.
std::vector<Value> first_arguments(const std::string& file, const ObjectAt& self,
                                   const c10::FunctionSchema& schema, const Traced& image) {
    std::vector<Value> arguments{self, image};
    for (std::size_t i = 2; i < schema.arguments().size(); ++i) {
        const auto& value = schema.arguments()[i].default_value();
        if (!value)
            throw core::DataError(fmt::format(
                "{}: forward takes {} inputs; networks here take one: a batch of images", file,
                schema.arguments().size() - 1));
        arguments.push_back(from_ivalue(*value, ""));
    }
    return arguments;
}

} // namespace

std::vector<std::size_t> Reader::run(const jit::Module& module) {
    const auto method = module.find_method("forward");
    if (!method) throw core::DataError(file_ + ": the module has no method 'forward'");
    const auto& schema = method->function().getSchema();
    if (schema.arguments().size() < 2 ||
        !c10::TensorType::get()->isSubtypeOf(*schema.arguments()[1].type()))
        throw core::DataError(file_ + ": forward must take a tensor: a batch of images");
    const TensorShape& shape = assembly_.shape(0);
    const Traced image = in_new_memory(
        {.node = 0,
         .sizes = {batch_size, shape.channels, shape.extent.height, shape.extent.width}});
    const ObjectAt self{module._ivalue(), ""};
    std::vector<std::size_t> outputs;
    for (const Value& value :
         call(method->function(), first_arguments(file_, self, schema, image), self, 0))
        collect_outputs(value, outputs);
    if (outputs.empty())
        throw core::DataError(file_ + ": forward returns nothing that depends on the images");
    return outputs;
}

Traced Reader::in_new_memory(Traced tensor) {
    tensor.memory = memories_.size();
    tensor.version = 0;
    tensor.whole = true;
    memories_.emplace_back();
    return tensor;
}

Traced Reader::current(const jit::Node& place, const Frame& frame, const Traced& tensor) const {
    const Memory& memory = memories_[tensor.memory];
    if (tensor.version == memory.version) return tensor;
    const Traced& latest = memory.latest;
    if (!tensor.whole || !latest.whole || tensor.sizes != latest.sizes ||
        tensor.view != latest.view)
        fail(place, frame,
             "reads a tensor that another operator overwrote through a part or another view of it; "
             "write that operator without inplace");
    return latest;
}

void Reader::fail(const jit::Node& place, const Frame& frame, const std::string& what) const {
    std::string message = fmt::format("{}: operator {}", file_, place.kind().toQualString());
    if (!frame.self.path.empty()) message += fmt::format(" of module '{}'", frame.self.path);
    // A saved program knows the Python lines that it was made from, too.
    auto range = place.sourceRange();
    if (const auto original = range.findSourceRangeThatGenerated()) range = *original;
    if (const auto position = range.file_line_col())
        message += fmt::format(" ({}, line {})", std::get<0>(*position), std::get<1>(*position));
    throw core::DataError(message + " " + what);
}

Reader::Values Reader::call(const jit::Function& function, const Values& arguments,
                            const ObjectAt& self, int depth) {
    if (depth > deepest_call)
        throw core::DataError(
            fmt::format("{}: functions call one another more than {} deep", file_, deepest_call));
    auto* const with_graph = jit::tryToGraphFunction(const_cast<jit::Function&>(function));
    if (with_graph == nullptr)
        throw core::DataError(
            fmt::format("{}: '{}' is not a TorchScript function", file_, function.name()));
    const auto graph = with_graph->graph();
    const auto inputs = graph->inputs();
    if (inputs.size() != arguments.size())
        throw core::DataError(fmt::format("{}: '{}' is called with {} arguments, it takes {}",
                                          file_, function.name(), arguments.size(), inputs.size()));
    Frame frame{.self = self, .values = {}, .depth = depth};
    for (std::size_t i = 0; i < inputs.size(); ++i)
        frame.values[inputs[i]] = arguments[i];
    run_block(*graph->block(), frame);
    Values results;
    for (const jit::Value* output : graph->outputs())
        results.push_back(frame.values.at(output));
    return results;
}

void Reader::run_block(const jit::Block& block, Frame& frame) {
    for (const jit::Node* node : block.nodes()) {
        if (++steps_ > most_steps)
            fail(*node, frame, fmt::format("is beyond the {}th", most_steps));
        run_node(*node, frame);
    }
}

Reader::Values Reader::arguments_of(const jit::Node& node, const Frame& frame) const {
    Values arguments;
    for (const jit::Value* input : node.inputs()) {
        const auto found = frame.values.find(input);
        // A function that is called is no value.
        arguments.push_back(found == frame.values.end() ? Value() : found->second);
    }
    return arguments;
}

void Reader::run_node(const jit::Node& node, Frame& frame) {
    switch (node.kind()) {
    case prim::If:
        return run_if(node, frame);
    case prim::Loop:
        return run_loop(node, frame);
    case prim::Constant: {
        if (node.output()->type()->cast<c10::FunctionType>()) return;
        const auto constant = jit::toIValue(node.output());
        if (!constant) fail(node, frame, "is a constant that cannot be read");
        frame.values[node.output()] = from_ivalue(*constant, "");
        return;
    }
    default:
        break;
    }
    const Values arguments = arguments_of(node, frame);
    const Values results = node.kind() == prim::CallMethod || node.kind() == prim::CallFunction
                               ? run_call(node, arguments, frame)
                               : run_operator(node, arguments, frame);
    for (std::size_t i = 0; i < node.outputs().size(); ++i)
        frame.values[node.outputs()[i]] = i < results.size() ? results[i] : Value();
}

Reader::Values Reader::run_call(const jit::Node& node, const Values& arguments,
                                const Frame& frame) {
    if (node.kind() == prim::CallFunction) {
        const auto function = node.inputs()[0]->type()->expect<c10::FunctionType>();
        return call(*function->function(), {arguments.begin() + 1, arguments.end()}, frame.self,
                    frame.depth + 1);
    }
    const auto* object = arguments[0].get<ObjectAt>();
    if (object == nullptr) fail(node, frame, "calls a method of something that is no module");
    const std::string& name = node.s(c10::attr::name);
    const jit::Function* const method = object->object->type()->findMethod(name);
    if (method == nullptr)
        fail(node, frame, fmt::format("calls '{}', which the module does not have", name));
    return call(*method, arguments, *object, frame.depth + 1);
}

bool Reader::condition(const jit::Node& node, const Frame& frame, const Value& value) const {
    const auto* known_value = value.get<Known>();
    if (known_value == nullptr || !known_value->value.isBool())
        fail(node, frame,
             "depends on what an image shows; a network must do the same with every image");
    return known_value->value.toBool();
}

void Reader::run_if(const jit::Node& node, Frame& frame) {
    const bool taken = condition(node, frame, frame.values.at(node.inputs()[0]));
    const jit::Block& block = *node.blocks()[taken ? 0 : 1];
    run_block(block, frame);
    for (std::size_t i = 0; i < node.outputs().size(); ++i)
        frame.values[node.outputs()[i]] = frame.values.at(block.outputs()[i]);
}

void Reader::run_loop(const jit::Node& node, Frame& frame) {
    const auto* limit = frame.values.at(node.inputs()[0]).get<Known>();
    if (limit == nullptr || !limit->value.isInt())
        fail(node, frame, "depends on what an image shows");
    const std::int64_t trips = limit->value.toInt();
    const jit::Block& body = *node.blocks()[0];
    bool goes_on = condition(node, frame, frame.values.at(node.inputs()[1]));
    Values carried;
    for (std::size_t i = 2; i < node.inputs().size(); ++i)
        carried.push_back(frame.values.at(node.inputs()[i]));
    for (std::int64_t trip = 0; goes_on && trip < trips; ++trip) {
        if (++steps_ > most_steps)
            fail(node, frame, fmt::format("repeats more than {} steps", most_steps));
        frame.values[body.inputs()[0]] = known(trip);
        for (std::size_t i = 0; i < carried.size(); ++i)
            frame.values[body.inputs()[i + 1]] = carried[i];
        run_block(body, frame);
        goes_on = condition(node, frame, frame.values.at(body.outputs()[0]));
        for (std::size_t i = 0; i < carried.size(); ++i)
            carried[i] = frame.values.at(body.outputs()[i + 1]);
    }
    for (std::size_t i = 0; i < carried.size(); ++i)
        frame.values[node.outputs()[i]] = carried[i];
}

Reader::Values Reader::run_operator(const jit::Node& node, const Values& arguments,
                                    const Frame& frame) {
    OperatorCall operation{*this, node, frame, arguments};
    if (auto results = run_structural(operation)) return *std::move(results);
    if (std::any_of(arguments.begin(), arguments.end(), depends_on_images)) {
        Value result = run_on_images(operation);
        if (writes_to_first(node)) result = overwritten(node, frame, arguments[0], result);
        return {result};
    }
    return evaluate(node, arguments, frame);
}

Value Reader::overwritten(const jit::Node& node, const Frame& frame, const Value& old,
                          Value result) {
    const auto* target = old.get<Traced>();
    auto* source = std::get_if<Traced>(&result.content);
    if (target == nullptr || source == nullptr) fail(node, frame, "overwrites a known value");
    Memory& memory = memories_[target->memory];
    source->memory = target->memory;
    source->version = ++memory.version;
    source->whole = target->whole;
    memory.latest = *source;
    return result;
}

Reader::Values Reader::evaluate(const jit::Node& node, const Values& arguments,
                                const Frame& frame) {
    const std::string op = node.kind().toQualString();
    if (node.maybeSchema() == nullptr || writes_to_first(node) || node.hasSideEffects())
        fail(node, frame, "cannot be evaluated here");
    for (const jit::Value* output : node.outputs())
        if ((output->type()->cast<c10::TensorType>() || is_list_of_tensors(output->type())) &&
            !may_make_tensors(op))
            fail(node, frame,
                 "makes a tensor that does not depend on the images; store it in the "
                 "module as a parameter or buffer");
    jit::Stack stack;
    for (std::size_t i = 0; i < arguments.size(); ++i)
        stack.push_back(to_ivalue(arguments[i], node.inputs()[i]->type()));
    if (node.maybeSchema()->is_vararg())
        stack.emplace_back(static_cast<std::int64_t>(arguments.size()));
    try {
        node.getOperation()(stack);
    } catch (const std::exception& error) {
        fail(node, frame, "cannot be evaluated: " + first_line(error.what()));
    }
    const auto* first = arguments.empty() ? nullptr : arguments[0].get<Known>();
    const std::string name = first != nullptr && keeps_name(op) ? first->name : "";
    Values results;
    for (const c10::IValue& result : stack)
        results.push_back(from_ivalue(result, name));
    return results;
}

void Reader::collect_outputs(const Value& value, std::vector<std::size_t>& outputs) {
    if (value.is_none()) return; // torchvision's networks return None for what only training has
    if (const auto* list = value.get<List>()) {
        for (const Value& element : **list)
            collect_outputs(element, outputs);
    } else if (const auto* dictionary = value.get<Dictionary>()) {
        for (const auto& entry : **dictionary)
            collect_outputs(entry.second, outputs);
    } else if (value.get<Traced>() != nullptr) {
        outputs.push_back(output_node(*this, value));
    } else {
        throw core::DataError(file_ +
                              ": forward returns something that is no tensor of the images");
    }
}

} // namespace hdap::network::torchscript
