#include "hdap/fleet/device_model.hpp"

#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

using namespace hdap;
using namespace hdap::fleet;

namespace {

using network::LayerCosts;
using network::LayerKind;

/// A 3×3 convolution on 14² pixels.
LayerCosts convolution(std::int64_t inputs, std::int64_t outputs) {
    return {.name = "conv",
            .kind = LayerKind::convolution,
            .input_channels = inputs,
            .output_channels = outputs,
            .macs = inputs * outputs * 9 * 196,
            .parameters = inputs * outputs * 9,
            .input_elements = inputs * 196,
            .output_elements = outputs * 196};
}

/// A layer of one channel.
LayerCosts narrow(LayerKind kind, std::int64_t macs, std::int64_t parameters, std::int64_t inputs,
                  std::int64_t outputs) {
    return {.name = "narrow",
            .kind = kind,
            .input_channels = 1,
            .output_channels = 1,
            .macs = macs,
            .parameters = parameters,
            .input_elements = inputs,
            .output_elements = outputs};
}

double time_of(const DeviceModel& model, const LayerCosts& layer, const DeviceCondition& unit = {},
               std::int64_t batch = 1) {
    return latency_ms(model, unit, std::span(&layer, 1), batch);
}

} // namespace

TEST_CASE("an unknown preset is refused with the known names") {
    CHECK_THROWS_AS(device_model("jetson_tx2"), core::ConfigError);
    CHECK_THROWS_WITH(device_model("jetson_tx2"), Catch::Contains("jetson_tx2") &&
                                                      Catch::Contains("jetson_xavier_nx") &&
                                                      Catch::Contains("jetson_nano"));
    for (const std::string& preset : device_presets())
        CHECK(device_model(preset).sku == preset);
}

TEST_CASE("impossible layers, batches, runs and power modes are refused") {
    const DeviceModel model = device_model("jetson_nano");
    const LayerCosts layer = convolution(64, 64);
    LayerCosts no_channels = layer;
    no_channels.input_channels = 0;
    LayerCosts negative = layer;
    negative.macs = -1;
    CHECK_THROWS_AS(time_of(model, no_channels), core::InternalError);
    CHECK_THROWS_AS(time_of(model, negative), core::InternalError);
    CHECK_THROWS_AS(time_of(model, layer, {}, 0), core::InternalError);
    DeviceCondition other_sku;
    other_sku.power_mode = 2;
    CHECK_THROWS_AS(time_of(model, layer, other_sku), core::DataError);
    core::RandomStream random(1, core::StreamId::testing);
    CHECK_THROWS_AS(measured_latency_ms(model, {}, std::span(&layer, 1), 1, 0, random),
                    core::InternalError);
}

TEST_CASE("a condition out of range is refused with field and value") {
    DeviceCondition condition;
    CHECK_NOTHROW(check_condition(condition, "unit 7"));
    condition.background_load = 1.5;
    CHECK_THROWS_WITH(check_condition(condition, "unit 7"),
                      Catch::Contains("unit 7") && Catch::Contains("background_load") &&
                          Catch::Contains("1.5"));
    condition = {};
    condition.kind_efficiency[2] = std::numeric_limits<double>::quiet_NaN();
    CHECK_THROWS_AS(check_condition(condition, "unit 7"), core::DataError);
    condition = {};
    condition.power_mode = -1;
    CHECK_THROWS_AS(check_condition(condition, "unit 7"), core::DataError);
}

TEST_CASE("the roofline is the slower of computing and moving, plus the launch") {
    DeviceModel model;
    model.sku = "test";
    model.peak_macs_per_s = 1e9;
    model.bandwidth_gb_s = 1.0;
    model.launch_overhead_us = 100.0;
    model.efficiency = {0.5, 0.5, 0.5, 0.5, 0.5};
    model.power_modes = {{"only", 1.0, 1.0, 1.0}};
    const LayerCosts heavy = narrow(LayerKind::convolution, 1'000'000, 0, 0, 0);
    CHECK(time_of(model, heavy) == Approx(2.0 + 0.1));
    const LayerCosts bulky = narrow(LayerKind::pooling, 0, 500'000, 250'000, 250'000);
    CHECK(time_of(model, bulky) == Approx(2.0 + 0.1));
    // The weights are moved once for the whole batch.
    CHECK(time_of(model, bulky, {}, 3) == Approx(4.0 + 0.1));
    DeviceCondition slow;
    slow.gpu_clock_factor = 0.5;
    slow.launch_factor = 2.0;
    CHECK(time_of(model, heavy, slow) == Approx(4.0 + 0.2));
    CHECK(time_of(model, bulky, slow) == Approx(2.0 + 0.2));
    const LayerCosts both[] = {heavy, bulky};
    CHECK(latency_ms(model, {}, both, 1) == Approx(4.2));
}

TEST_CASE("every kind of layer has its own efficiency, but copies run as elementwise layers do") {
    DeviceModel model = device_model("jetson_nano");
    model.efficiency = {0.5, 0.4, 0.3, 0.2, 0.1};
    model.channel_padding = 1; // which counts twice in filters that span all inputs
    const auto time = [&](LayerKind kind) {
        return time_of(model, narrow(kind, 1'000'000, 0, 0, 0));
    };
    CHECK(time(LayerKind::convolution) < time(LayerKind::depthwise));
    CHECK(time(LayerKind::depthwise) < time(LayerKind::linear));
    CHECK(time(LayerKind::linear) < time(LayerKind::pooling));
    CHECK(time(LayerKind::pooling) < time(LayerKind::elementwise));
    CHECK(time(LayerKind::copy) == time(LayerKind::elementwise));
}

TEST_CASE("latency rises with the channels, in steps of the padding") {
    for (const std::string& preset : device_presets()) {
        const DeviceModel model = device_model(preset);
        const auto step = model.channel_padding;
        double previous = 0.0;
        for (std::int64_t channels = 1; channels <= 6 * step; ++channels) {
            const double latency = time_of(model, convolution(64, channels));
            if ((channels - 1) % step == 0)
                CHECK(latency > previous);
            else
                CHECK(latency == previous);
            previous = latency;
            CHECK(time_of(model, convolution(channels, 64)) ==
                  time_of(model, convolution((channels + step - 1) / step * step, 64)));
        }
    }
}

TEST_CASE("every trait of a slower unit makes it slower") {
    const DeviceModel model = device_model("jetson_xavier_nx");
    const LayerCosts layers[] = {convolution(256, 256),
                                 {.name = "add",
                                  .kind = LayerKind::elementwise,
                                  .input_channels = 256,
                                  .output_channels = 256,
                                  .input_elements = 5'000'000,
                                  .output_elements = 2'500'000}};
    const double typical = latency_ms(model, {}, layers, 1);
    std::vector<DeviceCondition> slower(8);
    slower[0].silicon = 0.9;
    slower[1].power_mode = 1;
    slower[2].gpu_clock_factor = 0.9;
    slower[3].memory_clock_factor = 0.9;
    slower[4].launch_factor = 1.1;
    slower[5].background_load = 0.1;
    slower[6].kind_efficiency[0] = 0.9;
    slower[7].ageing = 0.1;
    for (const DeviceCondition& unit : slower)
        CHECK(latency_ms(model, unit, layers, 1) > typical);
}

TEST_CASE("measured latency scatters around the clean one and repeats with the same stream") {
    const DeviceModel model = device_model("jetson_nano");
    const LayerCosts layer = convolution(128, 128);
    DeviceCondition unit;
    unit.noise_sigma = 0.02;
    const double clean = time_of(model, layer, unit);
    double mean = 0.0;
    double square = 0.0;
    constexpr int repeats = 400;
    for (std::uint32_t i = 0; i < repeats; ++i) {
        core::RandomStream random(5, core::StreamId::testing, i);
        core::RandomStream again(5, core::StreamId::testing, i);
        const double measured =
            measured_latency_ms(model, unit, std::span(&layer, 1), 1, 9, random);
        CHECK(measured == measured_latency_ms(model, unit, std::span(&layer, 1), 1, 9, again));
        const double error = std::log(measured / clean);
        mean += error / repeats;
        square += error * error / repeats;
    }
    CHECK(mean == Approx(0.0).margin(0.002));
    // The standard error of a median of 9 normal values is about 0.41 sigma.
    CHECK(std::sqrt(square) == Approx(0.0083).epsilon(0.2));
    unit.noise_sigma = 0.0;
    core::RandomStream random(5, core::StreamId::testing);
    CHECK(measured_latency_ms(model, unit, std::span(&layer, 1), 1, 101, random) == clean);
}
