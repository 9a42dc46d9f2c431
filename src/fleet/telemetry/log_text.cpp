#include "fleet/telemetry/log_text.hpp"

#include <algorithm>
#include <charconv>

namespace hdap::fleet {

std::optional<double> leading_number(std::string_view text) {
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    if (text.starts_with('+')) text.remove_prefix(1);
    double value = 0.0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{}) return std::nullopt;
    return value;
}

std::optional<std::string_view> text_behind(std::string_view line, std::string_view mark) {
    const std::size_t at = line.find(mark);
    if (at == std::string_view::npos) return std::nullopt;
    return line.substr(at + mark.size());
}

std::optional<double> number_behind(std::string_view line, std::string_view mark) {
    const auto rest = text_behind(line, mark);
    return rest ? leading_number(*rest) : std::nullopt;
}

bool has_any(std::string_view text, std::span<const std::string_view> marks) {
    return std::any_of(marks.begin(), marks.end(), [&](std::string_view mark) {
        return text.find(mark) != std::string_view::npos;
    });
}

std::string_view from_first_text(std::string_view beginning) {
    constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
    if (beginning.starts_with(byte_order_mark)) beginning.remove_prefix(byte_order_mark.size());
    beginning.remove_prefix(std::min(beginning.find_first_not_of(" \t\r\n"), beginning.size()));
    return beginning;
}

std::string_view stem_of_path(std::string_view path) {
    const std::size_t slash = path.find_last_of("/\\");
    if (slash != std::string_view::npos) path.remove_prefix(slash + 1);
    const std::size_t point = path.find_last_of('.');
    return point == 0 ? path : path.substr(0, point);
}

} // namespace hdap::fleet
