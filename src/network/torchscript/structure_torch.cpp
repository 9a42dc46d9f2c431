#include "operators_torch.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace hdap::network::torchscript {
namespace {

namespace prim = c10::prim;

using Values = std::vector<Value>;

Value list_of(Values values) {
    return std::make_shared<Values>(std::move(values));
}

const Values& elements(const OperatorCall& call, const Value& value) {
    const auto* list = value.get<List>();
    if (list == nullptr) call.fail("takes apart something that is no list or tuple");
    return **list;
}

std::int64_t integer(const OperatorCall& call, const Value& value) {
    const auto* known_value = value.get<Known>();
    if (known_value == nullptr || !known_value->value.isInt())
        call.fail("needs an integer that does not depend on what an image shows");
    return known_value->value.toInt();
}

/// The place in a list of `size` that `index` means: negative ones count from the end.
std::size_t place(const OperatorCall& call, std::int64_t index, std::size_t size) {
    const auto count = static_cast<std::int64_t>(size);
    const std::int64_t from_front = index < 0 ? index + count : index;
    if (from_front < 0 || from_front >= count)
        call.fail(fmt::format("asks for element {} of {}", index, count));
    return static_cast<std::size_t>(from_front);
}

Value attribute(const OperatorCall& call) {
    const auto* object = call.arguments[0].get<ObjectAt>();
    if (object == nullptr) call.fail("asks for an attribute of something that is no module");
    const std::string& name = call.node.s(c10::attr::name);
    const std::string path = object->path.empty() ? name : object->path + "." + name;
    return from_ivalue(object->object->getAttr(name), path);
}

Value dictionary_of(const Values& arguments) {
    auto dictionary = std::make_shared<std::vector<std::pair<Value, Value>>>();
    for (std::size_t i = 0; i + 1 < arguments.size(); i += 2)
        dictionary->emplace_back(arguments[i], arguments[i + 1]);
    return dictionary;
}

bool is_instance(const OperatorCall& call) {
    const Value& value = call.arguments[0];
    const auto& types = call.node.tys(c10::attr::types);
    const c10::TypePtr type = value.get<Traced>() != nullptr ? c10::TypePtr(c10::TensorType::get())
                                                             : call.node.inputs()[0]->type();
    return std::any_of(types.begin(), types.end(),
                       [&](const c10::TypePtr& asked) { return type->isSubtypeOf(*asked); });
}

[[noreturn]] void raise(const OperatorCall& call) {
    const auto* message = call.arguments.empty() ? nullptr : call.arguments[0].get<Known>();
    call.fail("stops the program for images of this shape" +
              (message != nullptr && message->value.isString()
                   ? ": " + message->value.toStringRef().substr(0, 300)
                   : ""));
}

/// What the language itself is made of.
std::optional<Values> run_language(const OperatorCall& call) {
    const Values& arguments = call.arguments;
    switch (call.node.kind()) {
    case prim::GetAttr:
        return Values{attribute(call)};
    case prim::ListConstruct:
    case prim::TupleConstruct:
        return Values{list_of(arguments)};
    case prim::DictConstruct:
        return Values{dictionary_of(arguments)};
    case prim::ListUnpack:
    case prim::TupleUnpack:
        if (elements(call, arguments[0]).size() != call.node.outputs().size())
            call.fail(fmt::format("takes apart a list of {} into {}",
                                  elements(call, arguments[0]).size(), call.node.outputs().size()));
        return elements(call, arguments[0]);
    case prim::TupleIndex: {
        const Values& tuple = elements(call, arguments[0]);
        return Values{tuple[place(call, integer(call, arguments[1]), tuple.size())]};
    }
    case prim::unchecked_cast:
    case prim::unchecked_unwrap_optional:
        return Values{arguments[0]};
    case prim::isinstance:
        return Values{known(is_instance(call))};
    case prim::Uninitialized:
    case prim::Print:
        return Values{};
    case prim::RaiseException:
        raise(call);
    default:
        return std::nullopt;
    }
}

/// Questions about a tensor of the images, or whether it is None.
std::optional<Value> run_question(const OperatorCall& call, const std::string& op) {
    if (op == "aten::__is__" || op == "aten::__isnot__") {
        const bool both = call.arguments[0].is_none() && call.arguments[1].is_none();
        if (!call.arguments[0].is_none() && !call.arguments[1].is_none()) return std::nullopt;
        return known(both == (op == "aten::__is__"));
    }
    const auto* tensor = call.arguments.empty() ? nullptr : call.arguments[0].get<Traced>();
    if (tensor == nullptr) return std::nullopt;
    const std::vector<std::int64_t>& sizes = tensor->sizes;
    if (op == "aten::size" || op == "prim::shape") {
        if (call.arguments.size() > 1)
            return known(sizes[call.dimension(*tensor, integer(call, call.arguments[1]))]);
        Values all;
        for (const std::int64_t size : sizes)
            all.push_back(known(size));
        return list_of(std::move(all));
    }
    if (op == "aten::dim") return known(static_cast<std::int64_t>(sizes.size()));
    if (op == "aten::len") return known(sizes[0]);
    if (op == "aten::numel") {
        std::int64_t count = 1;
        for (const std::int64_t size : sizes)
            count *= size;
        return known(count);
    }
    if (op == "prim::dtype") return known(static_cast<std::int64_t>(at::kFloat));
    if (op == "prim::device") return known(c10::Device(c10::kCPU));
    if (op == "prim::layout") return known(static_cast<std::int64_t>(at::kStrided));
    if (op == "aten::is_floating_point") return known(true);
    if (op == "prim::is_cuda" || op == "prim::is_quantized" || op == "prim::requires_grad" ||
        op == "prim::is_sparse" || op == "prim::is_mkldnn" || op == "aten::is_complex")
        return known(false);
    return std::nullopt;
}

/// The elements [first, last) of a list, every `step`-th.
Value part_of(const OperatorCall& call, const Values& list) {
    const auto size = static_cast<std::int64_t>(list.size());
    const auto bound = [&](std::size_t argument, std::int64_t otherwise) {
        if (argument >= call.arguments.size() || call.arguments[argument].is_none())
            return otherwise;
        const std::int64_t index = integer(call, call.arguments[argument]);
        return std::clamp<std::int64_t>(index < 0 ? index + size : index, 0, size);
    };
    const std::int64_t step = call.arguments.size() > 3 ? integer(call, call.arguments[3]) : 1;
    if (step < 1) call.fail("goes through a list backwards");
    Values part;
    const std::int64_t last = bound(2, size);
    for (std::int64_t i = bound(1, 0); i < last; i += step)
        part.push_back(list[static_cast<std::size_t>(i)]);
    return list_of(std::move(part));
}

std::optional<Values> run_on_list(const OperatorCall& call, const std::string& op, Values& list) {
    const Values& arguments = call.arguments;
    constexpr std::size_t longest = 1'000'000;
    const auto* other = arguments.size() > 1 ? arguments[1].get<List>() : nullptr;
    if (list.size() + (other == nullptr ? 0 : (*other)->size()) > longest)
        call.fail(fmt::format("makes a list of more than {} elements", longest));
    if (op == "aten::len") return Values{known(static_cast<std::int64_t>(list.size()))};
    if (op == "aten::__getitem__")
        return Values{list[place(call, integer(call, arguments[1]), list.size())]};
    if (op == "aten::slice") return Values{part_of(call, list)};
    if (op == "aten::list" || op == "aten::copy") return Values{list_of(list)};
    if (op == "aten::_set_item") {
        list[place(call, integer(call, arguments[1]), list.size())] = arguments[2];
        return Values{arguments[0]};
    }
    if (op == "aten::append") {
        list.push_back(arguments[1]);
        return Values{arguments[0]};
    }
    if (op == "aten::insert") {
        const std::int64_t size = static_cast<std::int64_t>(list.size());
        const std::int64_t index = integer(call, arguments[1]);
        list.insert(list.begin() +
                        std::clamp<std::int64_t>(index < 0 ? index + size : index, 0, size),
                    arguments[2]);
        return Values{};
    }
    if (op == "aten::reverse") {
        std::reverse(list.begin(), list.end());
        return Values{};
    }
    if (op == "aten::pop") {
        const std::int64_t index = arguments.size() > 1 ? integer(call, arguments[1]) : -1;
        const std::size_t at = place(call, index, list.size());
        const Value taken = list[at];
        list.erase(list.begin() + static_cast<std::ptrdiff_t>(at));
        return Values{taken};
    }
    if (other != nullptr && (op == "aten::add" || op == "aten::add_" || op == "aten::extend")) {
        Values joined = list;
        joined.insert(joined.end(), (*other)->begin(), (*other)->end());
        if (op == "aten::add") return Values{list_of(std::move(joined))};
        list = std::move(joined);
        return Values{arguments[0]};
    }
    return std::nullopt;
}

bool same_key(const Value& a, const Value& b) {
    const auto* first = a.get<Known>();
    const auto* second = b.get<Known>();
    return first != nullptr && second != nullptr && first->value == second->value;
}

std::optional<Values> run_on_dictionary(const OperatorCall& call, const std::string& op,
                                        std::vector<std::pair<Value, Value>>& dictionary) {
    const Values& arguments = call.arguments;
    const auto find = [&] {
        return std::find_if(dictionary.begin(), dictionary.end(),
                            [&](const auto& entry) { return same_key(entry.first, arguments[1]); });
    };
    const auto all = [&](const auto& part) {
        Values parts;
        for (const auto& entry : dictionary)
            parts.push_back(part(entry));
        return Values{list_of(std::move(parts))};
    };
    if (op == "aten::len") return Values{known(static_cast<std::int64_t>(dictionary.size()))};
    if (op == "aten::keys") return all([](const auto& entry) { return entry.first; });
    if (op == "aten::values") return all([](const auto& entry) { return entry.second; });
    if (op == "aten::items")
        return all([](const auto& entry) { return list_of({entry.first, entry.second}); });
    if (op == "aten::__contains__") return Values{known(find() != dictionary.end())};
    if (op == "aten::__getitem__") {
        if (find() == dictionary.end()) call.fail("asks a dictionary for a key that it has not");
        return Values{find()->second};
    }
    if (op == "aten::_set_item") {
        if (find() == dictionary.end())
            dictionary.emplace_back(arguments[1], arguments[2]);
        else
            find()->second = arguments[2];
        return Values{};
    }
    return std::nullopt;
}

} // namespace

std::optional<Values> run_structural(const OperatorCall& call) {
    if (auto results = run_language(call)) return results;
    const std::string op = call.node.kind().toQualString();
    if (op == "aten::warn") return Values{};
    if (call.arguments.empty()) return std::nullopt;
    if (auto answer = run_question(call, op)) return Values{*std::move(answer)};
    if (const auto* list = call.arguments[0].get<List>()) return run_on_list(call, op, **list);
    if (const auto* dictionary = call.arguments[0].get<Dictionary>())
        return run_on_dictionary(call, op, **dictionary);
    return std::nullopt;
}

} // namespace hdap::network::torchscript
