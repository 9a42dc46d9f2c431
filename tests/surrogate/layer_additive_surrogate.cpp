#include "surrogate/layer_additive_surrogate.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/fleet/operating_point.hpp"
#include "hdap/fleet/random_networks.hpp"
#include "surrogate/owned_network.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>
#include <vector>

using namespace hdap;
using network::Genome;
using surrogate::fit_layer_additive_surrogate;
using test::OwnedNetwork;
using test::profile_of;
using test::Truth;

namespace {

/// Devices of the simulator: usual, slow memory, slow GPU, slow CPU.
Truth simulated(const OwnedNetwork& network) {
    std::vector<fleet::DeviceCondition> conditions(4);
    conditions[1].memory_clock_factor = 0.35;
    conditions[2].gpu_clock_factor = 0.45;
    conditions[3].cpu_clock_factor = 0.2;
    return [&network, conditions, model = fleet::device_model("jetson_xavier_nx")](
               const Genome& genome, std::size_t cluster) {
        return fleet::latency_ms(model, conditions[cluster], network.costs.layers(genome),
                                 network.batch);
    };
}

/// A device whose every layer has an efficiency of its own, and which computes channels in waves.
Truth uneven(const OwnedNetwork& network) {
    return [&network](const Genome& genome, std::size_t cluster) {
        double sum = 0.05;
        const auto layers = network.costs.layers(genome);
        for (std::size_t l = 0; l < layers.size(); ++l) {
            const auto macs = static_cast<double>(layers[l].macs);
            const auto elements =
                static_cast<double>(layers[l].input_elements + layers[l].output_elements);
            const double own = 1.0 + 0.5 * std::sin(static_cast<double>(7 * l));
            const double wave = std::ceil(static_cast<double>(layers[l].output_channels) / 48.0) *
                                48.0 / static_cast<double>(layers[l].output_channels);
            sum += 3e-9 * macs * own * wave * static_cast<double>(1 + cluster) + 4e-9 * elements +
                   0.002;
        }
        return sum;
    };
}

/// Mean relative error over candidates that were not in the profile.
double error_of(const surrogate::Surrogate& fitted, const OwnedNetwork& network, const Truth& truth,
                std::size_t cluster) {
    const auto genomes = fleet::profile_genomes(network.space, 77, 200);
    std::vector<double> predicted(genomes.size() * fitted.clusters());
    fitted.predict(genomes, predicted, 2);
    std::vector<double> errors;
    for (std::size_t i = 0; i < genomes.size(); ++i)
        errors.push_back(std::abs(
            predicted[i * fitted.clusters() + cluster] / truth(genomes[i], cluster) - 1.0));
    return core::mean(errors);
}

} // namespace

TEST_CASE(
    "a sum of layers learns simulated devices of four kinds from forty measurements of each") {
    OwnedNetwork network("mobilenet_v1", 8, 1.0, 96);
    network.batch = 16;
    const Truth truth = simulated(network);
    const auto fitted =
        fit_layer_additive_surrogate(profile_of(network, truth, 4, 40), network.view(), 2, 5);
    for (std::size_t k = 0; k < 4; ++k) {
        INFO("cluster " << k);
        CHECK(error_of(*fitted, network, truth, k) < 0.01);
        CHECK(fitted->cross_validation()[k].mape < 0.02);
        CHECK(fitted->cross_validation()[k].kendall_tau > 0.95);
    }
}

TEST_CASE(
    "a sum of layers learns what is no roofline better than forests do from ten times as much") {
    const OwnedNetwork network("mobilenet_v1", 1, 1.0, 96);
    const Truth truth = uneven(network);
    const auto fitted =
        fit_layer_additive_surrogate(profile_of(network, truth, 2, 100), network.view(), 2, 5);
    const auto forests = surrogate::fit_surrogate(
        profile_of(network, truth, 2, 1000), {.kind = "gbrt", .gbrt = {}}, network.view(), 2, 0);
    for (std::size_t k = 0; k < 2; ++k) {
        INFO("cluster " << k);
        const double error = error_of(*fitted, network, truth, k);
        CHECK(error < 0.03);
        CHECK(error < error_of(*forests, network, truth, k));
    }
}

TEST_CASE("outliers among the measurements hardly move a sum of layers") {
    OwnedNetwork network("mobilenet_v1", 8, 1.0, 96);
    const Truth truth = simulated(network);
    fleet::Profile profile = profile_of(network, truth, 1, 60);
    for (const std::size_t i : {5U, 17U, 23U, 42U})
        profile.latency_ms[i] *= 4.0;
    CHECK(error_of(*fit_layer_additive_surrogate(profile, network.view(), 1, 5), network, truth,
                   0) < 0.015);
}

TEST_CASE("a sum of layers has the same bits on any threads, and survives its file") {
    const OwnedNetwork network;
    const auto profile = profile_of(network, uneven(network), 3, 40);
    const auto one = fit_layer_additive_surrogate(profile, network.view(), 1, 5);
    const auto three = fit_layer_additive_surrogate(profile, network.view(), 3, 5);
    storage::Hdf5Writer file;
    surrogate::write_surrogate(file, *three);
    const auto back = surrogate::read_surrogate(
        storage::Hdf5Reader::from_bytes(file.finish(), "s.h5"), network.view());
    const auto genomes = fleet::profile_genomes(network.space, 5, 50);
    std::vector<double> of_one(150);
    std::vector<double> of_three(150);
    std::vector<double> of_back(150);
    one->predict(genomes, of_one, 1);
    three->predict(genomes, of_three, 3);
    back->predict(genomes, of_back, 2);
    CHECK(of_one == of_three);
    CHECK(of_one == of_back);
    for (std::size_t k = 0; k < 3; ++k)
        CHECK(back->cross_validation()[k].mape == one->cross_validation()[k].mape);
    // More channels never take less, where they are aligned.
    CHECK(*std::min_element(of_one.begin(), of_one.end()) > 0.0);
}

TEST_CASE("a sum of layers refuses what it cannot be fitted to, and files of other networks") {
    const OwnedNetwork network;
    const auto profile = profile_of(network, uneven(network), 1, 20);
    CHECK_THROWS_AS(fit_layer_additive_surrogate(profile, network.view(), 1, 1), core::ConfigError);
    CHECK_THROWS_AS(fit_layer_additive_surrogate(profile, network.view(), -1, 5),
                    core::ConfigError);
    const OwnedNetwork other("resnet20");
    CHECK_THROWS_WITH(fit_layer_additive_surrogate(profile, other.view(), 1, 5),
                      Catch::Contains("another network"));
    CHECK_THROWS_WITH(fit_layer_additive_surrogate(profile_of(network, uneven(network), 1, 2),
                                                   network.view(), 1, 5),
                      Catch::Contains("at least 3 candidates, the profile has 2"));
    storage::Hdf5Writer file;
    surrogate::write_surrogate(file, *fit_layer_additive_surrogate(profile, network.view(), 1, 5));
    const auto reader = storage::Hdf5Reader::from_bytes(file.finish(), "s.h5");
    CHECK_THROWS_WITH(surrogate::read_surrogate(reader, other.view()),
                      Catch::Contains("another network"));
    OwnedNetwork batched;
    batched.batch = 16;
    CHECK_THROWS_WITH(surrogate::read_surrogate(reader, batched.view()),
                      Catch::Contains("batch of 1, the study's is 16"));
}

TEST_CASE("constant latencies and three candidates make a surrogate that tells them") {
    const OwnedNetwork network;
    const Truth constant = [](const Genome&, std::size_t) { return 5.0; };
    const auto flat = fit_layer_additive_surrogate(profile_of(network, constant, 1, 30, 0.0),
                                                   network.view(), 1, 5);
    CHECK(error_of(*flat, network, constant, 0) < 0.01);
    const auto few = fit_layer_additive_surrogate(profile_of(network, uneven(network), 2, 3),
                                                  network.view(), 1, 5);
    CHECK(error_of(*few, network, uneven(network), 0) < 1.0);
}

TEST_CASE("a sum of layers refuses rates and weights that cannot be") {
    const OwnedNetwork network;
    const auto layers =
        static_cast<Eigen::Index>(network.costs.layers(network.space.unpruned()).size());
    surrogate::LayerAdditiveModel model;
    model.log_rates = {surrogate::LogRates::Zero()};
    model.weights = surrogate::roofline_weights().transpose().replicate(layers, 1);
    const auto refusal = [&](auto damage) -> std::string {
        surrogate::LayerAdditiveModel damaged = model;
        damage(damaged);
        try {
            const surrogate::LayerAdditiveSurrogate made(damaged, {}, {{}}, network.view());
        } catch (const core::DataError& error) {
            return error.what();
        }
        return "";
    };
    CHECK(refusal([](auto&) {}).empty());
    const double nan = std::numeric_limits<double>::quiet_NaN();
    CHECK_THAT(refusal([nan](auto& of) { of.log_rates[0][2] = nan; }),
               Catch::Contains("cluster 0"));
    CHECK_THAT(refusal([](auto& of) { of.log_rates[0][2] = 800; }), Catch::Contains("800"));
    CHECK_THAT(refusal([](auto& of) { of.log_rates.clear(); }), Catch::Contains("per cluster"));
    CHECK_THAT(refusal([](auto& of) { of.weights(1, 1) = -0.1; }), Catch::Contains("weight"));
    CHECK_THAT(refusal([nan](auto& of) { of.weights(1, 1) = nan; }), Catch::Contains("weight"));
    CHECK_THAT(refusal([](auto& of) { of.weights.conservativeResize(3, Eigen::NoChange); }),
               Catch::Contains("3 layers"));
}
