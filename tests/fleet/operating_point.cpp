#include "hdap/fleet/operating_point.hpp"

#include "fleet/random_networks_of_layers.hpp"
#include "hdap/core/error.hpp"
#include "hdap/fleet/mixtures.hpp"
#include "hdap/fleet/synthesis.hpp"
#include "hdap/network/search_space.hpp"
#include "hdap/network/zoo.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

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
    std::vector<DeviceCondition> slower(9);
    slower[0].silicon = 0.9;
    slower[1].power_mode = 1;
    slower[2].gpu_clock_factor = 0.9;
    slower[3].memory_clock_factor = 0.9;
    slower[4].launch_factor = 1.1;
    slower[5].background_load = 0.1;
    slower[6].kind_efficiency[0] = 0.9;
    slower[7].ageing = 0.1;
    slower[8].cpu_clock_factor = 0.9;
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

namespace {

using testing::layer;
using testing::random_network;
using testing::random_networks;

/// The conditions of a few units of a mixture, all of which pass check_condition.
std::vector<DeviceCondition> units_of(const DeviceModel& model, const std::string& mixture,
                                      std::int64_t count) {
    SynthesisParameters parameters;
    parameters.preset = model.sku;
    parameters.mixture = mixture;
    parameters.devices = count;
    parameters.seed = 5;
    apply_mixture(parameters);
    auto conditions = synthesize_conditions(model, parameters);
    for (const DeviceCondition& condition : conditions)
        check_condition(condition, "unit");
    return conditions;
}

/// What the equations say of a unit, one layer at a time.
struct Plain {
    const DeviceModel& model;
    const DeviceCondition& unit;
    const std::vector<network::LayerCosts>& layers;
    double batch;

    [[nodiscard]] const PowerMode& mode() const {
        return model.power_modes[static_cast<std::size_t>(unit.power_mode)];
    }
    [[nodiscard]] double budget_w() const { return mode().power_budget_w * unit.supply_factor; }
    [[nodiscard]] double resistance() const {
        return model.power.thermal_resistance_k_w * unit.cooling_factor;
    }

    static double up(std::int64_t channels, std::int64_t step) {
        return static_cast<double>((channels + step - 1) / step * step);
    }
    [[nodiscard]] std::pair<double, double> macs_and_bytes(const network::LayerCosts& of) const {
        const double inputs = up(of.input_channels, model.channel_padding);
        const double outputs = up(of.output_channels, model.channel_padding);
        const bool dense = of.kind == LayerKind::convolution || of.kind == LayerKind::linear;
        const auto filters = [&](std::int64_t amount) {
            const double per_output =
                static_cast<double>(amount) / static_cast<double>(of.output_channels);
            return dense ? per_output / static_cast<double>(of.input_channels) * inputs * outputs
                         : per_output * outputs;
        };
        const double activations = static_cast<double>(of.input_elements) /
                                       static_cast<double>(of.input_channels) * inputs +
                                   static_cast<double>(of.output_elements) /
                                       static_cast<double>(of.output_channels) * outputs;
        return {filters(of.macs) * batch, static_cast<double>(model.bytes_per_element) *
                                              (filters(of.parameters) + activations * batch)};
    }

    [[nodiscard]] double seconds(double clock) const {
        const double free_share = 1.0 - unit.background_load;
        const double gpu = model.peak_macs_per_s * mode().gpu_clock_factor * unit.gpu_clock_factor *
                           unit.silicon * (1.0 - unit.ageing) * free_share;
        const double bandwidth = model.bandwidth_gb_s * 1e9 * model.bandwidth_efficiency *
                                 mode().memory_clock_factor * unit.memory_clock_factor * free_share;
        const double launch = model.launch_overhead_us * 1e-6 * mode().launch_factor *
                              unit.launch_factor / unit.cpu_clock_factor;
        double sum = 0.0;
        for (const network::LayerCosts& of : layers) {
            const auto [macs, bytes] = macs_and_bytes(of);
            const std::size_t kind = execution_kind(of.kind);
            const double rate = gpu * model.efficiency[kind] * unit.kind_efficiency[kind] * clock;
            sum += std::max(macs / rate, bytes / bandwidth) + launch;
        }
        return sum;
    }
    [[nodiscard]] double leakage_w(double temperature_c) const {
        return unit.power_factor * model.power.leakage_w *
               (1.0 + model.power.leakage_per_k * (temperature_c - 25.0));
    }
    /// Without leakage.
    [[nodiscard]] double power_w(double clock) const {
        const double phi = mode().gpu_clock_factor * unit.gpu_clock_factor * clock;
        const double v = model.power.lowest_voltage + (1.0 - model.power.lowest_voltage) * phi;
        double joules = 0.0;
        for (const network::LayerCosts& of : layers) {
            const auto [macs, bytes] = macs_and_bytes(of);
            joules += 1e-12 * (unit.power_factor * v * v * model.power.pj_per_mac * macs +
                               model.power.pj_per_byte * bytes);
        }
        return model.power.idle_w + unit.power_factor * model.power.clock_w * phi * v * v +
               joules / seconds(clock);
    }
    /// Whether a unit that gets no warmer at this clock keeps to its limits: it warms up from
    /// ambient, round after round, until it does or passes them.
    [[nodiscard]] bool bears(double clock) const {
        double temperature_c = unit.ambient_c;
        for (int round = 0; round < 3000; ++round) {
            const double power = power_w(clock) + leakage_w(temperature_c);
            temperature_c = unit.ambient_c + resistance() * power;
            if (power > budget_w() || temperature_c > model.power.temperature_limit_c) return false;
        }
        return true;
    }
    /// The highest clock that it bears, by bisection.
    [[nodiscard]] double highest_clock() const {
        if (bears(1.0)) return 1.0;
        double low = model.power.lowest_clock;
        double high = 1.0;
        for (int step = 0; step < 40; ++step)
            (bears(0.5 * (low + high)) ? low : high) = 0.5 * (low + high);
        return low;
    }
};

/// Every layer with as many times the MACs and bytes, and as many launches.
std::vector<network::LayerCosts> scaled(std::vector<network::LayerCosts> layers,
                                        std::int64_t factor) {
    for (network::LayerCosts& of : layers) {
        of.macs *= factor;
        of.parameters *= factor;
        of.input_elements *= factor;
        of.output_elements *= factor;
    }
    return layers;
}

/// Convolutions that keep a GPU busy.
std::vector<network::LayerCosts> heavy_layers() {
    return std::vector<network::LayerCosts>(20,
                                            layer(LayerKind::convolution, 512, 512, 9 * 512, 56));
}

} // namespace

TEST_CASE("work that is known before has the bits of a roofline of every layer anew") {
    for (const std::string& preset : device_presets()) {
        DeviceModel model = device_model(preset);
        for (PowerMode& mode : model.power_modes)
            mode.power_budget_w = 1e6;
        for (const DeviceCondition& unit : units_of(model, "hostile", 50))
            for (const BenchmarkNetwork& network : random_networks(3)) {
                DeviceCondition supplied = unit;
                supplied.supply_factor = 1.0;
                const Plain plain{model, supplied, network.layers, 16.0};
                CHECK(latency_ms(model, supplied, network.layers, 16) == plain.seconds(1.0) * 1e3);
            }
    }
}

TEST_CASE("heat and supply take the clock that a plain search finds, and what it says") {
    for (const std::string& preset : device_presets()) {
        const DeviceModel model = device_model(preset);
        std::size_t throttled = 0;
        std::uint32_t number = 0;
        for (const DeviceCondition& unit : units_of(model, "hostile", 30)) {
            const auto layers = number % 2 == 0 ? heavy_layers() : random_network(number).layers;
            ++number;
            const Plain plain{model, unit, layers, 4.0};
            const NetworkWork work = network_work(model, layers, 4);
            const OperatingPoint point = sustained_point(model, unit, work);
            CAPTURE(preset, number, point.gpu_clock, point.power_w, point.temperature_c);
            CHECK(point.gpu_clock == Approx(plain.highest_clock()).epsilon(1e-9));
            CHECK(point.latency_ms == Approx(plain.seconds(point.gpu_clock) * 1e3));
            CHECK(point.temperature_c ==
                  Approx(unit.ambient_c + plain.resistance() * point.power_w));
            CHECK(point.energy_mj() == Approx(point.power_w * point.latency_ms));
            const double warmest = std::min(point.temperature_c, model.power.temperature_limit_c);
            CHECK(point.power_w ==
                  Approx(plain.power_w(point.gpu_clock) + plain.leakage_w(warmest)));
            if (point.gpu_clock > model.power.lowest_clock) {
                CHECK(point.power_w <= plain.budget_w() * (1 + 1e-9));
                CHECK(point.temperature_c <= model.power.temperature_limit_c + 1e-6);
            }
            throttled += point.gpu_clock < 1.0 ? 1 : 0;
            const OperatingPoint cool = cool_point(model, unit, work);
            CHECK(cool.latency_ms <= point.latency_ms);
            CHECK(cool.temperature_c == unit.ambient_c);
            if (cool.gpu_clock > model.power.lowest_clock)
                CHECK(cool.power_w <= plain.budget_w() * (1 + 1e-9));
        }
        CHECK(throttled > 0);
        CHECK(throttled < 30);
    }
}

TEST_CASE("what is lighter, cooler, or better supplied never throttles more") {
    for (const std::string& preset : device_presets()) {
        const DeviceModel model = device_model(preset);
        for (const DeviceCondition& unit : units_of(model, "hostile", 25)) {
            const auto clock_of = [&](const DeviceCondition& of, std::int64_t factor) {
                return sustained_point(model, of,
                                       network_work(model, scaled(heavy_layers(), factor), 1))
                    .gpu_clock;
            };
            const double usual = clock_of(unit, 4);
            const double usual_or_less = usual * (1 + 1e-12); // what the search for it leaves
            CHECK(clock_of(unit, 1) * (1 + 1e-12) >= usual);
            CHECK(clock_of(unit, 16) <= usual_or_less);
            DeviceCondition changed = unit;
            changed.ambient_c += 5.0;
            CHECK(clock_of(changed, 4) <= usual_or_less);
            changed = unit;
            changed.cooling_factor *= 0.8;
            CHECK(clock_of(changed, 4) * (1 + 1e-12) >= usual);
            changed = unit;
            changed.supply_factor *= 0.8;
            CHECK(clock_of(changed, 4) <= usual_or_less);
            changed = unit;
            changed.power_factor *= 1.1;
            CHECK(clock_of(changed, 4) <= usual_or_less);
            changed.ambient_c = -40.0;
            changed.cooling_factor = 0.1;
            const NetworkWork work = network_work(model, heavy_layers(), 1);
            CHECK(sustained_point(model, changed, work).latency_ms ==
                  Approx(cool_point(model, changed, work).latency_ms).epsilon(0.02));
            changed.supply_factor = 1.0;
            changed.power_factor = 0.2;
            CHECK(sustained_point(model, changed, work).latency_ms ==
                  latency_ms(model, changed, work));
        }
    }
}

TEST_CASE("a device beyond all limits runs at its lowest clock, and its figures are finite") {
    DeviceModel model = device_model("phone");
    DeviceCondition unit;
    unit.ambient_c = 85.0;
    unit.cooling_factor = 20.0;
    unit.power_factor = 10.0;
    unit.supply_factor = 0.01;
    const OperatingPoint point =
        sustained_point(model, unit, network_work(model, heavy_layers(), 1));
    CHECK(point.gpu_clock == model.power.lowest_clock);
    CHECK(std::isfinite(point.power_w));
    CHECK(std::isfinite(point.temperature_c));
    CHECK(point.energy_mj() > 0.0);
    const OperatingPoint idle = cool_point(model, {}, NetworkWork{});
    CHECK(idle.latency_ms == 0.0);
    CHECK(std::isfinite(idle.power_w));
}

TEST_CASE("layers bound by computing, memory and launches answer to different traits") {
    const DeviceModel model = device_model("jetson_xavier_nx");
    const std::vector bound_by{layer(LayerKind::convolution, 512, 512, 9 * 512, 56),
                               layer(LayerKind::elementwise, 512, 512, 0, 112),
                               layer(LayerKind::elementwise, 8, 8, 0, 1)};
    std::vector<DeviceCondition> slow(3);
    slow[0].gpu_clock_factor = 0.5;
    slow[1].memory_clock_factor = 0.5;
    slow[2].cpu_clock_factor = 0.5;
    for (std::size_t trait = 0; trait < 3; ++trait)
        for (std::size_t kind = 0; kind < 3; ++kind) {
            const double ratio =
                time_of(model, bound_by[kind], slow[trait]) / time_of(model, bound_by[kind]);
            CAPTURE(trait, kind);
            if (trait == kind)
                CHECK(ratio > 1.9);
            else
                CHECK(ratio < 1.05);
        }
}

TEST_CASE("the clocks of Jetsons with old presets keep to the budgets of their modes") {
    // So what they take as usual is what it was before budgets were known.
    for (const std::string preset : {"jetson_xavier_nx", "jetson_nano"}) {
        const DeviceModel model = device_model(preset);
        const std::vector worst{layer(LayerKind::convolution, 512, 512, 9 * 512, 56),
                                layer(LayerKind::linear, 4096, 4096, 4096, 8),
                                // As long in computing as in moving.
                                layer(LayerKind::convolution, 64, 64, 64, 112),
                                layer(LayerKind::convolution, 128, 128, 128, 112)};
        for (const DeviceCondition& unit : units_of(model, "standard", 3000))
            for (const network::LayerCosts& of : worst)
                REQUIRE(
                    cool_point(model, unit, network_work(model, std::span(&of, 1), 64)).gpu_clock ==
                    1.0);
    }
}

TEST_CASE("a phone takes about twice as long once it is hot, as published") {
    // 203 ms became 423 ms in half an hour.
    const DeviceModel model = device_model("phone");
    const NetworkWork work = network_work(model, heavy_layers(), 1);
    DeviceCondition unit;
    const auto slowdown = [&](double ambient_c) {
        unit.ambient_c = ambient_c;
        return sustained_point(model, unit, work).latency_ms / latency_ms(model, unit, work);
    };
    CHECK(slowdown(15.0) < 1.5);
    CHECK(slowdown(30.0) == Approx(423.0 / 203.0).epsilon(0.1));
    CHECK(slowdown(38.0) > 2.5);
    // A network of many small layers hardly heats it.
    const std::vector<network::LayerCosts> small(50,
                                                 layer(LayerKind::convolution, 32, 32, 9 * 32, 7));
    unit.ambient_c = 25.0;
    const NetworkWork light = network_work(model, small, 1);
    CHECK(sustained_point(model, unit, light).latency_ms < 1.1 * latency_ms(model, unit, light));
}

TEST_CASE("the memory clock of an Orin Nano moves medians by 11 to 48 %, as published") {
    const DeviceModel model = device_model("jetson_orin_nano");
    DeviceCondition slow_memory;
    slow_memory.memory_clock_factor = 2133.0 / 3199.0;
    double least = 10.0;
    double most = 0.0;
    for (const std::string name : {"resnet50", "mobilenet_v1", "vgg16", "yolov8n"}) {
        const network::Network network = network::make_network({.name = name});
        const network::SearchSpace space(network, {});
        const auto layers = network::CostModel(network, space.structure()).layers(space.unpruned());
        for (const std::int64_t batch : {1, 4}) {
            const double ratio = latency_ms(model, slow_memory, layers, batch) /
                                 latency_ms(model, {}, layers, batch);
            least = std::min(least, ratio);
            most = std::max(most, ratio);
        }
    }
    CAPTURE(least, most);
    CHECK(least == Approx(1.11).margin(0.04));
    CHECK(most > 1.3);
    // A transformer that makes one word after the other moves all its weights for each.
    const LayerCosts words = layer(LayerKind::linear, 4096, 4096, 4096, 1);
    CHECK(time_of(model, words, slow_memory) / time_of(model, words) == Approx(1.48).margin(0.03));
}

TEST_CASE("predictions under the wrong power mode are off by up to a third, as published") {
    const DeviceModel model = device_model("jetson_xavier_nx");
    DeviceCondition saving;
    saving.power_mode = 1;
    double most = 0.0;
    for (const BenchmarkNetwork& network : random_networks(20))
        for (const std::int64_t batch : {1, 16}) {
            const double right = latency_ms(model, {}, network.layers, batch);
            const double wrong = latency_ms(model, saving, network.layers, batch);
            most = std::max(most, std::abs(wrong / right - 1.0));
        }
    CAPTURE(most);
    CHECK(most > 0.15);
    CHECK(most < 0.40);
}
