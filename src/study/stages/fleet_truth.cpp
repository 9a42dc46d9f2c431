#include "fleet_truth.hpp"

#include "hdap/core/statistics.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

namespace hdap::study {
namespace {

constexpr std::size_t most_devices = 20'000;

/// At most `most` of them, evenly spread, in their order.
std::vector<std::int32_t> thinned(const std::vector<std::int32_t>& devices, std::size_t most) {
    const std::size_t count = std::min(most, devices.size());
    std::vector<std::int32_t> chosen;
    for (std::size_t i = 0; i < count; ++i)
        chosen.push_back(devices[i * devices.size() / count]);
    return chosen;
}

/// The devices that each cluster stands for.
std::vector<std::vector<std::int32_t>> devices_by_cluster(const fleet::Clustering& clustering) {
    std::vector<std::vector<std::int32_t>> devices(clustering.clusters());
    for (std::size_t i = 0; i < clustering.devices(); ++i)
        if (clustering.assigned_cluster[i] >= 0)
            devices[static_cast<std::size_t>(clustering.assigned_cluster[i])].push_back(
                static_cast<std::int32_t>(i));
    return devices;
}

} // namespace

FleetTruth::FleetTruth(const fleet::LatencySource& source, const fleet::Clustering& clustering,
                       const network::Genome& unpruned)
    : source_(source), devices_of_cluster_(devices_by_cluster(clustering)) {
    std::vector<std::int32_t> all(clustering.devices());
    std::iota(all.begin(), all.end(), 0);
    devices_ = thinned(all, most_devices);
    if (all.size() > most_devices)
        for (auto& devices : devices_of_cluster_)
            devices =
                thinned(devices, std::max<std::size_t>(1, most_devices / clustering.clusters()));
    known_ = device_latencies_ms(unpruned).has_value();
}

std::optional<std::vector<double>>
FleetTruth::device_latencies_ms(const network::Genome& genome) const {
    return source_.true_latencies_ms(genome, devices_);
}

double FleetTruth::mean_latency_ms(const network::Genome& genome) const {
    const auto latencies = device_latencies_ms(genome);
    return latencies ? core::mean(*latencies) : std::numeric_limits<double>::quiet_NaN();
}

std::optional<std::vector<double>>
FleetTruth::found_latencies_ms(const network::Genome& genome,
                               const std::vector<std::int32_t>& devices) const {
    return known_ ? source_.true_latencies_ms(genome, devices)
                  : source_.measured_latencies_ms(genome, devices);
}

std::optional<search::DeviceLatencies>
FleetTruth::found_latencies(const network::Genome& genome) const {
    auto latencies = found_latencies_ms(genome, devices_);
    if (!latencies) return std::nullopt;
    search::DeviceLatencies found{.device_ms = std::move(*latencies), .cluster_mean_ms = {}};
    for (const std::vector<std::int32_t>& devices : devices_of_cluster_) {
        const auto of_cluster = found_latencies_ms(genome, devices);
        if (!of_cluster) return std::nullopt;
        found.cluster_mean_ms.push_back(core::mean(*of_cluster));
    }
    return found;
}

} // namespace hdap::study
