#include "environment_int.hpp"

#include <charconv>
#include <cstdlib>
#include <string_view>

namespace hdap::parallel {

std::optional<int> environment_int(const char* name) {
    const char* text = std::getenv(name);
    if (text == nullptr) return std::nullopt;
    const std::string_view view(text);
    int value = 0;
    const auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), value);
    if (error != std::errc() || value < 1) return std::nullopt;
    return value;
}

} // namespace hdap::parallel
