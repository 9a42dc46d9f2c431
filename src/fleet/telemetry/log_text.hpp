#pragma once

#include <optional>
#include <span>
#include <string_view>

/// Pieces of what tools print for people.
namespace hdap::fleet {

/// The number that `text` begins with, blanks before it left out; nothing where there is none, or
/// one beyond what a double holds.
std::optional<double> leading_number(std::string_view text);

/// What follows the first `mark` in `line`; nothing without it.
std::optional<std::string_view> text_behind(std::string_view line, std::string_view mark);

/// The number right behind the first `mark`.
std::optional<double> number_behind(std::string_view line, std::string_view mark);

/// Whether any of the marks is in `text`.
bool has_any(std::string_view text, std::span<const std::string_view> marks);

/// `beginning` of a file without the byte order mark and the blanks and line ends before its text.
std::string_view from_first_text(std::string_view beginning);

/// "mobilenet_v2" of "models/mobilenet_v2.tflite"; with either slash.
std::string_view stem_of_path(std::string_view path);

} // namespace hdap::fleet
