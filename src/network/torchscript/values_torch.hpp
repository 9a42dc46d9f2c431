#pragma once

#include <ATen/core/ivalue.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

/// What the variables of a TorchScript program hold while it is read: see
/// torchscript_reader_torch.hpp.
namespace hdap::network::torchscript {

/// The batch's size in all shapes that the program computes: a number that nothing else has, so
/// that a dimension that comes from it is known again.
inline constexpr std::int64_t batch_size = 7919;

/// How a tensor of the program lies over the [channels][height][width] of a node.
enum class View {
    plain,          ///< [N, C, H, W], or [N, C] where the extent is 1 × 1
    joined_pixels,  ///< [N, C, H·W]
    groups,         ///< [N, G, C/G, H, W]
    swapped_groups, ///< [N, C/G, G, H, W]: half a channel shuffle
    row_means,      ///< [N, C, H] or [N, C, H, 1]: half a global average
    one_channel,    ///< [N, H, W] of a node with one channel
    pixels_first,   ///< [N, H, W, C]
    expanded,       ///< [N, C, H, W] of a node whose extent is 1 × 1
};

/// scale · x + offset, with one number for all channels or one for each.
struct Affine {
    std::vector<double> scale{1.0};
    std::vector<double> offset{0.0};

    /// But for rounding.
    [[nodiscard]] bool is_identity() const;
    /// One number for all channels, and no offset.
    [[nodiscard]] bool is_factor() const;
    [[nodiscard]] bool is_uniform() const { return scale.size() == 1 && offset.size() == 1; }

    /// What comes after it. `values` are one number or one for each channel.
    void multiply(const std::vector<double>& values);
    void add(const std::vector<double>& values);
};

/// A tensor that depends on the images: an affine function of a node, seen in some way. The
/// function is kept apart, since often the next ones undo it or go together with it.
struct Traced {
    std::size_t node = 0;
    std::vector<std::int64_t> sizes; ///< as the program sees them; the first is the batch's
    View view = View::plain;
    Affine affine = {};
    // Which memory it is in, for operators that overwrite.
    std::size_t memory = 0;  ///< tensors with the same number share memory
    std::size_t version = 0; ///< how often that was overwritten before
    bool whole = true;       ///< it covers all of the memory
};

/// A value that does not depend on the images: a number, a parameter …
struct Known {
    c10::IValue value;
    std::string name; ///< of a parameter: its name in the state dict
};

/// A module, or another object with attributes and methods.
struct ObjectAt {
    c10::intrusive_ptr<c10::ivalue::Object> object;
    std::string path; ///< "layer1.0"; empty for the whole network
};

struct Value;
/// A list or tuple. Lists are shared by all variables that hold them.
using List = std::shared_ptr<std::vector<Value>>;
/// Keys and values in the order of their insertion, shared as lists are.
using Dictionary = std::shared_ptr<std::vector<std::pair<Value, Value>>>;

struct Value {
    using Content = std::variant<Known, Traced, List, Dictionary, ObjectAt>;
    Content content;

    Value() = default;
    template <class T>
    requires(!std::is_same_v<T, Value> && std::is_constructible_v<Content, T>) Value(T value)
        : content(std::move(value)) {} // NOLINT: converts from each alternative

    template <class T>
    [[nodiscard]] const T* get() const {
        return std::get_if<T>(&content);
    }
    [[nodiscard]] bool is_none() const {
        const auto* known = get<Known>();
        return known != nullptr && known->value.isNone();
    }
};

inline Value known(c10::IValue value) {
    return Known{std::move(value), {}};
}

/// Whether `value` is, or holds somewhere, a tensor that depends on the images.
bool depends_on_images(const Value& value);

/// The value of a program's constant or of an attribute of the object at `path`; `name` is what it
/// is called there.
Value from_ivalue(const c10::IValue& value, const std::string& path);

/// The opposite, for values that do not depend on the images. `type` is what the program declares.
c10::IValue to_ivalue(const Value& value, const c10::TypePtr& type);

} // namespace hdap::network::torchscript
