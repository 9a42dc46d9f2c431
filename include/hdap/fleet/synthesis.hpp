#pragma once

#include "hdap/core/settings.hpp"
#include "hdap/fleet/device_model.hpp"
#include "hdap/fleet/fleet.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace hdap::fleet {

/// One driver version that part of the fleet runs.
struct DriverVersion {
    double share = 0.0; ///< of the fleet's devices
    /// Efficiency ÷ that of the model, by execution_kind (convolution, depthwise, linear,
    /// pooling, elementwise). This is what makes a slowdown specific to the workload.
    std::array<double, execution_kinds> kind_efficiency{1.0, 1.0, 1.0, 1.0, 1.0};
};

/// How the units of a synthetic fleet differ. The standard values follow what is seen on real
/// fleets of one SKU: a main mode of 1–2 %, a few distinct groups, a slow tail.
struct SynthesisParameters {
    std::int64_t devices = 2000;             ///< 1 … 100,000,000
    std::string preset = "jetson_xavier_nx"; ///< a name of device_presets()
    std::uint64_t seed = 1;
    /// Share of the devices in each power mode of the model, in its order; modes beyond the list
    /// are unused. Sums to 1.
    std::vector<double> power_mode_shares{0.87, 0.13};
    /// Shares sum to 1.
    std::vector<DriverVersion> drivers{{0.90, {1.0, 1.0, 1.0, 1.0, 1.0}},
                                       {0.07, {0.85, 0.60, 0.85, 1.0, 1.0}},
                                       {0.03, {1.10, 0.85, 0.70, 1.0, 1.0}}};
    double silicon_sigma = 0.012;      ///< of the log of a chip's throughput
    double efficiency_sigma = 0.004;   ///< of the log of each kind's efficiency, per unit
    double memory_sigma = 0.004;       ///< of the log of the memory clock
    double launch_sigma = 0.01;        ///< of the log of the launch overhead
    double throttled_share = 0.05;     ///< devices too hot for their GPU clock
    double throttling_mean = 0.10;     ///< mean loss of clock of these (exponential, at most 60 %)
    double capped_share = 0.02;        ///< devices on a weak battery or supply
    double capped_clock_factor = 0.85; ///< their sustained GPU clock ÷ their mode's
    double background_share = 0.03;    ///< devices with a background load
    double background_largest = 0.4;   ///< their load is uniform up to this share
    double ageing_mean = 0.002;        ///< mean loss of throughput with age (exponential)
    double noise_sigma = 0.005; ///< typical run-to-run noise; a unit's is 1/4 to 4 times that
};

/// Throws ConfigError when a parameter is out of its range: names it, its value and the range.
void check_synthesis(const DeviceModel& model, const SynthesisParameters& parameters);

/// The condition of unit `device`; `parameters` must pass check_synthesis. Complexity: O(1).
DeviceCondition synthesize_condition(const SynthesisParameters& parameters, std::size_t device);

/// The conditions as attributes of the devices: one per field, and one per kind of execution for
/// kind_efficiency.
std::vector<DeviceAttribute> condition_attributes(std::span<const DeviceCondition> conditions);

/// Draws the conditions of `parameters.devices` units. Device i draws from
/// RandomStream(seed, StreamId::device_condition, i) and nothing else, so a fleet is a prefix of
/// every larger fleet with the same parameters, and a changed share leaves other traits as they
/// were. Throws as check_synthesis. Complexity: O(devices).
std::vector<DeviceCondition> synthesize_conditions(const DeviceModel& model,
                                                   const SynthesisParameters& parameters);

/// A benchmark network to be measured on a synthetic fleet.
struct BenchmarkNetwork {
    std::string name;
    network::Genome genome; ///< empty where it is not a pruned network
    std::vector<network::LayerCosts> layers;
};

/// A synthetic fleet "sku-000000", "sku-000001", … with the median of `runs` noisy runs of every
/// benchmark at `batch` images. Device i draws the noise of benchmark b from
/// RandomStream(seed, StreamId::measurement_noise, i, b): results do not depend on the number of
/// threads, and the fleet is a prefix of every larger one.
/// Throws as check_synthesis and measured_latency_ms.
/// Complexity: O(devices · benchmarks · (layers + runs)), parallel over devices.
Fleet synthesize_fleet(const DeviceModel& model, const SynthesisParameters& parameters,
                       std::span<const BenchmarkNetwork> benchmarks, std::int64_t batch, int runs);

/// The settings of `parameters`, which must outlive them.
std::vector<core::Setting> settings_of(SynthesisParameters& parameters);

} // namespace hdap::fleet
