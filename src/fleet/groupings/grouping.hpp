#pragma once

#include "hdap/fleet/clustering.hpp"
#include "hdap/fleet/neighbours.hpp"
#include "hdap/fleet/signatures.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hdap::fleet {

/// A fleet whose devices are to be grouped.
struct GroupingTask {
    const Fleet& fleet; ///< may be a part of one, where some benchmarks were not measured at all
    std::span<const double>
        complete_ms; ///< [device][benchmark] its latencies, estimates among them
    SignatureMetric metric;
    PointView signatures; ///< of complete_ms, by `metric`
    const ClusteringParameters& parameters;
    FindDense dbscan = {}; ///< nothing: fleet::dbscan
};

/// Representatives of each group measure every candidate: more groups are of no use.
inline constexpr std::size_t most_groups = 1'000;

/// Devices in groups.
struct Grouping {
    std::vector<std::int32_t> group_of_device; ///< −1: in none
    std::size_t groups = 0;                    ///< none is empty
    /// [device] the group that is nearest to it; empty: that of the nearest device in one.
    std::vector<std::int32_t> nearest_group;
    /// [group] who is measured on its behalf; empty: the devices at its centre.
    std::vector<std::vector<std::int32_t>> representatives;
    GroupingFacts facts;
    /// [group] which cluster of the fleet as it was it is, −1: none; empty: there was no other.
    std::vector<std::int32_t> former;
    /// [group] what its representatives take now ÷ what its latencies are told at; empty: 1.
    std::vector<double> level;
};

/// Leaves groups without devices out and numbers the others by descending size, equal ones in
/// their order. `nearest_group` may name those that are left only; `representatives` are needed.
void number_by_size(Grouping& grouping);

using GroupDevices = Grouping (*)(const GroupingTask& task);

/// A way to group devices.
struct GroupingMethod {
    std::string_view name;
    std::string_view comment;
    GroupDevices group;
    SignatureMetric metric; ///< where none is asked for
};

/// Throws ConfigError for an unknown name: lists the known ones.
const GroupingMethod& grouping_method(const std::string& name);

/// "covering: …; dbscan: …", for the settings.
std::string grouping_methods_text();

} // namespace hdap::fleet
