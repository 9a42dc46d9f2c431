#include "hdap/core/memory.hpp"

#include "hdap/core/error.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <fstream>

namespace hdap::core {
namespace {

constexpr std::size_t bytes_per_kib = 1024;

std::optional<std::size_t> memory_of_machine() {
    std::ifstream file("/proc/meminfo");
    std::string name;
    std::size_t kib = 0;
    for (std::string unit; file >> name >> kib; std::getline(file, unit))
        if (name == "MemAvailable:") return kib * bytes_per_kib;
    return std::nullopt;
}

/// Of the control group (version 2) that the process sees as its root.
std::optional<std::size_t> memory_of_group() {
    std::size_t most = 0;
    std::size_t used = 0;
    // "max" is no number.
    if (!(std::ifstream("/sys/fs/cgroup/memory.max") >> most) ||
        !(std::ifstream("/sys/fs/cgroup/memory.current") >> used))
        return std::nullopt;
    return most - std::min(most, used);
}

} // namespace

std::optional<std::size_t> available_memory() {
    const auto machine = memory_of_machine();
    const auto group = memory_of_group();
    if (machine && group) return std::min(*machine, *group);
    return machine ? machine : group;
}

std::string memory_text(std::size_t bytes) {
    const auto value = static_cast<double>(bytes);
    return value < 1e9 ? fmt::format("{:.0f} MB", value / 1e6)
                       : fmt::format("{:.1f} GB", value / 1e9);
}

void require_memory(std::size_t bytes, const std::string& what) {
    const auto available = available_memory();
    if (!available || bytes <= *available) return;
    throw InternalError(fmt::format("{} needs about {} of memory, and {} are free here; use a "
                                    "machine with more of it",
                                    what, memory_text(bytes), memory_text(*available)));
}

} // namespace hdap::core
