#include "membership.hpp"

#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

namespace hdap::fleet {

std::vector<std::int32_t> assigned_to_nearest(PointView signatures,
                                              std::vector<std::int32_t> group_of_device) {
    std::vector<std::size_t> grouped;
    std::vector<double> coordinates;
    for (std::size_t i = 0; i < signatures.size(); ++i) {
        if (group_of_device[i] < 0) continue;
        grouped.push_back(i);
        coordinates.insert(coordinates.end(), signatures[i], signatures[i] + signatures.dimension);
    }
    if (grouped.size() == signatures.size()) return group_of_device;
    const NeighbourIndex index({coordinates, signatures.dimension});
    constexpr double anywhere = std::numeric_limits<double>::infinity();
    std::vector<std::int32_t> assigned = group_of_device;
#pragma omp parallel for schedule(dynamic, 64)
    for (std::size_t i = 0; i < signatures.size(); ++i)
        if (group_of_device[i] < 0)
            assigned[i] = group_of_device[grouped[index.nearest(signatures[i], anywhere)]];
    return assigned;
}

std::vector<double>
ratios_to_representatives(std::span<const double> mean_log, std::span<const std::int32_t> assigned,
                          const std::vector<std::vector<std::int32_t>>& representatives) {
    std::vector<double> reference;
    for (const auto& devices : representatives) {
        double sum = 0.0;
        for (const std::int32_t device : devices)
            sum += mean_log[static_cast<std::size_t>(device)];
        reference.push_back(sum / static_cast<double>(devices.size()));
    }
    std::vector<double> ratio(mean_log.size(), 0.0);
    for (std::size_t i = 0; i < ratio.size(); ++i)
        if (assigned[i] >= 0)
            ratio[i] = std::exp(mean_log[i] - reference[static_cast<std::size_t>(assigned[i])]);
    return ratio;
}

} // namespace hdap::fleet
