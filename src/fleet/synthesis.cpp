#include "hdap/fleet/synthesis.hpp"

#include "hdap/core/error.hpp"
#include "hdap/fleet/mixtures.hpp"
#include "hdap/fleet/operating_point.hpp"
#include "hdap/fleet/run_noise.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace hdap::fleet {

namespace {

constexpr double largest_throttling = 0.6;
constexpr double largest_ageing = 0.3;
constexpr double largest_noise_ratio = 4.0;
/// Of the devices, as firmware is updated apart from the driver now and then.
constexpr double other_firmware_share = 0.05;

constexpr std::array drivers{
    DriverVersion{"the present one", {1.0, 1.0, 1.0, 1.0, 1.0}},
    DriverVersion{"an old one: slow depthwise layers", {0.85, 0.60, 0.85, 1.0, 1.0}},
    DriverVersion{"a new one: faster convolutions", {1.10, 0.85, 0.70, 1.0, 1.0}},
    // As groups of a real fleet are: 12 % slower in a convolutional network, 6 % in a transformer.
    DriverVersion{"convolutions alone are slower", {0.88, 1.0, 1.0, 1.0, 1.0}},
    DriverVersion{"linear layers alone are slower", {1.0, 1.0, 0.93, 1.0, 1.0}},
};

constexpr std::array regions{
    Region{"cool", 0.3, -1.0, 0.5},
    Region{"temperate", 0.5, 0.0, 1.0},
    Region{"hot", 0.2, 1.5, 2.0},
};

void check_range(const char* name, double value, double low, double high) {
    // Written so that NaN fails too.
    if (!(value >= low && value <= high))
        throw core::ConfigError(fmt::format("fleet synthesis: {} is {:f}, expected {:f} to {:f}",
                                            name, value, low, high));
}

/// The parameters that are real numbers: for checks and for settings.
struct RealParameter {
    const char* name;
    double SynthesisParameters::*value;
    core::Range<double> range;
    const char* comment;
};
using P = SynthesisParameters;
constexpr RealParameter real_parameters[] = {
    {"silicon_sigma", &P::silicon_sigma, {0.0, 0.3}, "Spread of the chips' speed (log-normal)"},
    {"efficiency_sigma",
     &P::efficiency_sigma,
     {0.0, 0.3},
     "Spread of their efficiency in each kind of layer (log-normal)"},
    {"memory_sigma", &P::memory_sigma, {0.0, 0.3}, "Spread of the memory clock (log-normal)"},
    {"launch_sigma", &P::launch_sigma, {0.0, 0.3}, "Spread of the launch overhead (log-normal)"},
    {"throttled_share",
     &P::throttled_share,
     {0.0, 1.0},
     "Share of devices too hot for their clock, whatever runs"},
    {"throttling_mean",
     &P::throttling_mean,
     {0.0, 1.0},
     "Mean share of the clock that these lack (exponential)"},
    {"capped_share", &P::capped_share, {0.0, 1.0}, "Share of devices with a capped GPU clock"},
    {"capped_clock_factor", &P::capped_clock_factor, {0.1, 1.0}, "Their clock / the mode's"},
    {"background_share",
     &P::background_share,
     {0.0, 1.0},
     "Share of devices with a background load"},
    {"background_largest", &P::background_largest, {0.0, 0.9}, "Their load is up to this share"},
    {"ageing_mean", &P::ageing_mean, {0.0, 0.3}, "Mean loss of speed with age (exponential)"},
    {"noise_sigma", &P::noise_sigma, {0.0, 0.2}, "Typical noise from run to run (log-normal)"},
    {"slow_memory_share",
     &P::slow_memory_share,
     {0.0, 1.0},
     "Share of devices with a slow memory clock"},
    {"slow_memory_factor", &P::slow_memory_factor, {0.1, 1.0}, "Their clock / the mode's"},
    {"slow_gpu_share", &P::slow_gpu_share, {0.0, 1.0}, "Share of devices with a slow GPU clock"},
    {"slow_gpu_factor", &P::slow_gpu_factor, {0.25, 1.0}, "Their clock / the mode's"},
    {"slow_cpu_share",
     &P::slow_cpu_share,
     {0.0, 1.0},
     "Share of devices with a slow CPU, which launches layers"},
    {"slow_cpu_factor", &P::slow_cpu_factor, {0.1, 1.0}, "Their clock / the mode's"},
    {"power_sigma", &P::power_sigma, {0.0, 0.3}, "Spread of the chips' power (log-normal)"},
    {"cooling_sigma",
     &P::cooling_sigma,
     {0.0, 0.3},
     "Spread of the thermal resistance (log-normal)"},
    {"poor_cooling_share",
     &P::poor_cooling_share,
     {0.0, 1.0},
     "Share of devices in dust, in a case, with a dead fan"},
    {"poor_cooling_factor",
     &P::poor_cooling_factor,
     {1.0, 5.0},
     "Their thermal resistance / the others'"},
    {"weak_supply_share",
     &P::weak_supply_share,
     {0.0, 1.0},
     "Share of devices on a weak supply or an old battery"},
    {"weak_supply_factor",
     &P::weak_supply_factor,
     {0.05, 1.0},
     "The power that it gives / the power mode's budget"},
    {"ambient_c", &P::ambient_c, {-20.0, 50.0}, "Temperature of the middle region, in deg C"},
    {"ambient_sigma_c",
     &P::ambient_sigma_c,
     {0.0, 5.0},
     "Spread from device to device in a region, in K (normal)"},
    {"region_step_c", &P::region_step_c, {0.0, 10.0}, "Between neighbouring regions, in K"},
};

void check_sum(const char* name, double sum) {
    if (!(std::abs(sum - 1.0) <= 1e-6))
        throw core::ConfigError(
            fmt::format("fleet synthesis: {} sum to {:f}, expected 1", name, sum));
}

/// `what` of these there are `most`.
void check_shares(const char* what, const std::vector<double>& shares, std::size_t most,
                  const std::string& whose) {
    if (shares.size() > most)
        throw core::ConfigError(
            fmt::format("fleet synthesis: {} {} shares; {} {}", shares.size(), what, whose, most));
    double sum = 0.0;
    for (const double share : shares) {
        check_range(fmt::format("{} share", what).c_str(), share, 0.0, 1.0);
        sum += share;
    }
    check_sum(fmt::format("{} shares", what).c_str(), sum);
}

void check_slow_groups(const SynthesisParameters& parameters) {
    const double sum =
        parameters.slow_memory_share + parameters.slow_gpu_share + parameters.slow_cpu_share;
    if (!(sum <= 1.0 + 1e-9))
        throw core::ConfigError(
            fmt::format("fleet synthesis: slow_memory_share, slow_gpu_share and slow_cpu_share sum "
                        "to {:f}, expected at most 1, as no device is in two of these groups",
                        sum));
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
    const auto& driver_shares = parameters.driver_shares;
    const std::size_t driver = draw_index(
        driver_shares.size(), [&](std::size_t i) { return driver_shares[i]; }, random);
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

/// A region given the power mode: owners save power where it is warm.
std::size_t draw_region(bool saves_power, core::RandomStream& random) {
    const auto weight = [&](const Region& region) {
        return region.share * (saves_power ? region.saves_power : 1.0);
    };
    double sum = 0.0;
    for (const Region& region : regions)
        sum += weight(region);
    return draw_index(
        regions.size(), [&](std::size_t i) { return weight(regions[i]) / sum; }, random);
}

/// Puts a device into one of the three slow groups, or none.
void draw_slow_group(const SynthesisParameters& parameters, core::RandomStream& random,
                     DeviceCondition& condition) {
    const double draw = random.uniform();
    const double memory = parameters.slow_memory_share;
    const double gpu = memory + parameters.slow_gpu_share;
    const double cpu = gpu + parameters.slow_cpu_share;
    if (draw < memory)
        condition.memory_clock_factor *= parameters.slow_memory_factor;
    else if (draw < gpu)
        condition.gpu_clock_factor *= parameters.slow_gpu_factor;
    else if (draw < cpu)
        condition.cpu_clock_factor *= parameters.slow_cpu_factor;
}

/// What came later than draw_condition, from a stream of its own: the draws before stay as they
/// were.
void draw_surroundings(const SynthesisParameters& parameters, core::RandomStream& random,
                       DeviceCondition& condition) {
    draw_slow_group(parameters, random, condition);
    const std::size_t region = draw_region(condition.power_mode > 0, random);
    condition.region = static_cast<std::int32_t>(region);
    condition.ambient_c = parameters.ambient_c + regions[region].steps * parameters.region_step_c +
                          parameters.ambient_sigma_c * std::clamp(random.normal(), -4.0, 4.0);
    condition.power_factor = log_normal(parameters.power_sigma, random);
    condition.cooling_factor = log_normal(parameters.cooling_sigma, random);
    if (random.uniform() < parameters.poor_cooling_share)
        condition.cooling_factor *= parameters.poor_cooling_factor;
    if (random.uniform() < parameters.weak_supply_share)
        condition.supply_factor = parameters.weak_supply_factor;
    const bool other_firmware = random.uniform() < other_firmware_share;
    const auto other = static_cast<std::int32_t>(random.below(drivers.size()));
    condition.firmware = other_firmware ? other : condition.driver_version;
}

struct ConditionField {
    const char* name;
    double (*value)(const DeviceCondition& condition);
    const char* unit = "1";
};
constexpr ConditionField condition_fields[] = {
    {"silicon", [](const DeviceCondition& c) { return c.silicon; }},
    {"gpu_clock_factor", [](const DeviceCondition& c) { return c.gpu_clock_factor; }},
    {"memory_clock_factor", [](const DeviceCondition& c) { return c.memory_clock_factor; }},
    {"launch_factor", [](const DeviceCondition& c) { return c.launch_factor; }},
    {"background_load", [](const DeviceCondition& c) { return c.background_load; }},
    {"driver_version",
     [](const DeviceCondition& c) { return static_cast<double>(c.driver_version); }},
    {"ageing", [](const DeviceCondition& c) { return c.ageing; }},
    {"noise_sigma", [](const DeviceCondition& c) { return c.noise_sigma; }},
    {"cpu_clock_factor", [](const DeviceCondition& c) { return c.cpu_clock_factor; }},
    {"power_factor", [](const DeviceCondition& c) { return c.power_factor; }},
    {"ambient_c", [](const DeviceCondition& c) { return c.ambient_c; }, "degC"},
    {"cooling_factor", [](const DeviceCondition& c) { return c.cooling_factor; }},
    {"supply_factor", [](const DeviceCondition& c) { return c.supply_factor; }},
};

template <class ValueOf>
DeviceAttribute attribute_of(std::string name, std::string unit,
                             std::span<const DeviceCondition> conditions, ValueOf value_of) {
    DeviceAttribute attribute{.name = std::move(name), .unit = std::move(unit), .values = {}};
    attribute.values.reserve(conditions.size());
    for (const DeviceCondition& condition : conditions)
        attribute.values.push_back(value_of(condition));
    return attribute;
}

template <class NameOf>
DeviceLabel label_of(std::string name, std::span<const DeviceCondition> conditions,
                     NameOf name_of) {
    DeviceLabel label{.name = std::move(name), .values = {}};
    label.values.reserve(conditions.size());
    for (const DeviceCondition& condition : conditions)
        label.values.push_back(name_of(condition));
    return label;
}

/// [benchmark] of their noise.
std::vector<std::uint32_t> noise_numbers(std::span<const BenchmarkNetwork> benchmarks) {
    std::array<std::uint32_t, quantity_table.size()> next{};
    std::vector<std::uint32_t> numbers;
    for (const BenchmarkNetwork& benchmark : benchmarks)
        numbers.push_back(first_noise_number(benchmark.quantity) +
                          next.at(static_cast<std::size_t>(benchmark.quantity))++);
    return numbers;
}

std::string device_name(const std::string& sku, std::size_t index) {
    return fmt::format("{}-{:06}", sku, index);
}

} // namespace

void check_synthesis(const DeviceModel& model, const SynthesisParameters& parameters) {
    check_range("devices", static_cast<double>(parameters.devices), 1, 100'000'000);
    check_shares("power mode", parameters.power_mode_shares, model.power_modes.size(),
                 fmt::format("the power modes of {} are", model.sku));
    check_shares("driver", parameters.driver_shares, drivers.size(), "the drivers are");
    for (const RealParameter& parameter : real_parameters)
        check_range(parameter.name, parameters.*parameter.value, parameter.range.minimum,
                    parameter.range.maximum);
    check_slow_groups(parameters);
}

DeviceCondition synthesize_condition(const SynthesisParameters& parameters, std::size_t device) {
    core::RandomStream random(parameters.seed, core::StreamId::device_condition,
                              static_cast<std::uint32_t>(device));
    DeviceCondition condition = draw_condition(parameters, random);
    core::RandomStream later(parameters.seed, core::StreamId::device_condition,
                             static_cast<std::uint32_t>(device), 1);
    draw_surroundings(parameters, later, condition);
    return condition;
}

std::span<const DriverVersion> driver_versions() {
    return drivers;
}

std::span<const Region> device_regions() {
    return regions;
}

std::vector<DeviceAttribute> condition_attributes(std::span<const DeviceCondition> conditions) {
    std::vector<DeviceAttribute> attributes;
    for (const ConditionField& field : condition_fields)
        attributes.push_back(attribute_of(field.name, field.unit, conditions, field.value));
    for (std::size_t kind = 0; kind < execution_kinds; ++kind)
        attributes.push_back(attribute_of(
            fmt::format("kind_efficiency_{}",
                        network::layer_kind_name(static_cast<network::LayerKind>(kind))),
            "1", conditions, [&](const DeviceCondition& c) { return c.kind_efficiency[kind]; }));
    return attributes;
}

std::vector<DeviceLabel> condition_labels(const DeviceModel& model,
                                          std::span<const DeviceCondition> conditions) {
    return {label_of("region", conditions,
                     [](const DeviceCondition& c) {
                         return std::string(regions.at(static_cast<std::size_t>(c.region)).name);
                     }),
            label_of("firmware", conditions,
                     [](const DeviceCondition& c) { return fmt::format("v{}", c.firmware + 1); }),
            label_of("power_mode", conditions, [&](const DeviceCondition& c) {
                return model.power_modes.at(static_cast<std::size_t>(c.power_mode)).name;
            })};
}

std::vector<DeviceCondition> synthesize_conditions(const DeviceModel& model,
                                                   const SynthesisParameters& parameters) {
    check_synthesis(model, parameters);
    std::vector<DeviceCondition> conditions(static_cast<std::size_t>(parameters.devices));
#pragma omp parallel for schedule(static)
    for (std::size_t i = 0; i < conditions.size(); ++i)
        conditions[i] = synthesize_condition(parameters, i);
    return conditions;
}

Fleet synthesize_fleet(const DeviceModel& model, const SynthesisParameters& parameters,
                       std::span<const BenchmarkNetwork> benchmarks, std::int64_t batch, int runs) {
    const auto conditions = synthesize_conditions(model, parameters);
    const std::size_t devices = conditions.size();
    Fleet fleet;
    fleet.sku = model.sku;
    fleet.attributes = condition_attributes(conditions);
    fleet.labels = condition_labels(model, conditions);
    std::vector<NetworkWork> works;
    for (const BenchmarkNetwork& benchmark : benchmarks) {
        fleet.benchmark_names.push_back(benchmark.name);
        if (!benchmark.genome.empty()) fleet.benchmark_genomes.push_back(benchmark.genome);
        works.push_back(network_work(model, benchmark.layers, batch));
    }
    for (std::size_t i = 0; i < devices; ++i)
        fleet.device_ids.push_back(device_name(model.sku, i));
    fleet.latency_ms.resize(devices * benchmarks.size());
    const auto numbers = noise_numbers(benchmarks);
    // Made here, as no exception may come out of threads.
    RunNoise noise(parameters.seed, runs);
#pragma omp parallel for schedule(static) firstprivate(noise)
    for (std::size_t i = 0; i < devices; ++i)
        for (std::size_t b = 0; b < works.size(); ++b)
            fleet.latency_ms[i * works.size() + b] =
                true_value(benchmarks[b].quantity, model, conditions[i], works[b]) *
                noise.median(conditions[i].noise_sigma, static_cast<std::uint32_t>(i), numbers[b]);
    return fleet;
}

std::vector<core::Setting> settings_of(SynthesisParameters& parameters) {
    constexpr auto shapes = core::Outputs::fleet;
    std::vector<core::Setting> settings{
        core::text("preset", parameters.preset, device_presets(), "Device model", shapes),
        // What it sets shapes the fleet.
        core::text("mixture", parameters.mixture, mixture_names(), mixtures_comment(),
                   core::Outputs::nothing),
        core::integer("devices", parameters.devices, {1, 100'000'000}, "Units", shapes),
        core::real_list("power_mode_shares", parameters.power_mode_shares, {0.0, 1.0},
                        "Share of devices in each power mode of the device model", shapes),
        core::real_list(
            "driver_shares", parameters.driver_shares, {0.0, 1.0},
            "Share of devices with each driver: the present one, an old one, a new one, "
            "one with slow convolutions, one with slow linear layers",
            shapes)};
    for (const RealParameter& parameter : real_parameters)
        settings.push_back(core::real(parameter.name, parameters.*parameter.value, parameter.range,
                                      parameter.comment, shapes));
    return settings;
}

} // namespace hdap::fleet
