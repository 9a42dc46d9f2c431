#include "values_torch.hpp"

#include "hdap/core/error.hpp"
#include "load_torch.hpp"

#include <ATen/core/Dict.h>
#include <ATen/core/List.h>
#include <ATen/core/jit_type.h>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace hdap::network::torchscript {
namespace {

template <class Elements>
Value list_of(const Elements& elements, const std::string& path) {
    auto list = std::make_shared<std::vector<Value>>();
    for (const auto& element : elements)
        list->push_back(from_ivalue(element, path));
    return list;
}

/// The largest difference of scales and offsets that is rounding.
constexpr double rounding = 1e-9;

bool all_near(const std::vector<double>& values, double expected) {
    return std::all_of(values.begin(), values.end(),
                       [&](double value) { return std::abs(value - expected) < rounding; });
}

/// `values` with as many numbers as the longer of the two.
void widen(std::vector<double>& values, std::size_t count) {
    if (values.size() < count) values.resize(count, values[0]);
}

} // namespace

bool Affine::is_identity() const {
    return all_near(scale, 1.0) && all_near(offset, 0.0);
}

bool Affine::is_factor() const {
    return scale.size() == 1 && all_near(offset, 0.0);
}

void Affine::multiply(const std::vector<double>& values) {
    for (std::vector<double>* numbers : {&scale, &offset}) {
        widen(*numbers, values.size());
        for (std::size_t c = 0; c < numbers->size(); ++c)
            (*numbers)[c] *= values[values.size() == 1 ? 0 : c];
    }
}

void Affine::add(const std::vector<double>& values) {
    widen(offset, values.size());
    for (std::size_t c = 0; c < offset.size(); ++c)
        offset[c] += values[values.size() == 1 ? 0 : c];
}

bool depends_on_images(const Value& value) {
    if (const auto* list = value.get<List>())
        return std::any_of((*list)->begin(), (*list)->end(), depends_on_images);
    if (const auto* dictionary = value.get<Dictionary>())
        return std::any_of((*dictionary)->begin(), (*dictionary)->end(),
                           [](const auto& entry) { return depends_on_images(entry.second); });
    return value.get<Traced>() != nullptr;
}

Value from_ivalue(const c10::IValue& value, const std::string& path) {
    if (value.isObject()) return ObjectAt{value.toObject(), path};
    if (value.isList()) return list_of(value.toListRef(), path);
    if (value.isTuple()) return list_of(value.toTupleRef().elements(), path);
    if (value.isGenericDict()) {
        auto dictionary = std::make_shared<std::vector<std::pair<Value, Value>>>();
        for (const auto& entry : value.toGenericDict())
            dictionary->emplace_back(from_ivalue(entry.key(), path),
                                     from_ivalue(entry.value(), path));
        return dictionary;
    }
    if (value.isTensor() && value.toTensor().defined())
        check_tensor(value.toTensor(),
                     path.empty() ? "a constant of the program" : fmt::format("tensor '{}'", path));
    return Known{value, value.isTensor() ? path : ""};
}

c10::IValue to_ivalue(const Value& value, const c10::TypePtr& type) {
    if (const auto* known_value = value.get<Known>()) return known_value->value;
    if (const auto* object = value.get<ObjectAt>()) return object->object;
    c10::TypePtr declared = type;
    if (const auto optional = type->cast<c10::OptionalType>())
        declared = optional->getElementType();
    if (const auto* list = value.get<List>()) {
        const auto list_type = declared->cast<c10::ListType>();
        std::vector<c10::IValue> elements;
        for (std::size_t i = 0; i < (*list)->size(); ++i)
            elements.push_back(to_ivalue((**list)[i], list_type
                                                          ? list_type->getElementType()
                                                          : c10::TypePtr(c10::AnyType::get())));
        if (!list_type) return c10::ivalue::Tuple::create(std::move(elements));
        c10::impl::GenericList result(list_type->getElementType());
        for (c10::IValue& element : elements)
            result.push_back(std::move(element));
        return result;
    }
    throw core::DataError("a dictionary of the program cannot be evaluated");
}

} // namespace hdap::network::torchscript
