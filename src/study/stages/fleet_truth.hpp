#pragma once

#include "hdap/fleet/fleet.hpp"
#include "hdap/fleet/latency_source.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace hdap::study {

/// The latencies of candidates on a fleet's devices as they truly are: what predictions are held
/// against. Known of simulated fleets only.
class FleetTruth {
  public:
    /// Of a large fleet, 20,000 evenly spread devices stand for all. `source` must stay where it
    /// is; `unpruned`: the network that it is asked about first.
    FleetTruth(const fleet::LatencySource& source, const fleet::Fleet& fleet,
               const network::Genome& unpruned);

    /// The devices that are looked at: indices into the fleet, ascending.
    [[nodiscard]] const std::vector<std::int32_t>& devices() const noexcept { return devices_; }

    /// Whether anybody knows them.
    [[nodiscard]] bool known() const noexcept { return known_; }

    /// Latency of a candidate on each of them, in ms; nothing where nobody knows it.
    [[nodiscard]] std::optional<std::vector<double>>
    device_latencies_ms(const network::Genome& genome) const;

    /// Their mean; not a number where nobody knows it.
    [[nodiscard]] double mean_latency_ms(const network::Genome& genome) const;

  private:
    const fleet::LatencySource& source_;
    std::vector<std::int32_t> devices_;
    bool known_ = false;
};

} // namespace hdap::study
