// Groups of devices that ran the benchmarks under continuous load, too.
#include "fleet/random_networks_of_layers.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/fleet/clustering.hpp"
#include "hdap/fleet/distribution.hpp"
#include "hdap/fleet/mixtures.hpp"
#include "hdap/fleet/operating_point.hpp"
#include "hdap/fleet/synthesis.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

using namespace hdap;
using namespace hdap::fleet;
using testing::random_network;
using testing::random_networks;

namespace {

/// So many images keep a phone busy until it is hot.
constexpr std::int64_t batch = 64;

SynthesisParameters hot_phones() {
    SynthesisParameters parameters;
    parameters.preset = "phone";
    parameters.mixture = "hostile";
    apply_mixture(parameters);
    parameters.devices = 600;
    parameters.ambient_c = 30.0;
    return parameters;
}

std::vector<BenchmarkNetwork> with_load(std::vector<BenchmarkNetwork> networks) {
    const std::size_t count = networks.size();
    for (std::size_t b = 0; b < count; ++b) {
        networks.push_back(networks[b]);
        networks.back().name += "-under-load";
        networks.back().quantity = Quantity::sustained_latency;
    }
    return networks;
}

/// The largest relative error of the fleet's mean under load over networks that are no benchmarks,
/// as told from the true latencies of each cluster's first representative.
double error_of_mean_under_load(const std::vector<BenchmarkNetwork>& benchmarks) {
    const SynthesisParameters parameters = hot_phones();
    const DeviceModel model = device_model(parameters.preset);
    const auto conditions = synthesize_conditions(model, parameters);
    const Clustering clustering =
        cluster_devices(synthesize_fleet(model, parameters, benchmarks, batch, 10), {});
    const FleetDistribution fleet = distribution_of(clustering);
    double largest = 0.0;
    for (std::uint32_t n = 100; n < 110; ++n) {
        const NetworkWork work = network_work(model, random_network(n).layers, batch);
        std::vector<double> true_ms;
        for (const DeviceCondition& condition : conditions)
            true_ms.push_back(true_value(Quantity::sustained_latency, model, condition, work));
        std::vector<double> cluster_ms;
        for (const auto& devices : clustering.representatives) {
            std::vector<double> of_usual_speed;
            for (const std::int32_t device : devices)
                of_usual_speed.push_back(true_ms[static_cast<std::size_t>(device)] /
                                         clustering.device_ratio[static_cast<std::size_t>(device)]);
            cluster_ms.push_back(core::mean(of_usual_speed));
        }
        largest = std::max(
            largest, std::abs(mean_latency_ms(fleet, cluster_ms) / core::mean(true_ms) - 1.0));
    }
    return largest;
}

} // namespace

TEST_CASE(
    "groups by benchmarks under load tell the fleet's mean under load, those without do not") {
    const double without = error_of_mean_under_load(random_networks(6));
    const double with = error_of_mean_under_load(with_load(random_networks(6)));
    CAPTURE(without, with);
    CHECK(with < 0.02);
    CHECK(without > 2.0 * with);
}
