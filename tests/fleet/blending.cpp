#include "fleet/blending.hpp"

#include "hdap/core/random.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

using namespace hdap;
using namespace hdap::fleet;

namespace {

constexpr std::size_t benchmarks = 6;

/// A device's latencies, of the clusters' by `weights`, with a relative scatter.
std::vector<double> mixed(const std::vector<double>& reference_ms,
                          const std::vector<double>& weights, double sigma,
                          core::RandomStream& random) {
    std::vector<double> latency(benchmarks, 0.0);
    for (std::size_t b = 0; b < benchmarks; ++b) {
        for (std::size_t k = 0; k < weights.size(); ++k)
            latency[b] += weights[k] * reference_ms[k * benchmarks + b];
        latency[b] *= std::exp(sigma * random.normal());
    }
    return latency;
}

std::vector<double> random_references(std::size_t clusters, core::RandomStream& random) {
    std::vector<double> reference;
    for (std::size_t i = 0; i < clusters * benchmarks; ++i)
        reference.push_back(5.0 + 10.0 * random.uniform());
    return reference;
}

double overall_ratio(const std::vector<double>& latency, const std::vector<double>& reference_ms,
                     std::size_t cluster) {
    double sum = 0.0;
    for (std::size_t b = 0; b < benchmarks; ++b)
        sum += std::log(latency[b] / reference_ms[cluster * benchmarks + b]);
    return std::exp(sum / benchmarks);
}

/// What blended() minimises, written out.
double objective(const std::vector<double>& weights, const std::vector<double>& latency,
                 const std::vector<double>& reference_ms, double ratio, double ridge) {
    double value = 0.0;
    std::vector<double> scale(weights.size(), 0.0);
    for (std::size_t b = 0; b < benchmarks; ++b) {
        double told = 0.0;
        for (std::size_t k = 0; k < weights.size(); ++k) {
            const double relative = reference_ms[k * benchmarks + b] / latency[b];
            told += weights[k] * relative;
            scale[k] += relative / benchmarks;
        }
        value += (1.0 - told) * (1.0 - told) / benchmarks;
    }
    for (std::size_t k = 0; k < weights.size(); ++k) {
        const double away = scale[k] * (weights[k] - (k == 0 ? ratio : 0.0));
        value += ridge * away * away;
    }
    return value;
}

} // namespace

TEST_CASE("devices between two clusters are told from both, others from their own") {
    core::RandomStream random(3, core::StreamId::testing);
    // The second cluster is slow where networks need the second half of the benchmarks' resource.
    const std::vector<double> reference{10, 11, 12, 10, 11, 12, 12, 12, 15, 18, 22, 26};
    std::vector<double> latency;
    const std::vector<double> shares{0.0, 0.25, 0.5, 0.75, 1.0};
    std::vector<double> ratio;
    std::vector<std::int32_t> assigned;
    for (const double share : shares) {
        const auto row = mixed(reference, {1.0 - share, share}, 0.0, random);
        latency.insert(latency.end(), row.begin(), row.end());
        assigned.push_back(share > 0.5 ? 1 : 0);
        ratio.push_back(overall_ratio(row, reference, share > 0.5 ? 1 : 0));
    }
    const BlendTask task{.latency_ms = latency,
                         .benchmarks = benchmarks,
                         .reference_ms = reference,
                         .assigned = assigned,
                         .ratio = ratio};
    const DeviceBlends told = blended(task, 2, 1e-6);
    CHECK(told.blend[0] == 0);
    CHECK(told.blend[4] == 1);
    CHECK(std::vector<double>(told.blends.begin(), told.blends.begin() + 4) ==
          std::vector<double>{1, 0, 0, 1});
    for (const std::size_t i : {1U, 2U, 3U}) {
        REQUIRE(told.blend[i] >= 2);
        const auto row = static_cast<std::size_t>(told.blend[i]);
        CHECK(ratio[i] * told.blends[2 * row] == Approx(1.0 - shares[i]).margin(0.01));
        CHECK(ratio[i] * told.blends[2 * row + 1] == Approx(shares[i]).margin(0.01));
    }
    // With a ridge that is large enough every device is its own cluster's.
    CHECK(blended(task, 2, 1e4).blend == assigned);
    CHECK(unblended(task, 2).blend == assigned);
}

TEST_CASE("a combination is the best one that is not negative") {
    constexpr double ridge = 1e-3;
    int combined = 0;
    for (std::uint32_t draw = 0; draw < 200; ++draw) {
        core::RandomStream random(11, core::StreamId::testing, draw);
        const std::size_t clusters = 2 + random.below(4);
        const auto reference = random_references(clusters, random);
        std::vector<double> weights(clusters);
        for (double& weight : weights)
            weight = random.uniform();
        const auto latency = mixed(reference, weights, 0.05, random);
        const std::vector<double> ratio{overall_ratio(latency, reference, 0)};
        const std::vector<std::int32_t> assigned{0};
        const DeviceBlends told = blended({.latency_ms = latency,
                                           .benchmarks = benchmarks,
                                           .reference_ms = reference,
                                           .assigned = assigned,
                                           .ratio = ratio},
                                          clusters, ridge);
        if (told.blend[0] == 0) continue; // rounded to its own cluster
        ++combined;
        // Of one device, the blend is its combination.
        std::vector<double> found(told.blends.end() - static_cast<std::ptrdiff_t>(clusters),
                                  told.blends.end());
        for (double& weight : found)
            weight *= ratio[0];
        const double least = objective(found, latency, reference, ratio[0], ridge);
        for (std::size_t k = 0; k < clusters; ++k)
            for (const double step : {-1e-3, 1e-3}) {
                std::vector<double> other = found;
                other[k] = std::max(0.0, other[k] + step);
                CHECK(objective(other, latency, reference, ratio[0], ridge) >= least - 1e-9);
            }
    }
    CHECK(combined > 100);
}

TEST_CASE("there are never more than 128 blends, and the rarest devices keep their cluster") {
    constexpr std::size_t clusters = 12;
    core::RandomStream random(13, core::StreamId::testing);
    const auto reference = random_references(clusters, random);
    std::vector<double> latency;
    std::vector<double> ratio;
    std::vector<std::int32_t> assigned;
    for (std::size_t i = 0; i < 3000; ++i) {
        std::vector<double> weights(clusters, 0.0);
        weights[random.below(clusters)] = 0.2 + random.uniform();
        weights[random.below(clusters)] = 0.2 + random.uniform();
        const auto row = mixed(reference, weights, 0.01, random);
        latency.insert(latency.end(), row.begin(), row.end());
        const std::size_t own = random.below(clusters);
        assigned.push_back(i % 50 == 0 ? -1 : static_cast<std::int32_t>(own));
        ratio.push_back(overall_ratio(row, reference, own));
    }
    const DeviceBlends told = blended({.latency_ms = latency,
                                       .benchmarks = benchmarks,
                                       .reference_ms = reference,
                                       .assigned = assigned,
                                       .ratio = ratio},
                                      clusters, 1e-4);
    CHECK(told.blends.size() == (clusters + 128) * clusters);
    CHECK(std::ranges::all_of(told.blends, [](double weight) { return weight >= 0.0; }));
    for (std::size_t i = 0; i < assigned.size(); ++i) {
        if (assigned[i] < 0) CHECK(told.blend[i] == -1);
        if (told.blend[i] < static_cast<std::int32_t>(clusters))
            CHECK(told.blend[i] == assigned[i]);
    }
}
