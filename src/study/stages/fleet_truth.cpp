#include "fleet_truth.hpp"

#include "hdap/core/statistics.hpp"
#include "hdap/fleet/evenly_spaced.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

namespace hdap::study {
namespace {

constexpr std::size_t most_devices = 20'000;

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
                       const network::Genome& unpruned, std::vector<fleet::Quantity> quantities,
                       const Verification& verified)
    : source_(source), quantities_(std::move(quantities)),
      devices_of_cluster_(devices_by_cluster(clustering)) {
    std::vector<std::int32_t> all(clustering.devices());
    std::iota(all.begin(), all.end(), 0);
    devices_ = fleet::evenly_spaced(all, most_devices);
    if (all.size() > most_devices)
        for (auto& devices : devices_of_cluster_)
            devices = fleet::evenly_spaced(devices, most_devices / clustering.clusters());
    if (source.true_values(fleet::Quantity::latency, unpruned, devices_))
        found_by_ = FoundBy::model;
    else if (source.measured_latencies_ms(unpruned, devices_))
        found_by_ = FoundBy::table;
    else if (!verified.genomes.empty())
        look_at(comparable_part(verified));
}

void FleetTruth::look_at(const Verification& comparable) {
    if (comparable.genomes.empty()) return;
    found_by_ = FoundBy::verification;
    verified_ = comparable;
    devices_ = comparable.devices;
    for (auto& devices : devices_of_cluster_)
        std::erase_if(devices, [&](std::int32_t device) {
            return !std::ranges::binary_search(devices_, device);
        });
}

/// Its place among those that were verified.
std::optional<std::size_t> FleetTruth::verified_network(const network::Genome& genome) const {
    const auto found = std::ranges::find(verified_.genomes, genome);
    if (found == verified_.genomes.end()) return std::nullopt;
    return static_cast<std::size_t>(found - verified_.genomes.begin());
}

std::optional<std::vector<double>>
FleetTruth::latencies_ms(const network::Genome& genome,
                         const std::vector<std::int32_t>& devices) const {
    if (found_by_ == FoundBy::model)
        return source_.true_values(fleet::Quantity::latency, genome, devices);
    if (found_by_ == FoundBy::table) return source_.measured_latencies_ms(genome, devices);
    const auto network = verified_network(genome);
    if (!network) return std::nullopt;
    std::vector<double> latencies;
    for (const std::int32_t device : devices) {
        const auto at = std::ranges::lower_bound(devices_, device) - devices_.begin();
        latencies.push_back(verified_.latency_ms(*network, static_cast<std::size_t>(at)));
    }
    return latencies;
}

std::optional<std::vector<double>>
FleetTruth::device_latencies_ms(const network::Genome& genome) const {
    return latencies_ms(genome, devices_);
}

double FleetTruth::mean_latency_ms(const network::Genome& genome) const {
    const auto latencies = device_latencies_ms(genome);
    return latencies ? core::mean(*latencies) : std::numeric_limits<double>::quiet_NaN();
}

double FleetTruth::mean_of(fleet::Quantity quantity, const network::Genome& genome) const {
    if (found_by_ == FoundBy::model) {
        const auto values = source_.true_values(quantity, genome, devices_);
        return values ? core::mean(*values) : std::numeric_limits<double>::quiet_NaN();
    }
    const auto network = verified_network(genome);
    const auto verified = verified_.others.find(quantity);
    if (!network || verified == verified_.others.end())
        return std::numeric_limits<double>::quiet_NaN();
    const auto first =
        verified->second.begin() + static_cast<std::ptrdiff_t>(*network * devices_.size());
    return core::mean({first, first + std::ssize(devices_)});
}

std::optional<search::DeviceLatencies>
FleetTruth::found_latencies(const network::Genome& genome) const {
    auto latencies = device_latencies_ms(genome);
    if (!latencies) return std::nullopt;
    search::DeviceLatencies found{.device_ms = std::move(*latencies), .cluster_mean_ms = {}};
    for (const fleet::Quantity quantity : quantities_)
        if (quantity != fleet::Quantity::latency)
            found.other_means[quantity] = mean_of(quantity, genome);
    for (const std::vector<std::int32_t>& devices : devices_of_cluster_) {
        const auto of_cluster = latencies_ms(genome, devices);
        if (!of_cluster) return std::nullopt;
        found.cluster_mean_ms.push_back(core::mean(*of_cluster));
    }
    return found;
}

} // namespace hdap::study
