#include "hdap/fleet/mixtures.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/fleet/operating_point.hpp"
#include "hdap/fleet/telemetry.hpp"
#include "hdap/network/search_space.hpp"
#include "hdap/network/zoo.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

using namespace hdap;
using namespace hdap::fleet;

namespace {

SynthesisParameters parameters_of(const std::string& preset, const std::string& mixture,
                                  std::int64_t devices = 2000) {
    SynthesisParameters parameters;
    parameters.preset = preset;
    parameters.mixture = mixture;
    parameters.devices = devices;
    apply_mixture(parameters);
    return parameters;
}

/// A convolutional network as papers time it.
std::vector<network::LayerCosts> resnet50() {
    const network::Network network = network::make_network({.name = "resnet50"});
    const network::SearchSpace space(network, {});
    return network::CostModel(network, space.structure()).layers(space.unpruned());
}

/// A transformer of BERT's size: twelve blocks of linear layers over 384 words.
std::vector<network::LayerCosts> bert() {
    const auto linear = [](std::int64_t inputs, std::int64_t outputs) {
        constexpr std::int64_t words = 384;
        return network::LayerCosts{.name = "linear",
                                   .kind = network::LayerKind::linear,
                                   .input_channels = inputs,
                                   .output_channels = outputs,
                                   .macs = words * inputs * outputs,
                                   .parameters = inputs * outputs,
                                   .input_elements = words * inputs,
                                   .output_elements = words * outputs};
    };
    std::vector<network::LayerCosts> layers;
    for (int block = 0; block < 12; ++block)
        for (const auto& [inputs, outputs] : std::vector<std::pair<std::int64_t, std::int64_t>>{
                 {768, 2304}, {768, 768}, {768, 3072}, {3072, 768}})
            layers.push_back(linear(inputs, outputs));
    return layers;
}

/// How devices differ on two workloads, of their latencies ÷ the median.
struct Spread {
    double main_sd = 0.0;    ///< of the logs of those within 3 % of the median
    double slow_share = 0.0; ///< more than 3 % slower
    double slowest = 0.0;
};

std::vector<double> relative(std::vector<double> latency_ms) {
    const double middle = core::median(latency_ms);
    for (double& latency : latency_ms)
        latency /= middle;
    return latency_ms;
}

Spread spread_of(const std::vector<double>& ratios) {
    Spread spread;
    double squares = 0.0;
    double inner = 0.0;
    for (const double ratio : ratios) {
        spread.slowest = std::max(spread.slowest, ratio);
        if (ratio > 1.03) spread.slow_share += 1.0 / static_cast<double>(ratios.size());
        if (std::abs(std::log(ratio)) >= 0.03) continue;
        squares += std::log(ratio) * std::log(ratio);
        inner += 1.0;
    }
    spread.main_sd = std::sqrt(squares / inner);
    return spread;
}

double correlation(const std::vector<double>& a, const std::vector<double>& b) {
    const double mean_a = core::mean(a);
    const double mean_b = core::mean(b);
    double together = 0.0;
    double of_a = 0.0;
    double of_b = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        together += (a[i] - mean_a) * (b[i] - mean_b);
        of_a += (a[i] - mean_a) * (a[i] - mean_a);
        of_b += (b[i] - mean_b) * (b[i] - mean_b);
    }
    return together / std::sqrt(of_a * of_b);
}

/// ResNet50 and BERT on the mild fleet of server GPUs, as real ones were measured: [workload].
std::vector<std::vector<double>> server_fleet(std::uint64_t seed) {
    SynthesisParameters parameters = parameters_of("server_gpu", "mild", 4000);
    parameters.seed = seed;
    const Fleet fleet = synthesize_fleet(
        device_model("server_gpu"), parameters,
        std::vector<BenchmarkNetwork>{{"resnet50", {}, resnet50()}, {"bert", {}, bert()}}, 32, 10);
    return {relative(measured_latencies(fleet, 0)), relative(measured_latencies(fleet, 1))};
}

} // namespace

TEST_CASE("a mixture that does not exist is refused with the known ones") {
    CHECK_THROWS_AS(mixture_rows("wild", "phone"), core::ConfigError);
    CHECK_THROWS_WITH(mixture_rows("mid", "phone"), Catch::Contains("'mid'") &&
                                                        Catch::Contains("mild") &&
                                                        Catch::Contains("hostile"));
    CHECK(mixture_names() == std::vector<std::string>{"standard", "mild", "hostile"});
}

TEST_CASE("every mixture of every device model sets known keys once, with a reason, in range") {
    for (const std::string& preset : device_presets())
        for (const std::string& mixture : mixture_names()) {
            SynthesisParameters parameters = parameters_of(preset, mixture);
            CAPTURE(preset, mixture);
            CHECK_NOTHROW(check_synthesis(device_model(preset), parameters));
            const auto settings = settings_of(parameters);
            const auto rows = mixture_rows(mixture, preset);
            CHECK(rows.empty() == (mixture == "standard"));
            for (const MixtureRow& row : rows) {
                CAPTURE(row.key);
                CHECK_FALSE(row.why.empty());
                CHECK(std::ranges::count(rows, row.key, &MixtureRow::key) == 1);
                const auto setting =
                    std::ranges::find(settings, std::string(row.key), &core::Setting::key);
                REQUIRE(setting != settings.end());
                CHECK(core::value_text(*setting) == row.value);
            }
        }
}

TEST_CASE("of the hostile mixture half the devices are normal, and no device is slow twice") {
    const SynthesisParameters parameters = parameters_of("jetson_xavier_nx", "hostile", 20'000);
    double slow_memory = 0.0;
    double slow_gpu = 0.0;
    double slow_cpu = 0.0;
    for (const DeviceCondition& unit :
         synthesize_conditions(device_model("jetson_xavier_nx"), parameters)) {
        const bool memory = unit.memory_clock_factor < 0.4;
        const bool gpu = unit.gpu_clock_factor < 0.5;
        const bool cpu = unit.cpu_clock_factor < 0.3;
        REQUIRE(memory + gpu + cpu <= 1);
        slow_memory += memory / 2e4;
        slow_gpu += gpu / 2e4;
        slow_cpu += cpu / 2e4;
    }
    CHECK(slow_memory == Approx(0.2).margin(0.01));
    CHECK(slow_gpu == Approx(0.2).margin(0.01));
    CHECK(slow_cpu == Approx(0.1).margin(0.01));
}

TEST_CASE("where it is hot devices save power, and firmware goes with drivers") {
    SynthesisParameters parameters = parameters_of("jetson_xavier_nx", "standard", 20'000);
    const auto units = synthesize_conditions(device_model("jetson_xavier_nx"), parameters);
    std::vector<double> devices(3);
    std::vector<double> savers(3);
    std::vector<double> ambient(3);
    double matching = 0.0;
    for (const DeviceCondition& unit : units) {
        const auto region = static_cast<std::size_t>(unit.region);
        devices.at(region) += 1.0;
        savers[region] += unit.power_mode > 0 ? 1.0 : 0.0;
        ambient[region] += unit.ambient_c;
        matching += unit.firmware == unit.driver_version ? 1.0 / 20'000 : 0.0;
    }
    for (std::size_t region = 0; region < 3; ++region)
        CHECK(devices[region] / 20'000 == Approx(device_regions()[region].share).margin(0.04));
    CHECK(savers[2] / devices[2] > 2.0 * savers[0] / devices[0]);
    CHECK(ambient[2] / devices[2] == Approx(25.0 + 1.5 * 5.0).margin(0.2));
    CHECK(matching == Approx(0.96).margin(0.01));
    const auto labels = condition_labels(device_model("jetson_xavier_nx"), units);
    REQUIRE(labels.size() == 3);
    CHECK(labels[0].name == "region");
    CHECK(labels[1].name == "firmware");
    CHECK(labels[2].name == "power_mode");
    for (std::size_t i = 0; i < 100; ++i) {
        CHECK(labels[0].values[i] ==
              device_regions()[static_cast<std::size_t>(units[i].region)].name);
        CHECK(labels[2].values[i] == (units[i].power_mode == 0 ? "15W" : "10W"));
    }
}

TEST_CASE("mild server GPUs differ as real ones of one SKU do") {
    for (const std::uint64_t seed : {1U, 2U, 3U}) {
        const auto latency = server_fleet(seed);
        const Spread convolutions = spread_of(latency[0]);
        const Spread words = spread_of(latency[1]);
        const double together = correlation(latency[0], latency[1]);
        CAPTURE(seed, convolutions.main_sd, convolutions.slow_share, convolutions.slowest,
                words.main_sd, words.slow_share, together);
        CHECK((convolutions.main_sd > 0.005 && convolutions.main_sd < 0.02));
        CHECK((convolutions.slow_share > 0.06 && convolutions.slow_share < 0.12));
        CHECK(words.main_sd < convolutions.main_sd);
        CHECK((words.slow_share > 0.005 && words.slow_share < 0.06));
        CHECK((together > -0.07 && together < 0.25));
    }
}

TEST_CASE("mild server GPUs spread as those of a cluster were measured to") {
    const char* const shared = std::getenv("HDAP_SHARED_DATA");
    const auto file =
        std::filesystem::path(shared == nullptr ? "" : shared) / "fleets/frontera-rtx5000.csv";
    if (shared == nullptr || !std::filesystem::exists(file)) {
        WARN("skipped: HDAP_SHARED_DATA names no folder with fleets/frontera-rtx5000.csv");
        return;
    }
    ImportRequest request;
    request.source = file;
    request.sku = "quadro-rtx-5000";
    const Fleet real = import_telemetry(request);
    const auto of_real = [&](const std::string& name) {
        const auto at = std::ranges::find(real.benchmark_names, name);
        REQUIRE(at != real.benchmark_names.end());
        return static_cast<std::size_t>(at - real.benchmark_names.begin());
    };
    const std::size_t first = of_real("resnet50_train_iter");
    const std::size_t second = of_real("bert_train_iter");
    std::vector<double> convolutions;
    std::vector<double> words;
    for (std::size_t i = 0; i < real.devices(); ++i) {
        const double* const row = real.latency_ms.data() + i * real.benchmarks();
        if (std::isnan(row[first]) || std::isnan(row[second])) continue;
        convolutions.push_back(row[first]);
        words.push_back(row[second]);
    }
    REQUIRE(convolutions.size() == 276);
    const auto simulated = server_fleet(1);
    const auto compare = [](const Spread& found, const Spread& expected) {
        CAPTURE(found.main_sd, expected.main_sd, found.slow_share, expected.slow_share,
                found.slowest, expected.slowest);
        CHECK(found.main_sd == Approx(expected.main_sd).epsilon(0.5));
        CHECK(found.slow_share == Approx(expected.slow_share).margin(0.03));
        CHECK(found.slowest < 2.1);
    };
    compare(spread_of(simulated[0]), spread_of(relative(convolutions)));
    compare(spread_of(simulated[1]), spread_of(relative(words)));
    CHECK(correlation(simulated[0], simulated[1]) ==
          Approx(correlation(relative(convolutions), relative(words))).margin(0.15));
}

TEST_CASE("a device's ratio in latency says less of its energy than nothing does") {
    // Which is why energy.mean is of the representatives alone.
    const network::Network network = network::make_network({.name = "mobilenet_v1"});
    const network::SearchSpace space(network, {});
    const auto layers = network::CostModel(network, space.structure()).layers(space.unpruned());
    for (const std::string& preset : device_presets()) {
        const DeviceModel model = device_model(preset);
        const NetworkWork work = network_work(model, layers, 16);
        std::vector<double> latency;
        std::vector<double> energy;
        for (const DeviceCondition& unit :
             synthesize_conditions(model, parameters_of(preset, "standard", 1000))) {
            latency.push_back(latency_ms(model, unit, work));
            energy.push_back(sustained_point(model, unit, work).energy_mj());
        }
        latency = relative(latency);
        energy = relative(energy);
        double alone = 0.0;
        double with_ratio = 0.0;
        for (std::size_t i = 0; i < energy.size(); ++i) {
            alone += std::abs(std::log(energy[i]));
            with_ratio += std::abs(std::log(energy[i] / latency[i]));
        }
        CAPTURE(preset, alone, with_ratio);
        CHECK(1.15 * alone < with_ratio);
    }
}
