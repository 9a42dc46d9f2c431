#include "hdap/fleet/evenly_spaced.hpp"

#include <algorithm>

namespace hdap::fleet {

std::vector<std::size_t> evenly_spaced(std::size_t devices, std::size_t most) {
    const std::size_t count = std::min(devices, std::max(most, std::size_t{1}));
    std::vector<std::size_t> chosen(count);
    for (std::size_t i = 0; i < count; ++i)
        chosen[i] = i * devices / count;
    return chosen;
}

std::vector<std::int32_t> evenly_spaced(std::span<const std::int32_t> devices, std::size_t most) {
    std::vector<std::int32_t> chosen;
    for (const std::size_t i : evenly_spaced(devices.size(), most))
        chosen.push_back(devices[i]);
    return chosen;
}

} // namespace hdap::fleet
