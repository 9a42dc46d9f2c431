#pragma once

#include "reader_torch.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hdap::network::torchscript {

/// One call of an operator of the program, with its arguments by the names of its schema.
struct OperatorCall {
    Reader& reader;
    const torch::jit::Node& node;
    const Frame& frame;
    const std::vector<Value>& arguments;

    [[nodiscard]] NetworkAssembly& assembly() const { return reader.assembly(); }
    [[noreturn]] void fail(const std::string& what) const { reader.fail(node, frame, what); }

    /// The argument `name`; nothing where the operator has none or it is None.
    [[nodiscard]] const Value* find(std::string_view name) const;
    /// The argument `name`; it must be there.
    [[nodiscard]] const Value& value(std::string_view name) const;
    /// The first argument, which most operators work on.
    [[nodiscard]] Traced input() const { return traced(arguments.at(0)); }
    /// A tensor that depends on the images, as it is now.
    [[nodiscard]] Traced traced(const Value& value) const;

    [[nodiscard]] std::int64_t integer(std::string_view name) const;
    [[nodiscard]] double number(std::string_view name) const;
    [[nodiscard]] bool flag(std::string_view name) const;
    [[nodiscard]] std::vector<std::int64_t> integers(std::string_view name) const;
    [[nodiscard]] std::vector<double> numbers(std::string_view name) const;
    /// Height and width; one integer stands for both.
    [[nodiscard]] Extent extent(std::string_view name) const;
    /// A parameter, or another tensor that does not depend on the images.
    [[nodiscard]] Known tensor(std::string_view name) const;

    /// The dimension `dim` of `tensor`, negative ones counted from the end.
    [[nodiscard]] std::size_t dimension(const Traced& tensor, std::int64_t dim) const;

    /// A name for a layer without parameters: its module's, where that does nothing else, or the
    /// module's with `word`.
    [[nodiscard]] std::string name(const std::string& word) const;
    /// A name for a layer with the parameter `weight`: what its name is without ".weight" or
    /// ".running_mean".
    [[nodiscard]] std::string name_of_layer(const Known& weight, const std::string& word) const;

    /// Appends `layer`, which reads nodes alone. The result is [N, C, H, W].
    [[nodiscard]] Traced append(Node layer, std::vector<std::size_t> inputs) const;
    /// Appends a layer that keeps the sizes and the view of `tensor`, whose node it reads.
    [[nodiscard]] Traced append_alike(Node layer, const Traced& tensor) const;

    /// `tensor` with its affine function, by a convolution that does this alone, where it is not
    /// the identity; and repeated to its extent, by a resizing, where it is that.
    [[nodiscard]] Traced settled(const Traced& tensor) const;
    /// The same, and it must be [N, C, H, W] or, where `flat`, [N, C].
    [[nodiscard]] Traced plain(const Traced& tensor) const;
    [[nodiscard]] Traced spatial(const Traced& tensor) const;
    [[nodiscard]] Traced flat(const Traced& tensor) const;
};

using Handler = Value (*)(const OperatorCall&);

struct OperatorEntry {
    std::string_view name; ///< without "aten::", and without '_' at the end
    Handler handler;
};

/// The operators that we know, by what they are about.
std::span<const OperatorEntry> layer_operators();
std::span<const OperatorEntry> arithmetic_operators();
std::span<const OperatorEntry> view_operators();

/// Runs an operator on tensors that depend on the images.
Value run_on_images(const OperatorCall& call);

/// Runs what moves values around, asks for their properties or makes lists of them; nothing where
/// the operator is none of these.
std::optional<std::vector<Value>> run_structural(const OperatorCall& call);

/// The node that holds a tensor of the images that the program returns. Throws DataError when it is
/// half of something.
std::size_t output_node(Reader& reader, const Value& tensor);

} // namespace hdap::network::torchscript
