#include "hdap/fleet/operating_point.hpp"

#include "hdap/core/error.hpp"
#include "hdap/fleet/run_noise.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace hdap::fleet {

namespace {

/// Leakage is stated at this temperature.
constexpr double leakage_reference_c = 25.0;

/// Relative to the clock and to the power: what is left when a clock counts as found.
constexpr double clock_tolerance = 1e-13;
constexpr int most_clock_steps = 100;

void check_layer(const network::LayerCosts& layer) {
    if (layer.macs < 0 || layer.parameters < 0 || layer.input_elements < 0 ||
        layer.output_elements < 0 || layer.input_channels < 1 || layer.output_channels < 1)
        throw core::InternalError(fmt::format(
            "costs of layer '{}' out of range: macs {}, channels {} to {}, elements {}, {}, {}",
            layer.name, layer.macs, layer.input_channels, layer.output_channels, layer.parameters,
            layer.input_elements, layer.output_elements));
}

/// Channels as the device counts them. An amount is divided by the true channels before it is
/// multiplied by these, so that all channel counts of one padding step cost exactly the same.
double padded(std::int64_t channels, std::int64_t multiple) {
    return static_cast<double>((channels + multiple - 1) / multiple * multiple);
}

double per_channel(std::int64_t amount, std::int64_t channels) {
    return static_cast<double>(amount) / static_cast<double>(channels);
}

LayerWork layer_work(const DeviceModel& model, const network::LayerCosts& layer, double images) {
    const double inputs = padded(layer.input_channels, model.channel_padding);
    const double outputs = padded(layer.output_channels, model.channel_padding);
    // A filter of a convolution or linear layer spans all inputs; elsewhere it sees one channel.
    const bool dense =
        layer.kind == network::LayerKind::convolution || layer.kind == network::LayerKind::linear;
    const auto pad_filters = [&](std::int64_t amount) {
        const double per_output = per_channel(amount, layer.output_channels);
        return dense ? per_output / static_cast<double>(layer.input_channels) * inputs * outputs
                     : per_output * outputs;
    };
    const double activations = per_channel(layer.input_elements, layer.input_channels) * inputs +
                               per_channel(layer.output_elements, layer.output_channels) * outputs;
    return {.kind = execution_kind(layer.kind),
            .macs = pad_filters(layer.macs) * images,
            .bytes = static_cast<double>(model.bytes_per_element) *
                     (pad_filters(layer.parameters) + activations * images)};
}

const PowerMode& mode_of(const DeviceModel& model, const DeviceCondition& condition) {
    const auto modes = model.power_modes.size();
    if (condition.power_mode < 0 || static_cast<std::size_t>(condition.power_mode) >= modes)
        throw core::DataError(
            fmt::format("device condition: power mode {} is not one of the {} modes of {}",
                        condition.power_mode, modes, model.sku));
    return model.power_modes[static_cast<std::size_t>(condition.power_mode)];
}

/// Throughputs of one unit, all in units per second.
struct UnitSpeed {
    std::array<double, execution_kinds> macs_per_s{};
    double bytes_per_s = 0.0;
    double launch_s = 0.0;
};

UnitSpeed unit_speed(const DeviceModel& model, const PowerMode& mode,
                     const DeviceCondition& condition) {
    const double free_share = 1.0 - condition.background_load;
    const double gpu = model.peak_macs_per_s * mode.gpu_clock_factor * condition.gpu_clock_factor *
                       condition.silicon * (1.0 - condition.ageing) * free_share;
    UnitSpeed speed;
    for (std::size_t kind = 0; kind < execution_kinds; ++kind)
        speed.macs_per_s[kind] = gpu * model.efficiency[kind] * condition.kind_efficiency[kind];
    speed.bytes_per_s = model.bandwidth_gb_s * 1e9 * model.bandwidth_efficiency *
                        mode.memory_clock_factor * condition.memory_clock_factor * free_share;
    speed.launch_s = model.launch_overhead_us * 1e-6 * mode.launch_factor *
                     condition.launch_factor / condition.cpu_clock_factor;
    return speed;
}

/// One unit as it runs one network.
class RunningUnit {
  public:
    RunningUnit(const DeviceModel& model, const DeviceCondition& condition, const NetworkWork& work)
        : power_(model.power), condition_(condition), work_(work), mode_(mode_of(model, condition)),
          speed_(unit_speed(model, mode_, condition)) {}

    [[nodiscard]] OperatingPoint cool() const {
        const double leakage_w = leakage_at(condition_.ambient_c);
        const Load load = highest_load(budget_w() - leakage_w, at(1.0));
        return {.gpu_clock = load.clock,
                .latency_ms = load.seconds * 1e3,
                .power_w = load.power_w + leakage_w,
                .temperature_c = condition_.ambient_c};
    }

    [[nodiscard]] OperatingPoint sustained() const {
        const double coolest = condition_.ambient_c;
        // At the limit both power and leakage are known, and with them what is left for work.
        const double most_w =
            std::min(budget_w(), (power_.temperature_limit_c - coolest) / resistance());
        const double warmest = coolest + resistance() * most_w;
        const Load when_cool = highest_load(budget_w() - leakage_at(coolest), at(1.0));
        const Load load = highest_load(most_w - leakage_at(warmest), when_cool);
        const double power_w = load.power_w + leakage_under(load.power_w);
        return {.gpu_clock = load.clock,
                .latency_ms = load.seconds * 1e3,
                .power_w = power_w,
                .temperature_c = coolest + resistance() * power_w};
    }

  private:
    /// The unit at one clock.
    struct Load {
        double clock;
        double seconds;
        double power_w; ///< without leakage
    };

    [[nodiscard]] double budget_w() const {
        return mode_.power_budget_w * condition_.supply_factor;
    }

    [[nodiscard]] double resistance() const {
        return power_.thermal_resistance_k_w * condition_.cooling_factor;
    }

    [[nodiscard]] double leakage_at(double temperature_c) const {
        return condition_.power_factor * power_.leakage_w *
               (1.0 + power_.leakage_per_k * (temperature_c - leakage_reference_c));
    }

    /// Of a unit whose other power warms it, and whose leakage does. Beyond the limit, where it can
    /// get no slower, leakage counts as at the limit, or it might grow without end.
    [[nodiscard]] double leakage_under(double other_w) const {
        const double per_kelvin = condition_.power_factor * power_.leakage_w * power_.leakage_per_k;
        const double gain = per_kelvin * resistance();
        const double without_gain = condition_.ambient_c + resistance() * other_w;
        const double at_limit = leakage_at(power_.temperature_limit_c);
        if (gain >= 1.0) return at_limit;
        return std::min(leakage_at(without_gain) / (1.0 - gain), at_limit);
    }

    [[nodiscard]] Load at(double clock) const {
        double seconds = 0.0;
        for (const LayerWork& layer : work_.layers) {
            const double compute_s = layer.macs / (speed_.macs_per_s[layer.kind] * clock);
            seconds += std::max(compute_s, layer.bytes / speed_.bytes_per_s) + speed_.launch_s;
        }
        const double phi = mode_.gpu_clock_factor * condition_.gpu_clock_factor * clock;
        const double voltage = power_.lowest_voltage + (1.0 - power_.lowest_voltage) * phi;
        const double switching = condition_.power_factor * voltage * voltage;
        const double joules =
            1e-12 * (switching * power_.pj_per_mac * work_.macs + power_.pj_per_byte * work_.bytes);
        const double work_w = seconds > 0.0 ? joules / seconds : 0.0;
        return {clock, seconds, power_.idle_w + switching * power_.clock_w * phi + work_w};
    }

    /// The fastest load, not above `fastest`, that takes at most `most_w`; at the lowest clock
    /// where none does. Regula falsi as of Dowell and Jarratt, "A modified regula falsi method",
    /// BIT 1971 (Illinois): power rises with the clock, so the one root stays enclosed.
    [[nodiscard]] Load highest_load(double most_w, const Load& fastest) const {
        if (fastest.power_w <= most_w) return fastest;
        Load low = at(std::min(power_.lowest_clock, fastest.clock));
        if (low.power_w >= most_w) return low;
        Load high = fastest;
        double below = low.power_w - most_w;
        double above = high.power_w - most_w;
        bool was_low = false;
        for (int step = 0; step < most_clock_steps; ++step) {
            const double share = below / (below - above);
            const Load next = at(low.clock + share * (high.clock - low.clock));
            const double miss = next.power_w - most_w;
            if (std::abs(miss) <= clock_tolerance * most_w) return next;
            const bool is_low = miss < 0.0;
            // The end that stays for a second time counts half, or it would stay for ever.
            const double counts = step > 0 && is_low == was_low ? 0.5 : 1.0;
            (is_low ? low : high) = next;
            below = is_low ? miss : counts * below;
            above = is_low ? counts * above : miss;
            was_low = is_low;
            if (high.clock - low.clock <= clock_tolerance) break;
        }
        return low;
    }

    const PowerModel& power_;
    const DeviceCondition& condition_;
    const NetworkWork& work_;
    const PowerMode& mode_;
    UnitSpeed speed_;
};

} // namespace

NetworkWork network_work(const DeviceModel& model, std::span<const network::LayerCosts> layers,
                         std::int64_t batch) {
    if (batch < 1)
        throw core::InternalError(fmt::format("latency for a batch of {} images", batch));
    NetworkWork work;
    work.layers.reserve(layers.size());
    for (const network::LayerCosts& layer : layers) {
        check_layer(layer);
        work.layers.push_back(layer_work(model, layer, static_cast<double>(batch)));
        work.macs += work.layers.back().macs;
        work.bytes += work.layers.back().bytes;
    }
    return work;
}

OperatingPoint cool_point(const DeviceModel& model, const DeviceCondition& condition,
                          const NetworkWork& work) {
    return RunningUnit(model, condition, work).cool();
}

OperatingPoint sustained_point(const DeviceModel& model, const DeviceCondition& condition,
                               const NetworkWork& work) {
    return RunningUnit(model, condition, work).sustained();
}

double true_value(Quantity quantity, const DeviceModel& model, const DeviceCondition& condition,
                  const NetworkWork& work) {
    if (quantity == Quantity::latency) return latency_ms(model, condition, work);
    const OperatingPoint point = sustained_point(model, condition, work);
    return quantity == Quantity::energy ? point.energy_mj() : point.latency_ms;
}

double latency_ms(const DeviceModel& model, const DeviceCondition& condition,
                  const NetworkWork& work) {
    return cool_point(model, condition, work).latency_ms;
}

double latency_ms(const DeviceModel& model, const DeviceCondition& condition,
                  std::span<const network::LayerCosts> layers, std::int64_t batch) {
    return latency_ms(model, condition, network_work(model, layers, batch));
}

double measured_latency_ms(const DeviceModel& model, const DeviceCondition& condition,
                           std::span<const network::LayerCosts> layers, std::int64_t batch,
                           int runs, core::RandomStream& random) {
    return latency_ms(model, condition, layers, batch) *
           median_run_noise(condition.noise_sigma, runs, random);
}

} // namespace hdap::fleet
