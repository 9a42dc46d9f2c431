#include "representatives.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

namespace hdap::fleet {

std::vector<std::vector<std::int32_t>> members_of(std::span<const std::int32_t> group_of_device,
                                                  std::size_t groups) {
    std::vector<std::vector<std::int32_t>> members(groups);
    for (std::size_t i = 0; i < group_of_device.size(); ++i)
        if (group_of_device[i] >= 0)
            members[static_cast<std::size_t>(group_of_device[i])].push_back(
                static_cast<std::int32_t>(i));
    return members;
}

std::vector<std::size_t> measured_benchmarks(const Fleet& fleet) {
    std::vector<std::size_t> measured(fleet.devices(), 0);
    for (std::size_t i = 0; i < fleet.latency_ms.size(); ++i)
        if (!std::isnan(fleet.latency_ms[i])) ++measured[i / fleet.benchmarks()];
    return measured;
}

std::vector<std::int32_t> well_measured(std::span<const std::int32_t> devices,
                                        const std::vector<std::size_t>& measured,
                                        std::size_t wanted) {
    constexpr std::size_t part = 4;
    const std::size_t count =
        std::min(devices.size(), std::max(wanted, (devices.size() + part - 1) / part));
    std::vector<std::size_t> counts;
    for (const std::int32_t device : devices)
        counts.push_back(measured[static_cast<std::size_t>(device)]);
    const auto last = counts.begin() + static_cast<std::ptrdiff_t>(count - 1);
    std::nth_element(counts.begin(), last, counts.end(), std::greater<>());
    std::vector<std::int32_t> chosen;
    for (const std::int32_t device : devices)
        if (measured[static_cast<std::size_t>(device)] >= *last) chosen.push_back(device);
    return chosen;
}

std::vector<double> centre_of(PointView signatures, std::span<const std::int32_t> devices) {
    std::vector<double> centre(signatures.dimension, 0.0);
    for (const std::int32_t device : devices)
        for (std::size_t d = 0; d < centre.size(); ++d)
            centre[d] += signatures[static_cast<std::size_t>(device)][d];
    for (double& coordinate : centre)
        coordinate /= static_cast<double>(devices.size());
    return centre;
}

std::vector<std::int32_t> nearest_to(const double* centre, PointView signatures,
                                     std::span<const std::int32_t> candidates, std::size_t wanted) {
    std::vector<std::pair<double, std::int32_t>> ranked;
    ranked.reserve(candidates.size());
    for (const std::int32_t device : candidates)
        ranked.emplace_back(squared_distance(signatures[static_cast<std::size_t>(device)], centre,
                                             signatures.dimension),
                            device);
    const std::size_t count = std::min(wanted, candidates.size());
    std::partial_sort(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(count),
                      ranked.end());
    std::vector<std::int32_t> nearest;
    for (std::size_t i = 0; i < count; ++i)
        nearest.push_back(ranked[i].second);
    return nearest;
}

std::vector<std::vector<std::int32_t>>
central_devices(const Fleet& fleet, PointView signatures,
                std::span<const std::int32_t> group_of_device, std::size_t groups,
                std::size_t wanted) {
    const std::vector<std::size_t> measured = measured_benchmarks(fleet);
    std::vector<std::vector<std::int32_t>> central;
    for (const auto& devices : members_of(group_of_device, groups))
        central.push_back(nearest_to(centre_of(signatures, devices).data(), signatures,
                                     well_measured(devices, measured, wanted), wanted));
    return central;
}

std::vector<double>
representative_latencies(std::span<const double> latency_ms, std::size_t benchmarks,
                         const std::vector<std::vector<std::int32_t>>& representatives) {
    std::vector<double> reference;
    for (const auto& devices : representatives)
        for (std::size_t b = 0; b < benchmarks; ++b) {
            double sum = 0.0;
            for (const std::int32_t device : devices)
                sum += std::log(latency_ms[static_cast<std::size_t>(device) * benchmarks + b]);
            reference.push_back(std::exp(sum / static_cast<double>(devices.size())));
        }
    return reference;
}

} // namespace hdap::fleet
