#pragma once

#include "hdap/fleet/clustering.hpp"
#include "hdap/fleet/latency_source.hpp"
#include "hdap/search/metrics.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace hdap::study {

/// The latencies of candidates on a fleet's devices: what predictions are held against. As they
/// truly are where the fleet is simulated; of a recorded fleet as they were measured, where they
/// were.
class FleetTruth {
  public:
    /// Of a large fleet, 20,000 evenly spread devices stand for all, and for each cluster as many
    /// of its own as make 20,000 of all clusters together. `source` must stay where it is;
    /// `unpruned`: the network that it is asked about first.
    FleetTruth(const fleet::LatencySource& source, const fleet::Clustering& clustering,
               const network::Genome& unpruned);

    /// The devices that are looked at: indices into the fleet, ascending.
    [[nodiscard]] const std::vector<std::int32_t>& devices() const noexcept { return devices_; }

    /// Whether the fleet is a simulated one, and all true latencies are known.
    [[nodiscard]] bool known() const noexcept { return known_; }

    /// True latency of a candidate on each of them, in ms; nothing where nobody knows it.
    [[nodiscard]] std::optional<std::vector<double>>
    device_latencies_ms(const network::Genome& genome) const;

    /// Their mean; not a number where nobody knows it.
    [[nodiscard]] double mean_latency_ms(const network::Genome& genome) const;

    /// What a candidate takes on the devices, truly or as it was measured; nothing where neither is
    /// known. Complexity: O(layers) for each device that is looked at, at most 40,000 of them.
    [[nodiscard]] std::optional<search::DeviceLatencies>
    found_latencies(const network::Genome& genome) const;

  private:
    [[nodiscard]] std::optional<std::vector<double>>
    found_latencies_ms(const network::Genome& genome,
                       const std::vector<std::int32_t>& devices) const;

    const fleet::LatencySource& source_;
    std::vector<std::int32_t> devices_;
    std::vector<std::vector<std::int32_t>> devices_of_cluster_; ///< that are looked at
    bool known_ = false;
};

} // namespace hdap::study
