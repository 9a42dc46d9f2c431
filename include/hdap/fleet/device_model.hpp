#pragma once

#include "hdap/network/costs.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace hdap::fleet {

/// Kinds of layers that a device executes differently: those of network::LayerKind, where copies go
/// with elementwise layers, as both are bound by memory.
inline constexpr std::size_t execution_kinds = 5;

/// The place of `kind` in arrays by kind of execution, below execution_kinds.
std::size_t execution_kind(network::LayerKind kind) noexcept;

/// A setting that a device's owner chooses (`nvpmodel` on a Jetson).
struct PowerMode {
    std::string name;
    double gpu_clock_factor = 1.0;    ///< GPU clock of this mode ÷ the highest GPU clock
    double memory_clock_factor = 1.0; ///< memory clock of this mode ÷ the highest memory clock
    double launch_factor = 1.0;       ///< launch overhead in this mode ÷ at the highest CPU clock
    double power_budget_w = 1e3;      ///< that the device may take in this mode
};

/// What a device takes from its supply, and how warm that makes it: fleet/operating_point.hpp has
/// the equations.
struct PowerModel {
    double idle_w = 0.0;                 ///< board and memory without work
    double leakage_w = 0.0;              ///< of the chip at 25 °C
    double leakage_per_k = 0.0;          ///< share by which leakage grows with each kelvin
    double clock_w = 0.0;                ///< GPU at work, beside its MACs, at its highest clock
    double pj_per_mac = 0.0;             ///< at the highest clock, with all movement on the chip
    double pj_per_byte = 0.0;            ///< of the memory
    double lowest_voltage = 1.0;         ///< towards clock 0 ÷ at the highest clock
    double lowest_clock = 1.0;           ///< to which heat or supply can take the GPU ÷ its clock
    double thermal_resistance_k_w = 0.0; ///< K of the limited place above ambient, per W
    double temperature_limit_c = 1e3;    ///< of that place: chip, or skin of a phone
};

/// What all units of one SKU have in common: the parameters of a roofline (Williams, Waterman and
/// Patterson, "Roofline: an insightful visual performance model", CACM 2009), one per layer.
struct DeviceModel {
    std::string sku;
    double peak_macs_per_s = 0.0;       ///< at the highest GPU clock, in the arithmetic used
    double bandwidth_gb_s = 0.0;        ///< of the memory at its highest clock, 10^9 bytes/s
    double launch_overhead_us = 0.0;    ///< per layer, at the highest CPU clock
    std::int64_t channel_padding = 1;   ///< channels are computed and moved in multiples of this
    std::int64_t bytes_per_element = 2; ///< fp16
    std::array<double, execution_kinds>
        efficiency{};                   ///< reached share of the peak, by execution_kind
    double bandwidth_efficiency = 1.0;  ///< reached share of the bandwidth
    std::vector<PowerMode> power_modes; ///< the first is the factory setting
    PowerModel power;
};

/// All that makes one unit differ from the others of its SKU.
struct DeviceCondition {
    double silicon = 1.0;          ///< GPU throughput of this chip ÷ a typical chip's
    std::int32_t power_mode = 0;   ///< index into DeviceModel::power_modes
    double gpu_clock_factor = 1.0; ///< GPU clock that it is set to, or never leaves ÷ the mode's
    double memory_clock_factor = 1.0; ///< memory clock ÷ the mode's
    double launch_factor = 1.0;       ///< launch overhead ÷ the mode's: a busy or slow CPU
    double background_load = 0.0;     ///< share of GPU and memory that other programs take
    std::int32_t driver_version = 0;  ///< a number for the report; its effect is the next field
    /// Efficiency of this unit's driver ÷ the model's, by execution_kind.
    std::array<double, execution_kinds> kind_efficiency{1.0, 1.0, 1.0, 1.0, 1.0};
    double ageing = 0.0;           ///< share of the GPU's throughput lost with age
    double noise_sigma = 0.01;     ///< standard deviation of log latency from run to run
    double cpu_clock_factor = 1.0; ///< CPU clock ÷ the mode's; a launch takes as much longer
    double power_factor = 1.0;     ///< power of this chip ÷ a typical one's at the same work
    double ambient_c = 25.0;       ///< where the device stands
    double cooling_factor = 1.0;   ///< thermal resistance ÷ the model's: dust, a case, a dead fan
    double supply_factor = 1.0;    ///< power that battery or supply can give ÷ the mode's budget
    std::int32_t region = 0;       ///< index into device_regions()
    std::int32_t firmware = 0;     ///< a number for the label
};

/// The names that device_model knows.
std::vector<std::string> device_presets();

/// The model of one of device_presets(). docs/simulated-devices.md has where its numbers are from.
/// Throws ConfigError for another name: lists the known ones.
DeviceModel device_model(const std::string& preset);

/// Throws DataError when a field of `condition` is not finite or out of its range. The message
/// begins with `where` and names field, value and range.
void check_condition(const DeviceCondition& condition, const std::string& where);

} // namespace hdap::fleet
