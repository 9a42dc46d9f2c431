#include "hdap/fleet/device_model.hpp"

#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

#include <functional>
#include <limits>
#include <utility>
#include <vector>

using namespace hdap;
using namespace hdap::fleet;

TEST_CASE("an unknown preset is refused with the known names") {
    CHECK_THROWS_AS(device_model("jetson_tx2"), core::ConfigError);
    CHECK_THROWS_WITH(device_model("jetson_tx2"), Catch::Contains("jetson_tx2") &&
                                                      Catch::Contains("jetson_xavier_nx") &&
                                                      Catch::Contains("jetson_nano"));
    for (const std::string& preset : device_presets())
        CHECK(device_model(preset).sku == preset);
}

TEST_CASE("a condition out of range is refused with field and value") {
    DeviceCondition condition;
    CHECK_NOTHROW(check_condition(condition, "unit 7"));
    condition.background_load = 1.5;
    CHECK_THROWS_WITH(check_condition(condition, "unit 7"),
                      Catch::Contains("unit 7") && Catch::Contains("background_load") &&
                          Catch::Contains("1.5"));
    using Change = std::function<void(DeviceCondition&)>;
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    const std::vector<std::pair<Change, std::string>> changes = {
        {[](DeviceCondition& c) { c.kind_efficiency[2] = nan; }, "kind_efficiency is nan"},
        {[](DeviceCondition& c) { c.power_mode = -1; }, "power_mode is -1"},
        {[](DeviceCondition& c) { c.cpu_clock_factor = 0.0; }, "cpu_clock_factor is 0"},
        {[](DeviceCondition& c) { c.power_factor = -1.0; }, "power_factor is -1"},
        {[](DeviceCondition& c) { c.ambient_c = 300.0; }, "ambient_c is 300"},
        {[](DeviceCondition& c) { c.cooling_factor = nan; }, "cooling_factor is nan"},
        {[](DeviceCondition& c) { c.supply_factor = 1.1; }, "supply_factor is 1.1"},
        {[](DeviceCondition& c) { c.region = -1; }, "region is -1"},
        {[](DeviceCondition& c) { c.firmware = -1; }, "firmware is -1"},
    };
    for (const auto& [change, message] : changes) {
        condition = {};
        change(condition);
        CHECK_THROWS_AS(check_condition(condition, "unit 7"), core::DataError);
        CHECK_THROWS_WITH(check_condition(condition, "unit 7"), Catch::Contains(message));
    }
}

TEST_CASE("every device model is complete and two of its power modes can be shared out") {
    for (const std::string& preset : device_presets()) {
        const DeviceModel model = device_model(preset);
        CAPTURE(preset);
        CHECK(model.power_modes.size() >= 2);
        CHECK(model.peak_macs_per_s > 1e10);
        CHECK(model.bandwidth_gb_s > 1.0);
        for (const double efficiency : model.efficiency)
            CHECK((efficiency > 0.0 && efficiency <= 1.0));
        for (const PowerMode& mode : model.power_modes)
            CHECK((mode.power_budget_w > model.power.idle_w && mode.power_budget_w < 1e3));
        CHECK(model.power.thermal_resistance_k_w > 0.0);
        CHECK((model.power.lowest_voltage > 0.0 && model.power.lowest_voltage < 1.0));
        CHECK((model.power.lowest_clock > 0.0 && model.power.lowest_clock < 1.0));
        CHECK((model.power.temperature_limit_c > 30.0 && model.power.temperature_limit_c < 120.0));
    }
}
