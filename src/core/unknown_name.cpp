#include "hdap/core/unknown_name.hpp"

#include "hdap/core/text.hpp"

#include <fmt/core.h>

namespace hdap::core {

std::string unknown_name(std::string_view what, std::string_view name,
                         std::span<const std::string> known) {
    // Nobody means a very long name, and to look for the one nearest to it would take long.
    constexpr std::size_t longest = 64;
    const std::string shown = shortened(printable(name), longest);
    return fmt::format("unknown {} '{}'{}; known: {}", what, shown, did_you_mean(shown, known),
                       join(known));
}

} // namespace hdap::core
