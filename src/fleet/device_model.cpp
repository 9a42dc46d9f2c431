#include "hdap/fleet/device_model.hpp"

#include "fleet/devices/presets.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/unknown_name.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

namespace hdap::fleet {

namespace {

struct Preset {
    const char* name;
    DeviceModel (*make)();
};

/// Another one is a line here.
constexpr std::array presets{Preset{"jetson_xavier_nx", &jetson_xavier_nx},
                             Preset{"jetson_nano", &jetson_nano},
                             Preset{"jetson_orin_nano", &jetson_orin_nano}, Preset{"phone", &phone},
                             Preset{"server_gpu", &server_gpu}};

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
    check("cpu_clock_factor", condition.cpu_clock_factor, 0.01, 10.0);
    check("power_factor", condition.power_factor, 0.1, 10.0);
    check("ambient_c", condition.ambient_c, -50.0, 85.0);
    check("cooling_factor", condition.cooling_factor, 0.1, 20.0);
    check("supply_factor", condition.supply_factor, 0.01, 1.0);
    check("region", condition.region, 0, 1000);
    check("firmware", condition.firmware, 0, 1'000'000'000);
}

} // namespace hdap::fleet
