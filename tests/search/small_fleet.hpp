#pragma once

#include "hdap/fleet/distribution.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hdap::search::testing {

/// A fleet of devices that are known one by one: `ratios`, [cluster][device], ascending in each
/// cluster. All devices count alike.
inline fleet::FleetDistribution fleet_of(const std::vector<std::vector<double>>& ratios) {
    fleet::FleetDistribution fleet;
    fleet.first_bin = {0};
    std::size_t devices = 0;
    for (const auto& cluster : ratios)
        devices += cluster.size();
    for (const auto& cluster : ratios) {
        const auto count = static_cast<double>(cluster.size());
        double sum = 0;
        for (std::size_t i = 0; i < cluster.size(); ++i) {
            sum += cluster[i];
            fleet.bin_ratio.push_back(cluster[i]);
            fleet.bin_devices.push_back(static_cast<std::int64_t>(i) + 1);
        }
        fleet.first_bin.push_back(fleet.bin_ratio.size());
        fleet.cluster_weight.push_back(count / static_cast<double>(devices));
        std::vector<double> alone(ratios.size(), 0.0);
        alone[fleet.part_weight.size()] = 1.0;
        for (const double share : alone) {
            fleet.part_blend.push_back(share);
            fleet.cluster_blend.push_back(share * (sum / count));
        }
        fleet.part_cluster.push_back(static_cast<std::int32_t>(fleet.part_weight.size()));
        fleet.part_weight.push_back(fleet.cluster_weight.back());
    }
    return fleet;
}

/// Two clusters of 11 and 12 devices, so that no quantile of whole per cents falls between two.
inline fleet::FleetDistribution small_fleet() {
    return fleet_of({{0.8, 0.85, 0.9, 0.95, 0.98, 1, 1.01, 1.03, 1.1, 1.2, 1.5},
                     {0.9, 0.92, 0.95, 0.97, 0.99, 1, 1.02, 1.05, 1.07, 1.15, 1.3, 2}});
}

} // namespace hdap::search::testing
