#include "hdap/fleet/synthesis.hpp"

#include "hdap/core/error.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace hdap::fleet {

namespace {

constexpr double largest_throttling = 0.6;
constexpr double largest_ageing = 0.3;
constexpr double largest_noise_ratio = 4.0;

void check_range(const char* name, double value, double low, double high) {
    // Written so that NaN fails too.
    if (!(value >= low && value <= high))
        throw core::ConfigError(fmt::format("fleet synthesis: {} is {:f}, expected {:f} to {:f}",
                                            name, value, low, high));
}

void check_sum(const char* name, double sum) {
    if (!(std::abs(sum - 1.0) <= 1e-6))
        throw core::ConfigError(
            fmt::format("fleet synthesis: {} sum to {:f}, expected 1", name, sum));
}

void check_modes(const DeviceModel& model, const std::vector<double>& shares) {
    if (shares.size() > model.power_modes.size())
        throw core::ConfigError(
            fmt::format("fleet synthesis: {} power mode shares; {} has {} power modes",
                        shares.size(), model.sku, model.power_modes.size()));
    double sum = 0.0;
    for (const double share : shares) {
        check_range("power mode share", share, 0.0, 1.0);
        sum += share;
    }
    check_sum("power mode shares", sum);
}

void check_drivers(const std::vector<DriverVersion>& drivers) {
    double sum = 0.0;
    for (const DriverVersion& driver : drivers) {
        check_range("driver share", driver.share, 0.0, 1.0);
        sum += driver.share;
        for (const double efficiency : driver.kind_efficiency)
            check_range("driver efficiency", efficiency, 0.1, 10.0);
    }
    check_sum("driver shares", sum);
}

double log_normal(double sigma, core::RandomStream& random) {
    // Four standard deviations: a draw beyond is a broken unit, not a slow one.
    return std::exp(sigma * std::clamp(random.normal(), -4.0, 4.0));
}

double exponential(double mean, core::RandomStream& random) {
    return -mean * std::log1p(-random.uniform());
}

/// The first index at which the running sum of `share_of(i)` passes a uniform draw.
template <class ShareOf>
std::size_t draw_index(std::size_t count, ShareOf share_of, core::RandomStream& random) {
    const double draw = random.uniform();
    double sum = 0.0;
    for (std::size_t i = 0; i + 1 < count; ++i) {
        sum += share_of(i);
        if (draw < sum) return i;
    }
    return count - 1;
}

/// Every draw is made for every device, whether or not it is used, so that one trait does not
/// depend on the shares of another.
DeviceCondition draw_condition(const SynthesisParameters& parameters, core::RandomStream& random) {
    DeviceCondition condition;
    condition.silicon = log_normal(parameters.silicon_sigma, random);
    condition.memory_clock_factor = log_normal(parameters.memory_sigma, random);
    condition.launch_factor = log_normal(parameters.launch_sigma, random);
    const auto& shares = parameters.power_mode_shares;
    condition.power_mode = static_cast<std::int32_t>(draw_index(
        shares.size(), [&](std::size_t i) { return shares[i]; }, random));
    const auto& drivers = parameters.drivers;
    const std::size_t driver = draw_index(
        drivers.size(), [&](std::size_t i) { return drivers[i].share; }, random);
    condition.driver_version = static_cast<std::int32_t>(driver);
    for (std::size_t kind = 0; kind < execution_kinds; ++kind)
        condition.kind_efficiency[kind] =
            drivers[driver].kind_efficiency[kind] * log_normal(parameters.efficiency_sigma, random);
    const bool throttled = random.uniform() < parameters.throttled_share;
    const double clock_loss =
        std::min(exponential(parameters.throttling_mean, random), largest_throttling);
    if (throttled) condition.gpu_clock_factor *= 1.0 - clock_loss;
    const bool capped = random.uniform() < parameters.capped_share;
    if (capped) condition.gpu_clock_factor *= parameters.capped_clock_factor;
    const bool busy = random.uniform() < parameters.background_share;
    const double load = parameters.background_largest * random.uniform();
    if (busy) {
        condition.background_load = load;
        // The CPU is as busy as the GPU, so launches wait too.
        condition.launch_factor *= 1.0 + load;
    }
    condition.ageing = std::min(exponential(parameters.ageing_mean, random), largest_ageing);
    condition.noise_sigma = parameters.noise_sigma * std::exp((2.0 * random.uniform() - 1.0) *
                                                              std::log(largest_noise_ratio));
    return condition;
}

struct ConditionField {
    const char* name;
    double (*value)(const DeviceCondition& condition);
};
constexpr ConditionField condition_fields[] = {
    {"silicon", [](const DeviceCondition& c) { return c.silicon; }},
    {"power_mode", [](const DeviceCondition& c) { return static_cast<double>(c.power_mode); }},
    {"gpu_clock_factor", [](const DeviceCondition& c) { return c.gpu_clock_factor; }},
    {"memory_clock_factor", [](const DeviceCondition& c) { return c.memory_clock_factor; }},
    {"launch_factor", [](const DeviceCondition& c) { return c.launch_factor; }},
    {"background_load", [](const DeviceCondition& c) { return c.background_load; }},
    {"driver_version",
     [](const DeviceCondition& c) { return static_cast<double>(c.driver_version); }},
    {"ageing", [](const DeviceCondition& c) { return c.ageing; }},
    {"noise_sigma", [](const DeviceCondition& c) { return c.noise_sigma; }},
};

/// An attribute that is a ratio or a number.
template <class ValueOf>
DeviceAttribute plain_attribute(std::string name, std::span<const DeviceCondition> conditions,
                                ValueOf value_of) {
    DeviceAttribute attribute{.name = std::move(name), .unit = "1", .values = {}};
    attribute.values.reserve(conditions.size());
    for (const DeviceCondition& condition : conditions)
        attribute.values.push_back(value_of(condition));
    return attribute;
}

std::string device_name(const std::string& sku, std::size_t index) {
    return fmt::format("{}-{:06}", sku, index);
}

} // namespace

void check_synthesis(const DeviceModel& model, const SynthesisParameters& parameters) {
    check_range("devices", static_cast<double>(parameters.devices), 1, 100'000'000);
    check_modes(model, parameters.power_mode_shares);
    check_drivers(parameters.drivers);
    check_range("silicon_sigma", parameters.silicon_sigma, 0.0, 0.3);
    check_range("efficiency_sigma", parameters.efficiency_sigma, 0.0, 0.3);
    check_range("memory_sigma", parameters.memory_sigma, 0.0, 0.3);
    check_range("launch_sigma", parameters.launch_sigma, 0.0, 0.3);
    check_range("throttled_share", parameters.throttled_share, 0.0, 1.0);
    check_range("throttling_mean", parameters.throttling_mean, 0.0, 1.0);
    check_range("capped_share", parameters.capped_share, 0.0, 1.0);
    check_range("capped_clock_factor", parameters.capped_clock_factor, 0.1, 1.0);
    check_range("background_share", parameters.background_share, 0.0, 1.0);
    check_range("background_largest", parameters.background_largest, 0.0, 0.9);
    check_range("ageing_mean", parameters.ageing_mean, 0.0, 0.3);
    check_range("noise_sigma", parameters.noise_sigma, 0.0, 0.2);
}

DeviceCondition synthesize_condition(const SynthesisParameters& parameters, std::size_t device) {
    core::RandomStream random(parameters.seed, core::StreamId::device_condition,
                              static_cast<std::uint32_t>(device));
    return draw_condition(parameters, random);
}

std::vector<DeviceAttribute> condition_attributes(std::span<const DeviceCondition> conditions) {
    std::vector<DeviceAttribute> attributes;
    for (const ConditionField& field : condition_fields)
        attributes.push_back(plain_attribute(field.name, conditions, field.value));
    for (std::size_t kind = 0; kind < execution_kinds; ++kind)
        attributes.push_back(plain_attribute(
            fmt::format("kind_efficiency_{}",
                        network::layer_kind_name(static_cast<network::LayerKind>(kind))),
            conditions, [&](const DeviceCondition& c) { return c.kind_efficiency[kind]; }));
    return attributes;
}

std::vector<DeviceCondition> synthesize_conditions(const DeviceModel& model,
                                                   const SynthesisParameters& parameters) {
    check_synthesis(model, parameters);
    std::vector<DeviceCondition> conditions;
    conditions.reserve(static_cast<std::size_t>(parameters.devices));
    for (std::size_t i = 0; i < static_cast<std::size_t>(parameters.devices); ++i)
        conditions.push_back(synthesize_condition(parameters, i));
    return conditions;
}

Fleet synthesize_fleet(const DeviceModel& model, const SynthesisParameters& parameters,
                       std::span<const BenchmarkNetwork> benchmarks, std::int64_t batch, int runs) {
    Fleet fleet;
    fleet.sku = model.sku;
    const auto conditions = synthesize_conditions(model, parameters);
    fleet.attributes = condition_attributes(conditions);
    const std::size_t devices = conditions.size();
    for (const BenchmarkNetwork& benchmark : benchmarks) {
        fleet.benchmark_names.push_back(benchmark.name);
        if (!benchmark.genome.empty()) fleet.benchmark_genomes.push_back(benchmark.genome);
        // Says what is wrong with a benchmark, the batch or the runs before threads start, out of
        // which no exception may come.
        core::RandomStream probe(parameters.seed, core::StreamId::measurement_noise);
        measured_latency_ms(model, {}, benchmark.layers, batch, runs, probe);
    }
    for (std::size_t i = 0; i < devices; ++i)
        fleet.device_ids.push_back(device_name(model.sku, i));
    fleet.latency_ms.resize(devices * benchmarks.size());
#pragma omp parallel for schedule(static)
    for (std::size_t i = 0; i < devices; ++i) {
        for (std::size_t b = 0; b < benchmarks.size(); ++b) {
            core::RandomStream random(parameters.seed, core::StreamId::measurement_noise,
                                      static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(b));
            fleet.latency_ms[i * benchmarks.size() + b] = measured_latency_ms(
                model, conditions[i], benchmarks[b].layers, batch, runs, random);
        }
    }
    return fleet;
}

std::vector<core::Setting> settings_of(SynthesisParameters& parameters) {
    constexpr auto shapes = core::Outputs::fleet;
    return {core::text("preset", parameters.preset, device_presets(), "Device model", shapes),
            core::integer("devices", parameters.devices, {1, 100'000'000}, "Units", shapes),
            core::real("silicon_sigma", parameters.silicon_sigma, {0.0, 0.3},
                       "Spread of the chips' speed (log-normal)", shapes),
            core::real("throttled_share", parameters.throttled_share, {0.0, 1.0},
                       "Share of devices too hot for their clock", shapes),
            core::real("capped_share", parameters.capped_share, {0.0, 1.0},
                       "Share of devices on a weak battery or supply", shapes),
            core::real("background_share", parameters.background_share, {0.0, 1.0},
                       "Share of devices with a background load", shapes),
            core::real("noise_sigma", parameters.noise_sigma, {0.0, 0.2},
                       "Typical noise from run to run (log-normal)", shapes)};
}

} // namespace hdap::fleet
