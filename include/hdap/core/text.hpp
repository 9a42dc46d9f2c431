#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace hdap::core {

/// The number of insertions, deletions, substitutions and swaps of neighbours that turn `a` into
/// `b` (optimal string alignment distance). Complexity: O(|a|·|b|).
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The entry of `known` that is nearest to `word`, or an empty string when none is near enough to
/// be what was meant.
std::string nearest(std::string_view word, std::span<const std::string> known);

/// " (did you mean 'X'?)" or nothing; to be appended to an error message.
std::string did_you_mean(std::string_view word, std::span<const std::string> known);

/// "a, b, c"
std::string join(std::span<const std::string> words, std::string_view separator = ", ");

/// `text` with a question mark for each control character (C0, DEL, C1), so that neither a line
/// break nor a terminal's control sequence from outside reaches the terminal.
std::string printable(std::string_view text);

/// Bytes of the character of UTF-8 that `text` begins with; 0 when it begins with none.
std::size_t character_bytes(std::string_view text);

/// Columns that UTF-8 text takes on a terminal: its characters, none of them wide or combining.
std::size_t display_width(std::string_view text);

/// `text` with blanks on its left (right) up to `width` columns.
std::string padded_left(std::string_view text, std::size_t width);
std::string padded_right(std::string_view text, std::size_t width);

/// `text`, or its beginning and an ellipsis that take `width` ≥ 1 columns together.
std::string shortened(std::string_view text, std::size_t width);

/// The shortest decimal text that reads back as the same double; "1" for 1.0, "nan" for NaN.
std::string shortest(double value);

/// A double for people: `digits` significant digits, no exponent for everyday magnitudes.
std::string significant(double value, int digits = 4);

/// "2,000"
std::string grouped(std::int64_t value);

/// The same of other integers.
template <std::integral Value>
std::string grouped(Value value) {
    return grouped(static_cast<std::int64_t>(value));
}

/// "1 device", "2,000 devices"; `plural` where that is not the singular with an s.
std::string counted(std::int64_t count, std::string_view singular, std::string_view plural = {});

/// The same of other integers.
template <std::integral Count>
std::string counted(Count count, std::string_view singular, std::string_view plural = {}) {
    return counted(static_cast<std::int64_t>(count), singular, plural);
}

/// "364 d 23 h", "1 h 02 min", "3 min 05 s", "12 s", "0.4 s".
std::string duration_text(double seconds);

} // namespace hdap::core
