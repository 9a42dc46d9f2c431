#pragma once

#include "hdap/core/random.hpp"
#include "hdap/network/costs.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
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
};

/// All that makes one unit differ from the others of its SKU.
struct DeviceCondition {
    double silicon = 1.0;             ///< GPU throughput of this chip ÷ a typical chip's
    std::int32_t power_mode = 0;      ///< index into DeviceModel::power_modes
    double gpu_clock_factor = 1.0;    ///< sustained GPU clock ÷ the mode's: heat, weak supply
    double memory_clock_factor = 1.0; ///< sustained memory clock ÷ the mode's
    double launch_factor = 1.0;       ///< launch overhead ÷ the mode's: a busy or slow CPU
    double background_load = 0.0;     ///< share of GPU and memory that other programs take
    std::int32_t driver_version = 0;  ///< a number for the report; its effect is the next field
    /// Efficiency of this unit's driver ÷ the model's, by execution_kind.
    std::array<double, execution_kinds> kind_efficiency{1.0, 1.0, 1.0, 1.0, 1.0};
    double ageing = 0.0;       ///< share of the GPU's throughput lost with age
    double noise_sigma = 0.01; ///< standard deviation of log latency from run to run
};

/// The names that device_model knows.
std::vector<std::string> device_presets();

/// The model of "jetson_xavier_nx" or "jetson_nano". Clocks and bandwidths are NVIDIA's published
/// ones; efficiencies and overheads are set so that ResNet50 takes about as long as published
/// TensorRT fp16 runs.
/// Throws ConfigError for another name: lists the known ones.
DeviceModel device_model(const std::string& preset);

/// Latency of one inference without noise, in ms. Per layer
///     max(MACs ÷ (peak · f_gpu · efficiency), bytes ÷ bandwidth) + launch overhead · launch factor
/// with MACs and bytes counted for channels rounded up to `channel_padding`, times `batch` (except
/// for the weights' bytes). All layers run one after the other.
/// `condition` must be in the ranges that check_condition names; throws DataError for a power mode
/// that the model lacks, InternalError for a layer with negative numbers or no channels, or
/// `batch` < 1. Complexity: O(layers).
double latency_ms(const DeviceModel& model, const DeviceCondition& condition,
                  std::span<const network::LayerCosts> layers, std::int64_t batch);

/// The median of `runs` ≥ 1 noisy runs, in ms: each is latency_ms times a log-normal factor of
/// `condition.noise_sigma`; one in a hundred is an outlier, slower by a further 20 % on average.
/// Draws a fixed number of values per run from `random`.
/// Throws as latency_ms, and InternalError for `runs` < 1.
double measured_latency_ms(const DeviceModel& model, const DeviceCondition& condition,
                           std::span<const network::LayerCosts> layers, std::int64_t batch,
                           int runs, core::RandomStream& random);

/// Throws DataError when a field of `condition` is not finite or out of its range. The message
/// begins with `where` and names field, value and range.
void check_condition(const DeviceCondition& condition, const std::string& where);

} // namespace hdap::fleet
