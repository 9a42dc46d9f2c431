#include "number_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace hdap::report {

std::string fixed(double value, int decimals) {
    if (!std::isfinite(value)) return "–";
    // The largest double has 309 digits before the point.
    std::array<char, 352> buffer{};
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                   std::chars_format::fixed, std::clamp(decimals, 0, 20))
                         .ptr;
    std::string text(buffer.data(), end);
    if (text.front() == '-' && text.find_first_not_of("-0.") == std::string::npos) text.erase(0, 1);
    return text;
}

int decimals_for(double largest) {
    if (largest >= 1000.0) return 0;
    if (largest >= 100.0) return 1;
    return largest >= 10.0 ? 2 : 3;
}

} // namespace hdap::report
