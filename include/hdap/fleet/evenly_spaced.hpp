#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace hdap::fleet {

/// At most `most` of `devices` devices, but one of them where there is one, evenly spaced, in their
/// order. Complexity: O(most).
std::vector<std::size_t> evenly_spaced(std::size_t devices, std::size_t most);

/// The same of devices by their numbers.
std::vector<std::int32_t> evenly_spaced(std::span<const std::int32_t> devices, std::size_t most);

} // namespace hdap::fleet
