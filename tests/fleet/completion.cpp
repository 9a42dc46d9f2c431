#include "hdap/fleet/completion.hpp"

#include "by_density.hpp"
#include "fleet/stability.hpp"
#include "hdap/core/random.hpp"
#include "hdap/fleet/clustering.hpp"
#include "hdap/fleet/synthesis.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <omp.h>

using namespace hdap;
using namespace hdap::fleet;

namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

/// [device][benchmark] latencies of 10 ms, 20 ms …, of devices that differ by a factor of `speed`
/// on all benchmarks, by one of `trait` on every second one, and by noise; each the standard
/// deviation of a log.
std::vector<double> latencies_of(std::size_t devices, std::size_t benchmarks, double speed,
                                 double trait, double noise) {
    core::RandomStream random(5, core::StreamId::testing);
    std::vector<double> latency_ms;
    for (std::size_t i = 0; i < devices; ++i) {
        const double common = speed * random.normal();
        const double other = trait * random.normal();
        for (std::size_t b = 0; b < benchmarks; ++b)
            latency_ms.push_back(
                10.0 * static_cast<double>(b + 1) *
                std::exp(common + (b % 2 == 0 ? other : 0.0) + noise * random.normal()));
    }
    return latency_ms;
}

/// Hides `share` of the latencies at random, but never all of a device.
std::vector<double> hidden(std::vector<double> latency_ms, std::size_t benchmarks, double share) {
    core::RandomStream random(6, core::StreamId::testing);
    for (std::size_t first = 0; first < latency_ms.size(); first += benchmarks) {
        const std::size_t kept = random.below(benchmarks);
        for (std::size_t b = 0; b < benchmarks; ++b)
            if (random.uniform() < share && b != kept) latency_ms[first + b] = unknown;
    }
    return latency_ms;
}

/// The standard deviation of the log of estimate ÷ truth, over what is missing.
double error_of(const std::vector<double>& estimate, const std::vector<double>& truth,
                const std::vector<double>& measured) {
    double sum = 0.0;
    double count = 0.0;
    for (std::size_t i = 0; i < truth.size(); ++i) {
        if (!std::isnan(measured[i])) continue;
        sum += std::pow(std::log(estimate[i] / truth[i]), 2.0);
        count += 1.0;
    }
    return std::sqrt(sum / count);
}

void check_complete(const std::vector<double>& complete, const std::vector<double>& measured) {
    REQUIRE(complete.size() == measured.size());
    for (std::size_t i = 0; i < complete.size(); ++i)
        if (std::isnan(measured[i]))
            CHECK((complete[i] > 0.0 && std::isfinite(complete[i])));
        else
            CHECK(complete[i] == measured[i]);
}

} // namespace

TEST_CASE("what was measured keeps its bits, and what is missing gets a latency") {
    const std::vector<double> full = latencies_of(50, 4, 0.1, 0.05, 0.01);
    CHECK(completed_latencies(full, 4) == full);
    const std::vector<double> measured = hidden(full, 4, 0.6);
    check_complete(completed_latencies(measured, 4), measured);
    CHECK(completed_latencies(measured, 4) == completed_latencies(measured, 4));
}

namespace {

/// Devices on two benchmarks, in logs relative to the medians.
using Pairs = std::vector<std::array<double, 2>>;

/// The variances of two benchmarks and their covariance.
using Scale = std::array<double, 3>;

/// What four more devices are taken to have: variances by mean absolute deviations, correlation
/// 0.9.
Scale prior_of(const Pairs& pairs) {
    double variance[2];
    double count[2] = {0.0, 0.0};
    for (std::size_t b = 0; b < 2; ++b) {
        double sum = 0.0;
        for (const auto& x : pairs) {
            if (std::isnan(x[b])) continue;
            sum += std::abs(x[b]);
            count[b] += 1.0;
        }
        variance[b] = std::acos(-1.0) / 2.0 * std::pow(sum / count[b], 2.0);
    }
    const double pooled =
        (count[0] * variance[0] + count[1] * variance[1]) / (count[0] + count[1]) + 1e-12;
    for (std::size_t b = 0; b < 2; ++b)
        variance[b] = (count[b] * variance[b] + pooled) / (count[b] + 1.0);
    return {variance[0], variance[1], 0.9 * std::sqrt(variance[0] * variance[1])};
}

/// The method for two benchmarks, written out: expectation-maximisation for a t distribution of 4
/// degrees of freedom.
struct PlainModel {
    Scale prior;
    Scale scale;
    std::array<double, 2> mean{};

    void fill(Pairs& pairs) const {
        for (auto& x : pairs)
            for (std::size_t b = 0; b < 2; ++b)
                if (std::isnan(x[b]))
                    x[b] = mean[b] + scale[2] / scale[1 - b] * (x[1 - b] - mean[1 - b]);
    }

    [[nodiscard]] double determinant() const { return scale[0] * scale[1] - scale[2] * scale[2]; }

    [[nodiscard]] double distance(const std::array<double, 2>& x) const {
        const double u = x[0] - mean[0];
        const double v = x[1] - mean[1];
        return (scale[1] * u * u - 2.0 * scale[2] * u * v + scale[0] * v * v) / determinant();
    }

    /// Returns the change relative to the largest variance.
    double improve(const Pairs& pairs) {
        Pairs filled = pairs;
        fill(filled);
        Scale sum{4 * prior[0], 4 * prior[1], 4 * prior[2]};
        std::vector<double> weight;
        for (std::size_t i = 0; i < pairs.size(); ++i) {
            double measured = 2.0;
            for (std::size_t b = 0; b < 2; ++b) {
                if (!std::isnan(pairs[i][b])) continue;
                sum[b] += determinant() / scale[1 - b];
                measured -= 1.0;
            }
            weight.push_back((4.0 + measured) / (4.0 + distance(filled[i])));
        }
        const double all = std::accumulate(weight.begin(), weight.end(), 0.0);
        mean = {0.0, 0.0};
        for (std::size_t i = 0; i < pairs.size(); ++i)
            for (std::size_t b = 0; b < 2; ++b)
                mean[b] += weight[i] * filled[i][b] / all;
        for (std::size_t i = 0; i < pairs.size(); ++i) {
            const double u = filled[i][0] - mean[0];
            const double v = filled[i][1] - mean[1];
            sum[0] += weight[i] * u * u;
            sum[1] += weight[i] * v * v;
            sum[2] += weight[i] * u * v;
        }
        double change = 0.0;
        for (std::size_t k = 0; k < 3; ++k) {
            sum[k] /= static_cast<double>(pairs.size()) + 4.0;
            change = std::max(change, std::abs(sum[k] - scale[k]));
        }
        scale = sum;
        return change / std::max({scale[0], scale[1], scale[2]});
    }
};

} // namespace

TEST_CASE("estimates are those of the method written out for two benchmarks") {
    // Both medians are 1 ms.
    const Pairs pairs{{0.0, 0.0},      {0.2, 0.3},      {-0.1, -0.2},   {0.3, unknown},
                      {unknown, -0.4}, {-0.3, unknown}, {unknown, 0.4}, {0.7, -0.1},
                      {0.1, 0.1},      {-0.2, unknown}, {0.05, -0.05},  {-0.15, unknown},
                      {unknown, 0.05}, {-0.4, -0.1},    {unknown, 0.2}};
    std::vector<double> latency_ms;
    for (const auto& x : pairs)
        for (const double value : x)
            latency_ms.push_back(std::exp(value));
    PlainModel model{.prior = prior_of(pairs), .scale = prior_of(pairs)};
    int steps = 1;
    while (model.improve(pairs) > 1e-4 && steps < 25)
        ++steps;
    CHECK(steps > 3);
    Pairs expected = pairs;
    model.fill(expected);
    const std::vector<double> complete = completed_latencies(latency_ms, 2);
    for (std::size_t i = 0; i < pairs.size(); ++i)
        for (std::size_t b = 0; b < 2; ++b)
            CHECK(std::log(complete[2 * i + b]) == Approx(expected[i][b]).margin(1e-12));
}

TEST_CASE("what devices have in common is found: errors are those of the best estimate") {
    // Benchmarks 0 and 2 share speed and trait, so each tells the other up to noise: the best
    // estimate of one from the other and from benchmark 1 errs by little more than √2 · 0.005.
    const std::vector<double> truth = latencies_of(3000, 3, 0.1, 0.08, 0.005);
    std::vector<double> measured = truth;
    for (std::size_t i = 0; i < 3000; i += 4)
        measured[3 * i] = unknown;
    const double error = error_of(completed_latencies(measured, 3), truth, measured);
    CHECK(error > 0.9 * std::sqrt(2.0) * 0.005);
    CHECK(error < 1.05 * std::sqrt(2.0) * 0.005);
    // Of benchmark 1 alone, the trait is left over.
    for (std::size_t i = 0; i < 3000; i += 4)
        measured[3 * i + 2] = unknown;
    CHECK(error_of(completed_latencies(measured, 3), truth, measured) ==
          Approx(0.08).epsilon(0.08));
}

TEST_CASE("a device twice as slow is expected to be so, and hardly moves others' estimates") {
    const std::vector<double> truth = latencies_of(60, 6, 0.05, 0.02, 0.005);
    const std::vector<double> measured = hidden(truth, 6, 0.2);
    const std::vector<double> usual = completed_latencies(measured, 6);
    std::vector<double> slow = measured;
    for (std::size_t b = 0; b < 6; ++b)
        slow[b] = 10.0 * static_cast<double>(b + 1) * (b == 2 || b == 5 ? unknown : 2.0);
    const std::vector<double> complete = completed_latencies(slow, 6);
    CHECK(complete[2] == Approx(60.0).epsilon(0.05));
    CHECK(complete[5] == Approx(120.0).epsilon(0.05));
    for (std::size_t i = 6; i < complete.size(); ++i)
        CHECK(complete[i] == Approx(usual[i]).epsilon(0.005)); // the noise
}

TEST_CASE("devices that share no benchmark are expected to be as fast on the other's") {
    std::vector<double> measured = latencies_of(40, 2, 0.1, 0.0, 0.002);
    for (std::size_t i = 0; i < 40; ++i)
        measured[2 * i + (i < 20 ? 1 : 0)] = unknown;
    const std::vector<double> complete = completed_latencies(measured, 2);
    check_complete(complete, measured);
    for (std::size_t i = 1; i < 20; ++i) {
        CHECK((complete[2 * i] < complete[0]) == (complete[2 * i + 1] < complete[1]));
        CHECK(complete[2 * i + 1] / complete[2 * i] == Approx(2.0).epsilon(0.25));
    }
}

TEST_CASE("a device of one benchmark, and a benchmark of one device, are completed") {
    std::vector<double> measured = latencies_of(30, 5, 0.1, 0.0, 0.002);
    const double twice = 2.0 * measured[5 * 3 + 4];
    for (std::size_t b = 1; b < 5; ++b)
        measured[b] = unknown;
    for (std::size_t i = 0; i < 30; ++i)
        measured[5 * i + 4] = i == 3 ? twice : unknown;
    const std::vector<double> complete = completed_latencies(measured, 5);
    check_complete(complete, measured);
    // All benchmarks move together here; of the last one, only its level in device 3 is known.
    CHECK(complete[1] / complete[0] == Approx(2.0).epsilon(0.02));
    CHECK(complete[4] > 0.5 * twice);
    CHECK(complete[4] < 2.0 * twice);
}

TEST_CASE("devices that are all alike are completed by what they all take") {
    std::vector<double> measured = latencies_of(10, 3, 0.0, 0.0, 0.0);
    measured[4] = measured[11] = unknown;
    const std::vector<double> complete = completed_latencies(measured, 3);
    CHECK(complete[4] == Approx(20.0));
    CHECK(complete[11] == Approx(30.0));
}

TEST_CASE("more benchmarks than devices, and more than a covariance is learned of") {
    for (const std::size_t benchmarks : {40U, 1100U}) {
        const std::vector<double> truth = latencies_of(12, benchmarks, 0.2, 0.0, 0.01);
        const std::vector<double> measured = hidden(truth, benchmarks, 0.2);
        const std::vector<double> complete = completed_latencies(measured, benchmarks);
        check_complete(complete, measured);
        CAPTURE(benchmarks);
        CHECK(error_of(complete, truth, measured) < 0.015); // the noise is 0.01
    }
}

TEST_CASE("a unit that is a thousand times off does not spoil the rest") {
    const std::vector<double> truth = latencies_of(200, 6, 0.05, 0.02, 0.005);
    std::vector<double> measured = hidden(truth, 6, 0.2);
    const std::vector<double> usual = completed_latencies(measured, 6);
    for (std::size_t b = 0; b < 6; ++b)
        measured[6 * 7 + b] *= 1000.0;
    measured[6 * 11] = 1000.0 * truth[6 * 11];
    std::vector<double> complete = completed_latencies(measured, 6);
    std::vector<double> others = measured;
    for (const std::size_t odd : {7U, 11U})
        for (std::size_t b = 0; b < 6; ++b)
            others[6 * odd + b] = truth[6 * odd + b];
    const double error = error_of(complete, truth, others);
    CAPTURE(error, error_of(usual, truth, others));
    CHECK(error < 2.0 * error_of(usual, truth, others));
}

namespace {

/// 2,000 Jetson Xavier NX on eight networks, of more or less depthwise layers.
Fleet synthetic_fleet() {
    std::vector<BenchmarkNetwork> networks;
    for (std::int64_t n = 0; n < 8; ++n) {
        BenchmarkNetwork network{"network-" + std::to_string(n), {}, {}};
        for (std::int64_t i = 0; i < 12; ++i) {
            const bool depthwise = i < n;
            const std::int64_t channels = 32 * (1 + (i * (n + 3)) % 7);
            const std::int64_t filter = depthwise ? 9 : channels;
            network.layers.push_back({.name = "layer",
                                      .kind = depthwise ? network::LayerKind::depthwise
                                                        : network::LayerKind::convolution,
                                      .input_channels = channels,
                                      .output_channels = channels,
                                      .macs = filter * channels * 56 * 56,
                                      .parameters = filter * channels,
                                      .input_elements = channels * 56 * 56,
                                      .output_elements = channels * 56 * 56});
        }
        networks.push_back(std::move(network));
    }
    SynthesisParameters parameters;
    parameters.devices = 2000;
    return synthesize_fleet(device_model("jetson_xavier_nx"), parameters, networks, 1, 11);
}

/// [benchmark] the fleet's mean as a search sees it: latencies of representatives, as `truth` has
/// them, times the ratios of the devices that they stand for.
std::vector<double> mean_by_clusters(const Clustering& clustering, const Fleet& truth) {
    std::vector<double> mean(truth.benchmarks(), 0.0);
    for (std::size_t b = 0; b < mean.size(); ++b)
        for (std::size_t k = 0; k < clustering.clusters(); ++k) {
            double latency = 0.0;
            for (const std::int32_t device : clustering.representatives[k])
                latency +=
                    truth.latency_ms[static_cast<std::size_t>(device) * truth.benchmarks() + b];
            mean[b] += clustering.cluster_weight[k] * clustering.cluster_mean_ratio[k] * latency /
                       static_cast<double>(clustering.representatives[k].size());
        }
    return mean;
}

std::vector<double> mean_of(const std::vector<double>& latency_ms, std::size_t benchmarks) {
    std::vector<double> mean(benchmarks, 0.0);
    for (std::size_t i = 0; i < latency_ms.size(); ++i)
        mean[i % benchmarks] += latency_ms[i] * static_cast<double>(benchmarks) /
                                static_cast<double>(latency_ms.size());
    return mean;
}

} // namespace

TEST_CASE("a fleet of which a fifth is missing has the mean and the clusters of the full one") {
    const Fleet full = synthetic_fleet();
    const Clustering before = cluster_devices(full, by_density());
    REQUIRE(before.clusters() >= 3);
    Fleet fleet = full;
    fleet.latency_ms = hidden(full.latency_ms, 8, 0.2);
    CHECK(missing_latencies(fleet) > 2500);
    omp_set_num_threads(1);
    const Clustering after = cluster_devices(fleet, by_density());
    omp_set_num_threads(2);
    const Clustering again = cluster_devices(fleet, by_density());
    omp_set_num_threads(1);
    CHECK(again.cluster_of_device == after.cluster_of_device);
    CHECK(again.device_ratio == after.device_ratio);
    CHECK(again.representatives == after.representatives);

    CHECK(adjusted_rand_index(before.assigned_cluster, after.assigned_cluster) > 0.97);
    for (std::size_t k = 0; k < 2; ++k)
        CHECK(after.cluster_weight[k] == Approx(before.cluster_weight[k]).margin(0.01));
    const std::vector<double> truth = mean_of(full.latency_ms, 8);
    const std::vector<double> estimated = mean_of(completed_latencies(fleet.latency_ms, 8), 8);
    const std::vector<double> by_clusters = mean_by_clusters(after, full);
    for (std::size_t b = 0; b < 8; ++b) {
        CHECK(estimated[b] == Approx(truth[b]).epsilon(0.0005));
        CHECK(by_clusters[b] == Approx(truth[b]).epsilon(0.005));
    }
}
