#include "hdap/fleet/device_model.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/core/unknown_name.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace hdap::fleet {

namespace {

/// One run in a hundred is disturbed by something rare: a page fault, another process waking up.
constexpr double outlier_probability = 0.01;
constexpr double outlier_mean_excess = 0.2;

DeviceModel jetson_xavier_nx() {
    DeviceModel model;
    model.sku = "jetson_xavier_nx";
    // 48 tensor cores, 64 fp16 MACs per cycle each, 1100 MHz.
    model.peak_macs_per_s = 48 * 64 * 1100e6;
    model.bandwidth_gb_s = 51.2;
    model.launch_overhead_us = 8.0;
    model.channel_padding = 8;
    // Depthwise layers cannot use tensor cores.
    model.efficiency = {0.40, 0.02, 0.25, 0.02, 0.02};
    model.bandwidth_efficiency = 0.75;
    model.power_modes = {{"15W", 1.0, 1.0, 1.0},
                         {"10W", 800.0 / 1100.0, 1600.0 / 1866.0, 1.15},
                         {"20W", 1.0, 1.0, 0.85}};
    return model;
}

DeviceModel jetson_nano() {
    DeviceModel model;
    model.sku = "jetson_nano";
    // 128 Maxwell cores, 2 fp16 MACs per cycle each, 921.6 MHz.
    model.peak_macs_per_s = 128 * 2 * 921.6e6;
    model.bandwidth_gb_s = 25.6;
    model.launch_overhead_us = 20.0;
    model.channel_padding = 2;
    model.efficiency = {0.65, 0.15, 0.50, 0.15, 0.15};
    model.bandwidth_efficiency = 0.70;
    model.power_modes = {{"MAXN", 1.0, 1.0, 1.0}, {"5W", 640.0 / 921.6, 1.0, 1479.0 / 918.0}};
    return model;
}

struct Preset {
    const char* name;
    DeviceModel (*make)();
};

constexpr std::array<Preset, 2> presets{
    {{"jetson_xavier_nx", &jetson_xavier_nx}, {"jetson_nano", &jetson_nano}}};

/// Throughputs of one unit, all in units per second.
struct UnitSpeed {
    std::array<double, execution_kinds> macs_per_s{};
    double bytes_per_s = 0.0;
    double launch_s = 0.0;
};

UnitSpeed unit_speed(const DeviceModel& model, const DeviceCondition& condition) {
    const auto modes = model.power_modes.size();
    if (condition.power_mode < 0 || static_cast<std::size_t>(condition.power_mode) >= modes)
        throw core::DataError(
            fmt::format("device condition: power mode {} is not one of the {} modes of {}",
                        condition.power_mode, modes, model.sku));
    const PowerMode& mode = model.power_modes[static_cast<std::size_t>(condition.power_mode)];
    const double free_share = 1.0 - condition.background_load;
    const double gpu = model.peak_macs_per_s * mode.gpu_clock_factor * condition.gpu_clock_factor *
                       condition.silicon * (1.0 - condition.ageing) * free_share;
    UnitSpeed speed;
    for (std::size_t kind = 0; kind < execution_kinds; ++kind)
        speed.macs_per_s[kind] = gpu * model.efficiency[kind] * condition.kind_efficiency[kind];
    speed.bytes_per_s = model.bandwidth_gb_s * 1e9 * model.bandwidth_efficiency *
                        mode.memory_clock_factor * condition.memory_clock_factor * free_share;
    speed.launch_s = model.launch_overhead_us * 1e-6 * mode.launch_factor * condition.launch_factor;
    return speed;
}

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

double layer_seconds(const DeviceModel& model, const UnitSpeed& speed,
                     const network::LayerCosts& layer, double images) {
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
    const double macs = pad_filters(layer.macs) * images;
    const double activations = per_channel(layer.input_elements, layer.input_channels) * inputs +
                               per_channel(layer.output_elements, layer.output_channels) * outputs;
    const double bytes = static_cast<double>(model.bytes_per_element) *
                         (pad_filters(layer.parameters) + activations * images);
    const double compute_s = macs / speed.macs_per_s[execution_kind(layer.kind)];
    return std::max(compute_s, bytes / speed.bytes_per_s) + speed.launch_s;
}

} // namespace

std::size_t execution_kind(network::LayerKind kind) noexcept {
    static_assert(static_cast<std::size_t>(network::LayerKind::elementwise) == execution_kinds - 1);
    return std::min(static_cast<std::size_t>(kind), execution_kinds - 1);
}

std::vector<std::string> device_presets() {
    std::vector<std::string> names;
    for (const Preset& preset : presets)
        names.emplace_back(preset.name);
    return names;
}

DeviceModel device_model(const std::string& preset) {
    for (const Preset& candidate : presets)
        if (preset == candidate.name) return candidate.make();
    throw core::ConfigError(core::unknown_name("device preset", preset, device_presets()));
}

double latency_ms(const DeviceModel& model, const DeviceCondition& condition,
                  std::span<const network::LayerCosts> layers, std::int64_t batch) {
    if (batch < 1)
        throw core::InternalError(fmt::format("latency for a batch of {} images", batch));
    const UnitSpeed speed = unit_speed(model, condition);
    double seconds = 0.0;
    for (const network::LayerCosts& layer : layers) {
        check_layer(layer);
        seconds += layer_seconds(model, speed, layer, static_cast<double>(batch));
    }
    return seconds * 1e3;
}

double measured_latency_ms(const DeviceModel& model, const DeviceCondition& condition,
                           std::span<const network::LayerCosts> layers, std::int64_t batch,
                           int runs, core::RandomStream& random) {
    if (runs < 1) throw core::InternalError(fmt::format("a measurement of {} runs", runs));
    const double clean_ms = latency_ms(model, condition, layers, batch);
    std::vector<double> factors(static_cast<std::size_t>(runs));
    for (double& factor : factors) {
        const double noise = std::exp(condition.noise_sigma * random.normal());
        const bool outlier = random.uniform() < outlier_probability;
        const double excess = -outlier_mean_excess * std::log1p(-random.uniform());
        factor = noise * (outlier ? 1.0 + excess : 1.0);
    }
    return clean_ms * core::median(std::move(factors));
}

void check_condition(const DeviceCondition& condition, const std::string& where) {
    const auto check = [&](const char* field, double value, double low, double high) {
        // Written so that NaN fails too.
        if (!(value >= low && value <= high))
            throw core::DataError(fmt::format("{}: {} is {:f}, expected {:f} to {:f}", where, field,
                                              value, low, high));
    };
    check("silicon", condition.silicon, 0.1, 10.0);
    check("power_mode", condition.power_mode, 0, 1000);
    check("gpu_clock_factor", condition.gpu_clock_factor, 0.01, 10.0);
    check("memory_clock_factor", condition.memory_clock_factor, 0.01, 10.0);
    check("launch_factor", condition.launch_factor, 0.01, 100.0);
    check("background_load", condition.background_load, 0.0, 0.99);
    check("driver_version", condition.driver_version, 0, 1'000'000'000);
    for (const double efficiency : condition.kind_efficiency)
        check("kind_efficiency", efficiency, 0.01, 100.0);
    check("ageing", condition.ageing, 0.0, 0.99);
    check("noise_sigma", condition.noise_sigma, 0.0, 1.0);
}

} // namespace hdap::fleet
