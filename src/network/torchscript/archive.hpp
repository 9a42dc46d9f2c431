#pragma once

#include "hdap/network/graph.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <string>

namespace hdap::network {

/// The record of our TorchScript archives that tells the shape of an image, as input_shape_text
/// writes it.
inline constexpr const char* input_shape_record = "hdap_input_shape";

/// "3 224 224"
std::string input_shape_text(const TensorShape& shape);

/// The shape in `text`; nothing where it has another form.
std::optional<TensorShape> parse_input_shape(const std::string& text);

/// Whether `bytes` begin as a zip archive does.
bool is_zip(std::span<const std::byte> bytes) noexcept;

/// Checks that `bytes` are a zip archive with the records of a TorchScript module, all of them
/// inside the file, none over another, and none that says to be much larger than what is stored for
/// it: LibTorch allocates what an archive declares. `name` stands for the file in messages.
/// Throws DataError. Complexity: O(records · log records); allocates less than the file's size.
void check_torchscript_archive(std::span<const std::byte> bytes, const std::string& name);

} // namespace hdap::network
