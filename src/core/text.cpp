#include "hdap/core/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <vector>

namespace hdap::core {
namespace {

/// Whether a byte of UTF-8 is the first one of a character.
bool starts_character(char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U;
}

} // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
    // Three rows suffice, as a swap looks two rows back.
    std::vector<std::size_t> before(b.size() + 1);
    std::vector<std::size_t> above(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j)
        above[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t substitution = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({above[j] + 1, row[j - 1] + 1, substitution});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = std::min(row[j], before[j - 2] + 1);
        }
        std::swap(before, above);
        std::swap(above, row);
    }
    return above[b.size()];
}

std::string nearest(std::string_view word, std::span<const std::string> known) {
    std::string best;
    // More than a third of the letters wrong is another word, not a slip.
    std::size_t least = std::max<std::size_t>(2, word.size() / 3) + 1;
    for (const std::string& candidate : known) {
        const std::size_t distance = edit_distance(word, candidate);
        if (distance < least && !candidate.empty()) {
            least = distance;
            best = candidate;
        }
    }
    return best;
}

std::string did_you_mean(std::string_view word, std::span<const std::string> known) {
    const std::string guess = nearest(word, known);
    return guess.empty() ? "" : " (did you mean '" + guess + "'?)";
}

std::string printable(std::string_view text) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : '\0');
        // The C1 controls, U+0080 to U+009F, take two bytes.
        const bool takes_two = byte == 0xC2U && next >= 0x80U && next < 0xA0U;
        result += byte < 0x20U || byte == 0x7FU || takes_two ? '?' : text[i];
        if (takes_two) ++i;
    }
    return result;
}

std::size_t character_bytes(std::string_view text) {
    if (text.empty()) return 0;
    const auto first = static_cast<unsigned char>(text[0]);
    if (first < 0x80U) return 1;
    const std::size_t bytes = first >= 0xF0U ? 4 : first >= 0xE0U ? 3 : 2;
    if (first < 0xC2U || first > 0xF4U || bytes > text.size()) return 0;
    // No character in more bytes than it needs, no half of a pair of UTF-16, none beyond U+10FFFF.
    const auto second = static_cast<unsigned char>(text[1]);
    const unsigned least = first == 0xE0U ? 0xA0U : first == 0xF0U ? 0x90U : 0x80U;
    const unsigned most = first == 0xEDU ? 0x9FU : first == 0xF4U ? 0x8FU : 0xBFU;
    if (second < least || second > most) return 0;
    return std::none_of(text.begin() + 2, text.begin() + static_cast<std::ptrdiff_t>(bytes),
                        starts_character)
               ? bytes
               : 0;
}

std::size_t display_width(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), starts_character));
}

std::string padded_left(std::string_view text, std::size_t width) {
    return std::string(width - std::min(width, display_width(text)), ' ').append(text);
}

std::string padded_right(std::string_view text, std::size_t width) {
    return std::string(text).append(width - std::min(width, display_width(text)), ' ');
}

std::string shortened(std::string_view text, std::size_t width) {
    // A character has four bytes at most. What claims more is no UTF-8, and must not be endless.
    const std::size_t most_bytes = 4 * width;
    if (text.size() <= most_bytes && display_width(text) <= width) return std::string(text);
    std::size_t end = 0;
    for (std::size_t kept = 0; end < std::min(text.size(), most_bytes); ++end)
        if (starts_character(text[end]) && ++kept == width) break;
    return std::string(text.substr(0, end)) + "…";
}

std::string join(std::span<const std::string> words, std::string_view separator) {
    std::string text;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (i > 0) text += separator;
        text += words[i];
    }
    return text;
}

std::string shortest(double value) {
    std::array<char, 32> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    return {text.data(), end};
}

std::string significant(double value, int digits) {
    if (!std::isfinite(value)) return "–";
    const double magnitude = std::abs(value);
    std::array<char, 64> text{};
    if (magnitude != 0.0 && (magnitude < 1e-4 || magnitude >= 1e15)) {
        std::snprintf(text.data(), text.size(), "%.*g", digits, value);
    } else {
        const int before_point =
            magnitude < 1.0
                ? (magnitude > 0.0 ? static_cast<int>(std::floor(std::log10(magnitude))) : 0) + 1
                : static_cast<int>(std::floor(std::log10(magnitude))) + 1;
        std::snprintf(text.data(), text.size(), "%.*f", std::max(0, digits - before_point), value);
    }
    return text.data();
}

std::string grouped(std::int64_t value) {
    std::string text = std::to_string(value);
    const std::size_t first_digit = value < 0 ? 1 : 0;
    for (std::size_t i = text.size(); i > first_digit + 3;) {
        i -= 3;
        text.insert(i, ",");
    }
    return text;
}

std::string counted(std::int64_t count, std::string_view singular, std::string_view plural) {
    std::string text = grouped(count) + " ";
    if (count == 1 || plural.empty())
        text.append(singular).append(count == 1 ? "" : "s");
    else
        text.append(plural);
    return text;
}

std::string duration_text(double seconds) {
    std::array<char, 64> text{};
    const auto whole = static_cast<long long>(std::llround(seconds));
    if (seconds < 9.95)
        std::snprintf(text.data(), text.size(), "%.1f s", seconds);
    else if (whole < 60)
        std::snprintf(text.data(), text.size(), "%lld s", whole);
    else if (whole < 3600)
        std::snprintf(text.data(), text.size(), "%lld min %02lld s", whole / 60, whole % 60);
    else if (whole < 86'400)
        std::snprintf(text.data(), text.size(), "%lld h %02lld min", whole / 3600,
                      whole % 3600 / 60);
    else
        std::snprintf(text.data(), text.size(), "%lld d %02lld h", whole / 86'400,
                      whole % 86'400 / 3600);
    return text.data();
}

} // namespace hdap::core
