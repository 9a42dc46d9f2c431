#pragma once

#include "hdap/core/settings.hpp"
#include "hdap/fleet/device_model.hpp"
#include "hdap/fleet/fleet.hpp"
#include "hdap/fleet/quantity.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace hdap::fleet {

/// A driver that part of a fleet runs.
struct DriverVersion {
    const char* what; ///< what it does worse, for tables
    /// Efficiency ÷ that of the model, by execution_kind (convolution, depthwise, linear,
    /// pooling, elementwise). This is what makes a slowdown specific to the workload.
    std::array<double, execution_kinds> kind_efficiency{1.0, 1.0, 1.0, 1.0, 1.0};
};

/// The drivers that there are, the present one first.
std::span<const DriverVersion> driver_versions();

/// Where devices stand.
struct Region {
    const char* name;
    double share;       ///< of a fleet in the first power mode
    double steps;       ///< ambient above the fleet's, in SynthesisParameters::region_step_c
    double saves_power; ///< how much likelier devices in another power mode stand here
};

/// The regions of every synthetic fleet.
std::span<const Region> device_regions();

/// How the units of a synthetic fleet differ. The standard values follow what is seen on real
/// fleets of one SKU: a main mode of 1–2 %, a few distinct groups, a slow tail. A mixture
/// (fleet/mixtures.hpp) is a set of other values.
struct SynthesisParameters {
    std::int64_t devices = 2000;             ///< 1 … 100,000,000
    std::string preset = "jetson_xavier_nx"; ///< a name of device_presets()
    std::string mixture = "standard";        ///< of mixture_names(); apply_mixture sets its values
    std::uint64_t seed = 1;
    /// Share of the devices in each power mode of the model, in its order; modes beyond the list
    /// are unused. Sums to 1.
    std::vector<double> power_mode_shares{0.87, 0.13};
    /// Share of the devices with each of driver_versions(), in their order. Sums to 1.
    std::vector<double> driver_shares{0.90, 0.07, 0.03};
    double silicon_sigma = 0.012;      ///< of the log of a chip's throughput
    double efficiency_sigma = 0.004;   ///< of the log of each kind's efficiency, per unit
    double memory_sigma = 0.004;       ///< of the log of the memory clock
    double launch_sigma = 0.01;        ///< of the log of the launch overhead
    double throttled_share = 0.05;     ///< devices whose GPU never gets to its clock
    double throttling_mean = 0.10;     ///< mean loss of clock of these (exponential, at most 60 %)
    double capped_share = 0.02;        ///< devices whose GPU clock somebody capped
    double capped_clock_factor = 0.85; ///< their GPU clock ÷ their mode's
    double background_share = 0.03;    ///< devices with a background load
    double background_largest = 0.4;   ///< their load is uniform up to this share
    double ageing_mean = 0.002;        ///< mean loss of throughput with age (exponential)
    double noise_sigma = 0.005; ///< typical run-to-run noise; a unit's is 1/4 to 4 times that
    // Three groups, none of whose devices is in another one.
    double slow_memory_share = 0.0;   ///< devices with a slow memory clock
    double slow_memory_factor = 0.35; ///< theirs ÷ the mode's
    double slow_gpu_share = 0.0;      ///< devices with a slow GPU clock
    double slow_gpu_factor = 0.45;    ///< theirs ÷ the mode's
    double slow_cpu_share = 0.0;      ///< devices with a slow CPU, which launches layers
    double slow_cpu_factor = 0.2;     ///< its clock ÷ the mode's
    // What heat and supply depend on.
    double power_sigma = 0.03;        ///< of the log of a chip's power
    double cooling_sigma = 0.05;      ///< of the log of the thermal resistance
    double poor_cooling_share = 0.05; ///< devices in dust, in a case, with a dead fan
    double poor_cooling_factor = 1.8; ///< their thermal resistance ÷ the others'
    double weak_supply_share = 0.0;   ///< devices on a weak supply or an old battery
    double weak_supply_factor = 0.7;  ///< the power that it can give ÷ the mode's budget
    double ambient_c = 25.0;          ///< of the middle region
    double ambient_sigma_c = 2.0;     ///< from device to device in a region (normal)
    double region_step_c = 5.0;       ///< between neighbouring regions
};

/// Throws ConfigError when a parameter is out of its range: names it, its value and the range.
void check_synthesis(const DeviceModel& model, const SynthesisParameters& parameters);

/// The condition of unit `device`; `parameters` must pass check_synthesis. What heat and supply
/// depend on, the three slow groups and the labels are drawn from a stream of their own,
/// (device_condition, device, 1). A region goes with a power mode and a firmware with a driver:
/// each is drawn given the other. Complexity: O(1).
DeviceCondition synthesize_condition(const SynthesisParameters& parameters, std::size_t device);

/// The conditions as attributes of the devices: one per field that is a number or a ratio, and one
/// per kind of execution for kind_efficiency.
std::vector<DeviceAttribute> condition_attributes(std::span<const DeviceCondition> conditions);

/// What of the conditions has a name, as labels of the devices: region, firmware, power_mode.
std::vector<DeviceLabel> condition_labels(const DeviceModel& model,
                                          std::span<const DeviceCondition> conditions);

/// Draws the conditions of `parameters.devices` units. Device i draws from streams (seed,
/// StreamId::device_condition, i, …) and nothing else, so a fleet is a prefix of every larger fleet
/// with the same parameters, and a changed share leaves other traits as they were. Throws as
/// check_synthesis. Complexity: O(devices).
std::vector<DeviceCondition> synthesize_conditions(const DeviceModel& model,
                                                   const SynthesisParameters& parameters);

/// A benchmark network to be measured on a synthetic fleet.
struct BenchmarkNetwork {
    std::string name;
    network::Genome genome; ///< empty where it is not a pruned network
    std::vector<network::LayerCosts> layers;
    Quantity quantity = Quantity::latency; ///< what is measured of it, in ms
};

/// A synthetic fleet "sku-000000", "sku-000001", … with the median of `runs` noisy runs of every
/// benchmark at `batch` images. Device i draws the noise of benchmark b from
/// RandomStream(seed, StreamId::measurement_noise, i, b), b counted from first_noise_number of its
/// quantity: results do not depend on the number of
/// threads, and the fleet is a prefix of every larger one.
/// Latencies are those at cool_point, or at sustained_point where that is what a benchmark asks
/// for. Throws as check_synthesis, network_work and median_run_noise.
/// Complexity: O(devices · benchmarks · (layers + runs)), parallel over devices.
Fleet synthesize_fleet(const DeviceModel& model, const SynthesisParameters& parameters,
                       std::span<const BenchmarkNetwork> benchmarks, std::int64_t batch, int runs);

/// The settings of `parameters`, which must outlive them.
std::vector<core::Setting> settings_of(SynthesisParameters& parameters);

} // namespace hdap::fleet
