#include "baselines.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace hdap::fleet {
namespace {

/// Any device that has measured as many benchmarks as the most thorough one.
std::int32_t drawn_device(const Fleet& fleet, std::uint64_t seed) {
    const auto missing_of = [&](std::size_t device) {
        const auto row =
            std::span(fleet.latency_ms).subspan(device * fleet.benchmarks(), fleet.benchmarks());
        return std::ranges::count_if(row, [](double latency) { return std::isnan(latency); });
    };
    std::vector<std::int32_t> thorough;
    auto least = missing_of(0);
    for (std::size_t i = 0; i < fleet.devices(); ++i) {
        const auto missing = missing_of(i);
        if (missing < least) thorough.clear();
        least = std::min(least, missing);
        if (missing == least) thorough.push_back(static_cast<std::int32_t>(i));
    }
    core::RandomStream random(seed, core::StreamId::single_device);
    return thorough[random.below(thorough.size())];
}

} // namespace

Grouping group_as_whole(const GroupingTask& task) {
    Grouping grouping;
    grouping.group_of_device.assign(task.fleet.devices(), 0);
    grouping.groups = 1;
    return grouping;
}

Grouping group_for_single_device(const GroupingTask& task) {
    Grouping grouping = group_as_whole(task);
    grouping.representatives.push_back({drawn_device(task.fleet, task.parameters.seed)});
    return grouping;
}

Grouping group_per_device(const GroupingTask& task) {
    const std::size_t devices = task.fleet.devices();
    if (devices > most_groups)
        throw core::ConfigError(fmt::format(
            "clusters.method = \"per_device\" has every device measure every candidate, which is "
            "for at most {} devices; this fleet has {}, so choose \"covering\"",
            most_groups, devices));
    Grouping grouping;
    grouping.group_of_device.resize(devices);
    std::iota(grouping.group_of_device.begin(), grouping.group_of_device.end(), 0);
    grouping.groups = devices;
    return grouping;
}

} // namespace hdap::fleet
