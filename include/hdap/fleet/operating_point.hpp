#pragma once

#include "hdap/core/random.hpp"
#include "hdap/fleet/device_model.hpp"
#include "hdap/fleet/quantity.hpp"
#include "hdap/network/costs.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace hdap::fleet {

/// What one layer makes a device do, for a whole batch.
struct LayerWork {
    std::size_t kind = 0; ///< execution_kind
    double macs = 0.0;    ///< of channels rounded up to the model's padding
    double bytes = 0.0;   ///< moved to and from the memory, of such channels
};

/// What a network makes all devices of one SKU do: all of it that does not depend on the device.
struct NetworkWork {
    std::vector<LayerWork> layers;
    double macs = 0.0;  ///< sum over the layers
    double bytes = 0.0; ///< sum over the layers
};

/// The work of `layers` on devices of `model`. The weights' bytes are moved once for the batch.
/// Throws InternalError for a layer with negative numbers or no channels, or `batch` < 1.
/// Complexity: O(layers).
NetworkWork network_work(const DeviceModel& model, std::span<const network::LayerCosts> layers,
                         std::int64_t batch);

/// How a device runs a network.
struct OperatingPoint {
    double gpu_clock = 1.0;     ///< that heat and supply leave ÷ the condition's, at most 1
    double latency_ms = 0.0;    ///< of one inference, a batch
    double power_w = 0.0;       ///< of the whole device while it runs without a pause
    double temperature_c = 0.0; ///< of the place that the model limits

    /// That the whole device takes for one inference, whatever takes it.
    [[nodiscard]] double energy_mj() const noexcept { return power_w * latency_ms; }
};

/// Of a device that is as cool as its surroundings: what limits power acts within milliseconds,
/// heat does not. Per layer a roofline (Williams, Waterman and Patterson, "Roofline: an insightful
/// visual performance model", CACM 2009),
///     max(MACs ÷ (peak · f_gpu · efficiency), bytes ÷ bandwidth) + launch overhead,
/// all layers one after the other, at the highest clock at which
///     power = idle + leakage + clock_w · φ · v² + (v² · pJ_mac · MACs + pJ_byte · bytes) ÷ latency
/// is within what mode and supply give. φ: GPU clock ÷ the highest; v = v₀ + (1 − v₀) · φ, the
/// voltage, which falls with the clock, so that switching takes energy as V² (Horowitz,
/// "Computing's energy problem", ISSCC 2014). A device that takes too much even at its lowest clock
/// runs at it. `condition` must be in the ranges that check_condition names; throws DataError for a
/// power mode that the model lacks. Complexity: O(layers), ten to twenty times where power is
/// limited.
OperatingPoint cool_point(const DeviceModel& model, const DeviceCondition& condition,
                          const NetworkWork& work);

/// Of a device that runs the network without a pause until it gets no warmer: the same, and
///     temperature = ambient + thermal resistance · power
/// is within the model's limit, where leakage grows with temperature. The highest such clock is
/// unique, as power rises with the clock. Never faster than the cool point.
OperatingPoint sustained_point(const DeviceModel& model, const DeviceCondition& condition,
                               const NetworkWork& work);

/// What a device takes for one inference without noise, in the quantity's unit: at the cool point
/// the usual latency, at the sustained one all others.
double true_value(Quantity quantity, const DeviceModel& model, const DeviceCondition& condition,
                  const NetworkWork& work);

/// Latency of one inference at the cool point without noise, in ms.
double latency_ms(const DeviceModel& model, const DeviceCondition& condition,
                  const NetworkWork& work);

/// The same of layers. Throws as network_work and cool_point.
double latency_ms(const DeviceModel& model, const DeviceCondition& condition,
                  std::span<const network::LayerCosts> layers, std::int64_t batch);

/// latency_ms times median_run_noise of `condition.noise_sigma`. Throws as these.
double measured_latency_ms(const DeviceModel& model, const DeviceCondition& condition,
                           std::span<const network::LayerCosts> layers, std::int64_t batch,
                           int runs, core::RandomStream& random);

} // namespace hdap::fleet
