#include "hdap/fleet/synthesis.hpp"

#include "by_density.hpp"
#include "fleet/random_networks_of_layers.hpp"
#include "hdap/core/error.hpp"
#include "hdap/fleet/clustering.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <functional>
#include <limits>
#include <omp.h>

using namespace hdap;
using namespace hdap::fleet;
using testing::random_networks;

TEST_CASE("synthesis parameters out of range are refused by name") {
    using Change = std::function<void(SynthesisParameters&)>;
    const std::vector<std::pair<Change, std::string>> changes = {
        {[](SynthesisParameters& p) { p.devices = 0; }, "devices"},
        {[](SynthesisParameters& p) { p.devices = 1'000'000'000'000; }, "devices"},
        {[](SynthesisParameters& p) { p.power_mode_shares = {}; }, "power mode shares sum to 0"},
        {[](SynthesisParameters& p) {
             p.power_mode_shares = {0.5, 0.6};
         },
         "sum to 1.1"},
        {[](SynthesisParameters& p) {
             p.power_mode_shares = {1, 0, 0, 0};
         },
         "4 power mode shares"},
        {[](SynthesisParameters& p) {
             p.power_mode_shares = {1.5, -0.5};
         },
         "power mode share"},
        {[](SynthesisParameters& p) { p.driver_shares.clear(); }, "driver shares"},
        {[](SynthesisParameters& p) { p.driver_shares.assign(9, 1.0 / 9); }, "9 driver shares"},
        {[](SynthesisParameters& p) { p.slow_memory_factor = 0.0; }, "slow_memory_factor"},
        {[](SynthesisParameters& p) { p.slow_memory_share = p.slow_cpu_share = 0.6; },
         "sum to 1.2"},
        {[](SynthesisParameters& p) { p.ambient_c = 1e300; }, "ambient_c"},
        {[](SynthesisParameters& p) { p.poor_cooling_factor = 0.0; }, "poor_cooling_factor"},
        {[](SynthesisParameters& p) { p.weak_supply_factor = 0.0; }, "weak_supply_factor"},
        {[](SynthesisParameters& p) { p.region_step_c = std::numeric_limits<double>::infinity(); },
         "region_step_c"},
        {[](SynthesisParameters& p) { p.silicon_sigma = -0.1; }, "silicon_sigma"},
        {[](SynthesisParameters& p) { p.throttled_share = 1.1; }, "throttled_share"},
        {[](SynthesisParameters& p) { p.background_largest = 1.0; }, "background_largest"},
        {[](SynthesisParameters& p) { p.noise_sigma = std::numeric_limits<double>::quiet_NaN(); },
         "noise_sigma"},
    };
    const DeviceModel model = device_model("jetson_xavier_nx");
    for (const auto& [change, message] : changes) {
        SynthesisParameters parameters;
        change(parameters);
        CHECK_THROWS_AS(synthesize_conditions(model, parameters), core::ConfigError);
        CHECK_THROWS_WITH(synthesize_conditions(model, parameters), Catch::Contains(message));
    }
}

TEST_CASE("a fleet is a prefix of a larger one, for any number of threads") {
    const DeviceModel model = device_model("jetson_nano");
    const auto networks = random_networks(2);
    SynthesisParameters parameters;
    parameters.seed = 9;
    parameters.devices = 40;
    omp_set_num_threads(1);
    const Fleet small = synthesize_fleet(model, parameters, networks, 1, 5);
    parameters.devices = 100;
    omp_set_num_threads(3);
    const Fleet large = synthesize_fleet(model, parameters, networks, 1, 5);
    omp_set_num_threads(1);
    REQUIRE(large.devices() == 100);
    CHECK(std::equal(small.device_ids.begin(), small.device_ids.end(), large.device_ids.begin()));
    CHECK(std::equal(small.latency_ms.begin(), small.latency_ms.end(), large.latency_ms.begin()));
    REQUIRE(small.attributes.size() == 13 + execution_kinds);
    for (std::size_t a = 0; a < small.attributes.size(); ++a) {
        CHECK(small.attributes[a].name == large.attributes[a].name);
        CHECK(small.attributes[a].values[39] == large.attributes[a].values[39]);
    }
    CHECK_NOTHROW(check_fleet(large, "synthetic fleet"));
    parameters.seed = 10;
    CHECK(synthesize_fleet(model, parameters, networks, 1, 5).latency_ms != large.latency_ms);
}

TEST_CASE("the condition of one unit is the one that it has among all") {
    SynthesisParameters parameters;
    parameters.devices = 50;
    const auto all = synthesize_conditions(device_model("jetson_xavier_nx"), parameters);
    const std::vector<DeviceCondition> one{synthesize_condition(parameters, 37)};
    const auto attributes = condition_attributes(all);
    const auto expected = condition_attributes(one);
    for (std::size_t a = 0; a < attributes.size(); ++a)
        CHECK(attributes[a].values[37] == expected[a].values[0]);
    CHECK(attributes[0].name == "silicon");
    CHECK(attributes[0].values[37] == all[37].silicon);
    CHECK(attributes.back().name == "kind_efficiency_elementwise");
    CHECK(attributes.back().values[37] == all[37].kind_efficiency.back());
}

TEST_CASE("a changed share leaves the other traits as they were") {
    const DeviceModel model = device_model("jetson_xavier_nx");
    SynthesisParameters parameters;
    parameters.devices = 200;
    const auto before = synthesize_conditions(model, parameters);
    parameters.throttled_share = 1.0;
    parameters.power_mode_shares = {0.0, 1.0};
    const auto after = synthesize_conditions(model, parameters);
    for (std::size_t i = 0; i < before.size(); ++i) {
        CHECK(after[i].silicon == before[i].silicon);
        CHECK(after[i].driver_version == before[i].driver_version);
        CHECK(after[i].noise_sigma == before[i].noise_sigma);
        CHECK(after[i].power_mode == 1);
        CHECK(after[i].gpu_clock_factor < 1.0);
    }
}

TEST_CASE("shares and extremes of the parameters appear in the fleet") {
    const DeviceModel model = device_model("jetson_xavier_nx");
    SynthesisParameters parameters;
    parameters.devices = 20'000;
    const auto conditions = synthesize_conditions(model, parameters);
    const auto share = [&](auto&& trait) {
        return static_cast<double>(std::count_if(conditions.begin(), conditions.end(), trait)) /
               20'000.0;
    };
    CHECK(share([](const DeviceCondition& c) { return c.power_mode == 0; }) ==
          Approx(parameters.power_mode_shares[0]).margin(0.01));
    CHECK(share([](const DeviceCondition& c) { return c.driver_version == 1; }) ==
          Approx(parameters.driver_shares[1]).margin(0.01));
    CHECK(share([](const DeviceCondition& c) { return c.background_load > 0.0; }) ==
          Approx(parameters.background_share).margin(0.01));
    parameters = {};
    parameters.devices = 500;
    parameters.silicon_sigma = parameters.efficiency_sigma = parameters.memory_sigma = 0.3;
    parameters.launch_sigma = parameters.ageing_mean = 0.3;
    parameters.noise_sigma = 0.2;
    parameters.throttled_share = parameters.throttling_mean = parameters.capped_share = 1.0;
    parameters.capped_clock_factor = 0.1;
    parameters.background_share = 1.0;
    parameters.background_largest = 0.9;
    parameters.slow_gpu_share = 1.0;
    parameters.slow_gpu_factor = 0.25;
    parameters.power_sigma = parameters.cooling_sigma = 0.3;
    parameters.poor_cooling_share = parameters.weak_supply_share = 1.0;
    parameters.poor_cooling_factor = 5.0;
    parameters.weak_supply_factor = 0.05;
    parameters.ambient_sigma_c = 5.0;
    parameters.region_step_c = 10.0;
    for (const double ambient_c : {-20.0, 50.0}) {
        parameters.ambient_c = ambient_c;
        for (const DeviceCondition& condition : synthesize_conditions(model, parameters))
            CHECK_NOTHROW(check_condition(condition, "extreme unit"));
    }
}

TEST_CASE("the standard fleet has 4 to 10 clusters and 1 to 8 % noise devices") {
    const DeviceModel model = device_model("jetson_xavier_nx");
    const auto networks = random_networks(8);
    for (const std::uint64_t seed : {1U, 2U, 3U}) {
        SynthesisParameters parameters;
        parameters.seed = seed;
        const Fleet fleet = synthesize_fleet(model, parameters, networks, 1, 11);
        const Clustering clustering = cluster_devices(fleet, by_density());
        const auto& cluster = clustering.cluster_of_device;
        const auto noise = std::count(cluster.begin(), cluster.end(), -1);
        CAPTURE(seed, clustering.facts.eps, clustering.clusters(), noise);
        CHECK(clustering.clusters() >= 4);
        CHECK(clustering.clusters() <= 10);
        CHECK(noise >= 20);
        CHECK(noise <= 160);
        CHECK(clustering.cluster_weight[0] > 0.6);
        CHECK(clustering.cluster_weight[1] > 0.05);
    }
}
