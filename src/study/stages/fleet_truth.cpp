#include "fleet_truth.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

namespace hdap::study {

FleetTruth::FleetTruth(const fleet::LatencySource& source, const fleet::Fleet& fleet,
                       const network::Genome& unpruned)
    : source_(source) {
    constexpr std::size_t most = 20'000;
    const std::size_t count = std::min(most, fleet.devices());
    for (std::size_t i = 0; i < count; ++i)
        devices_.push_back(static_cast<std::int32_t>(i * fleet.devices() / count));
    known_ = device_latencies_ms(unpruned).has_value();
}

std::optional<std::vector<double>>
FleetTruth::device_latencies_ms(const network::Genome& genome) const {
    return source_.true_latencies_ms(genome, devices_);
}

double FleetTruth::mean_latency_ms(const network::Genome& genome) const {
    const auto latencies = device_latencies_ms(genome);
    if (!latencies) return std::numeric_limits<double>::quiet_NaN();
    return std::accumulate(latencies->begin(), latencies->end(), 0.0) /
           static_cast<double>(latencies->size());
}

} // namespace hdap::study
