#pragma once

#include "hdap/fleet/clustering.hpp"
#include "hdap/fleet/latency_source.hpp"
#include "hdap/search/metrics.hpp"
#include "verification_file.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace hdap::study {

/// Who found out what networks take on devices, rather than predict it.
enum class FoundBy {
    model,        ///< of a simulated fleet, which knows it without noise
    table,        ///< of a recorded fleet: of some networks
    verification, ///< `hdap fleet verify`: of those that the study ended with
    nobody,
};

/// The latencies of candidates on a fleet's devices: what predictions are held against.
class FleetTruth {
  public:
    /// Of a large simulated fleet, 20,000 evenly spread devices stand for all, and for each cluster
    /// as many of its own as make 20,000 of all clusters together. `source` must stay where it is;
    /// `unpruned`: the network that it is asked about first; `quantities`: those of the study;
    /// `verified`: without networks where nobody verified the study.
    FleetTruth(const fleet::LatencySource& source, const fleet::Clustering& clustering,
               const network::Genome& unpruned, std::vector<fleet::Quantity> quantities,
               const Verification& verified = {});

    [[nodiscard]] FoundBy found_by() const noexcept { return found_by_; }

    /// The devices that are looked at: indices into the fleet, ascending. Those of a verification
    /// have measured all that it found.
    [[nodiscard]] const std::vector<std::int32_t>& devices() const noexcept { return devices_; }

    /// Whether the fleet is a simulated one, and all true latencies are known.
    [[nodiscard]] bool known() const noexcept { return found_by_ == FoundBy::model; }

    /// Latency of a candidate on each of them, in ms; nothing where nobody found it.
    [[nodiscard]] std::optional<std::vector<double>>
    device_latencies_ms(const network::Genome& genome) const;

    /// Their mean; not a number where nobody found it.
    [[nodiscard]] double mean_latency_ms(const network::Genome& genome) const;

    /// The mean over them of a quantity beside the usual latency; not a number where nobody found
    /// it.
    [[nodiscard]] double mean_of(fleet::Quantity quantity, const network::Genome& genome) const;

    /// What a candidate takes on the devices, of the study's quantities; nothing where nobody found
    /// it. The mean of a cluster none of whose devices is looked at is not a number. Complexity:
    /// O(layers) for each device that is looked at, at most 40,000 of them.
    [[nodiscard]] std::optional<search::DeviceLatencies>
    found_latencies(const network::Genome& genome) const;

  private:
    void look_at(const Verification& comparable);
    [[nodiscard]] std::optional<std::size_t> verified_network(const network::Genome& genome) const;
    [[nodiscard]] std::optional<std::vector<double>>
    latencies_ms(const network::Genome& genome, const std::vector<std::int32_t>& devices) const;

    const fleet::LatencySource& source_;
    std::vector<fleet::Quantity> quantities_;
    FoundBy found_by_ = FoundBy::nobody;
    Verification verified_; ///< where it counts: its comparable part
    std::vector<std::int32_t> devices_;
    std::vector<std::vector<std::int32_t>> devices_of_cluster_; ///< that are looked at
};

} // namespace hdap::study
