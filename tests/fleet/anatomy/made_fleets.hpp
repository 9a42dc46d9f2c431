#pragma once

#include "hdap/core/random.hpp"
#include "hdap/fleet/fleet.hpp"

#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

namespace hdap::test {

/// What a fleet is made of: standard deviations of log latencies.
struct MadeOf {
    std::size_t devices = 1000;
    std::size_t benchmarks = 8;
    double speed = 0.0;
    double noise = 0.0;
    std::size_t factors = 0; ///< of the shape
    double shape = 0.0;      ///< of all factors together, per benchmark
    double missing = 0.0;    ///< share
    std::uint32_t number = 0;
};

/// Orthonormal directions of shapes: cosines, none of which has a part of overall speed.
inline double cosine(std::size_t factor, std::size_t benchmark, std::size_t benchmarks) {
    const double pi = std::acos(-1.0);
    return std::sqrt(2.0) *
           std::cos(pi * static_cast<double>(factor + 1) * (static_cast<double>(benchmark) + 0.5) /
                    static_cast<double>(benchmarks));
}

/// A fleet without labels whose parts are known; benchmark b takes about 10 · (b + 1) ms.
inline fleet::Fleet made_fleet(const MadeOf& of) {
    core::RandomStream random(15, core::StreamId::testing, of.number);
    fleet::Fleet fleet;
    fleet.sku = "board";
    for (std::size_t b = 0; b < of.benchmarks; ++b)
        fleet.benchmark_names.push_back("net-" + std::to_string(b));
    const double of_factor =
        of.factors == 0 ? 0.0 : of.shape / std::sqrt(static_cast<double>(of.factors));
    for (std::size_t i = 0; i < of.devices; ++i) {
        fleet.device_ids.push_back("device-" + std::to_string(i));
        std::vector<double> row(of.benchmarks, of.speed * random.normal());
        for (std::size_t f = 0; f < of.factors; ++f) {
            const double score = of_factor * random.normal();
            for (std::size_t b = 0; b < of.benchmarks; ++b)
                row[b] += score * cosine(f, b, of.benchmarks);
        }
        for (std::size_t b = 0; b < of.benchmarks; ++b) {
            row[b] =
                10.0 * static_cast<double>(b + 1) * std::exp(row[b] + of.noise * random.normal());
            // Each device keeps one latency, and each benchmark.
            if (random.uniform() < of.missing && b != i % of.benchmarks)
                row[b] = std::numeric_limits<double>::quiet_NaN();
        }
        fleet.latency_ms.insert(fleet.latency_ms.end(), row.begin(), row.end());
    }
    return fleet;
}

/// Makes devices first … last − 1 slower by `factor` on benchmarks `from` and later.
inline void slow_down(fleet::Fleet& fleet, std::size_t first, std::size_t last, double factor,
                      std::size_t from = 0) {
    for (std::size_t i = first; i < last; ++i)
        for (std::size_t b = from; b < fleet.benchmarks(); ++b)
            fleet.latency_ms[i * fleet.benchmarks() + b] *= factor;
}

/// Noise of the same standard deviation on all benchmarks is variance[b] = sd².
inline std::vector<double> variances(const fleet::Fleet& fleet, double sd) {
    return std::vector<double>(fleet.benchmarks(), sd * sd);
}

} // namespace hdap::test
