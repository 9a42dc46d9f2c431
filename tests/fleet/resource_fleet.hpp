#pragma once

#include "hdap/core/random.hpp"
#include "hdap/fleet/fleet.hpp"

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace hdap::fleet::testing {

/// What a device takes longer for than a typical one: arithmetic, memory, starting layers.
using Slowdown = std::array<double, 3>;

/// Devices of one kind.
struct DeviceKind {
    double share; ///< of the fleet
    Slowdown slowdown;
};

/// A fleet whose devices are drawn from `kinds`: networks need the three resources in different
/// shares, so that a device that is slow in one differs in shape. Device i is the same in every
/// fleet of more devices.
class ResourceFleet {
  public:
    ResourceFleet(std::vector<DeviceKind> kinds, double noise_sigma, std::uint64_t seed = 1)
        : kinds_(std::move(kinds)), noise_sigma_(noise_sigma), seed_(seed) {}

    /// A network's needs in ms, each resource with a share of 10 % to 80 %.
    [[nodiscard]] static Slowdown needs_of(std::uint32_t network) {
        core::RandomStream random(7, core::StreamId::testing, network);
        Slowdown needs{};
        double sum = 0.0;
        for (double& need : needs)
            sum += need = 0.15 + random.uniform();
        for (double& need : needs)
            need *= (5.0 + 10.0 * random.uniform()) / sum;
        return needs;
    }

    [[nodiscard]] std::size_t kind_of(std::size_t device) const {
        core::RandomStream random(seed_, core::StreamId::testing, number(device), 1);
        double left = random.uniform();
        for (std::size_t kind = 0; kind + 1 < kinds_.size(); ++kind)
            if ((left -= kinds_[kind].share) < 0.0) return kind;
        return kinds_.size() - 1;
    }

    /// Without noise from run to run, but each device with an overall speed and a scatter of 0.3 %
    /// in each resource.
    [[nodiscard]] double true_latency_ms(std::size_t device, std::uint32_t network) const {
        core::RandomStream random(seed_, core::StreamId::testing, number(device), 2);
        const Slowdown& slowdown = kinds_[kind_of(device)].slowdown;
        const Slowdown needs = needs_of(network);
        const double overall = std::exp(0.05 * random.normal());
        double latency = 0.0;
        for (std::size_t r = 0; r < needs.size(); ++r)
            latency += needs[r] * slowdown[r] * std::exp(0.003 * random.normal());
        return overall * latency;
    }

    [[nodiscard]] Fleet fleet(std::size_t devices, std::uint32_t benchmarks) const {
        Fleet fleet;
        fleet.sku = "board";
        for (std::uint32_t b = 0; b < benchmarks; ++b)
            fleet.benchmark_names.push_back("benchmark-" + std::to_string(b));
        for (std::size_t i = 0; i < devices; ++i) {
            fleet.device_ids.push_back("device-" + std::to_string(i));
            for (std::uint32_t b = 0; b < benchmarks; ++b) {
                core::RandomStream random(seed_, core::StreamId::testing, number(i), 100 + b);
                fleet.latency_ms.push_back(true_latency_ms(i, b) *
                                           std::exp(noise_sigma_ * random.normal()));
            }
        }
        return fleet;
    }

  private:
    static std::uint32_t number(std::size_t device) { return static_cast<std::uint32_t>(device); }

    std::vector<DeviceKind> kinds_;
    double noise_sigma_;
    std::uint64_t seed_;
};

/// Half are as labelled; others have a slow memory, a slow processor or slow starts.
inline std::vector<DeviceKind> hostile_kinds() {
    return {{0.5, {1.0, 1.0, 1.0}},
            {0.2, {1.0, 1.0 / 0.35, 1.0}},
            {0.2, {1.0 / 0.45, 1.0, 1.0}},
            {0.1, {1.0, 1.0, 5.0}}};
}

} // namespace hdap::fleet::testing
