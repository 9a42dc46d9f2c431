#include "hdap/fleet/measurement.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/core/text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <time.h>

namespace hdap::fleet {
namespace {

constexpr int stable_runs = 3;
constexpr double stable_gain = 0.01;

void check_count(const char* name, std::int64_t value, std::int64_t least) {
    constexpr std::int64_t most = 10'000;
    if (value < least || value > most)
        throw core::ConfigError(
            fmt::format("{} is {}, must be in [{}, {}]", name, value, least, most));
}

/// One run of network `i`, in ms.
double timed_run(const Measurable& measurable, std::size_t i) {
    const double start = measurable.clock();
    measurable.run(i);
    const double latency = measurable.clock() - start;
    if (!(latency >= 0.0))
        throw core::InternalError(fmt::format("the clock went backwards by {} ms during a run",
                                              core::shortest(-latency)));
    // A latency is positive, even where a clock ticks more slowly than a network runs.
    return std::max(latency, 1e-6);
}

void warm_up(const Measurable& measurable, std::size_t i, std::int64_t most_runs) {
    double fastest = std::numeric_limits<double>::infinity();
    int stable = 0;
    for (std::int64_t run = 0; run < most_runs && stable < stable_runs; ++run) {
        const double latency = timed_run(measurable, i);
        stable = latency < (1.0 - stable_gain) * fastest ? 0 : stable + 1;
        fastest = std::min(fastest, latency);
    }
}

double fastest_run(const Measurable& measurable, std::size_t i, std::int64_t runs) {
    double fastest = std::numeric_limits<double>::infinity();
    for (std::int64_t run = 0; run < runs; ++run)
        fastest = std::min(fastest, timed_run(measurable, i));
    return fastest;
}

/// The rounds `first`, `first` + 2, …
std::vector<double> every_other_round(std::span<const double> round_latency_ms,
                                      std::size_t networks, std::size_t first) {
    std::vector<double> half;
    for (std::size_t at = first * networks; at < round_latency_ms.size(); at += 2 * networks) {
        const auto round = round_latency_ms.subspan(at, networks);
        half.insert(half.end(), round.begin(), round.end());
    }
    return half;
}

} // namespace

void check_measurement(const MeasurementParameters& parameters) {
    check_count("rounds", parameters.rounds, 2);
    check_count("runs", parameters.runs, 1);
    check_count("warmup", parameters.warmup, 0);
    if (!(parameters.quantile >= 0.0 && parameters.quantile <= 1.0))
        throw core::ConfigError(
            fmt::format("quantile is {}, must be in [0, 1]", core::shortest(parameters.quantile)));
}

double monotonic_ms() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e3 * static_cast<double>(now.tv_sec) + 1e-6 * static_cast<double>(now.tv_nsec);
}

std::vector<std::size_t> measurement_order(std::size_t networks, std::int64_t round,
                                           std::uint64_t seed) {
    if (networks == 0) throw core::InternalError("there is no network to be measured");
    const auto block = static_cast<std::size_t>(round) / networks;
    const std::size_t row = static_cast<std::size_t>(round) % networks;
    core::RandomStream random(seed, core::StreamId::measurement_order,
                              static_cast<std::uint32_t>(block / 2));
    const std::vector<std::size_t> roles = random.permutation(networks);
    // Rows of the blocks are taken in random order, too: neighbours in time are not neighbours in
    // the design.
    const std::size_t shift = random.permutation(networks)[row];
    std::vector<std::size_t> order;
    for (std::size_t place = 0; place < networks; ++place) {
        // 0, n − 1, 1, n − 2, …: its steps are all different, which is what balances neighbours.
        const std::size_t step = place % 2 == 0 ? place / 2 : networks - (place + 1) / 2;
        order.push_back(roles[(step + shift) % networks]);
    }
    if (block % 2 == 1) std::reverse(order.begin(), order.end());
    return order;
}

std::optional<RoundLatencies> measure_rounds(const Measurable& measurable,
                                             const MeasurementParameters& parameters,
                                             const MeasurementObserver& observer) {
    check_measurement(parameters);
    const std::size_t networks = measurable.networks;
    if (networks == 0) throw core::InternalError("there is no network to be measured");
    MeasurementProgress progress{.total_visits =
                                     parameters.rounds * static_cast<std::int64_t>(networks)};
    for (std::size_t i = 0; i < networks; ++i) {
        if (observer && !observer(progress)) return std::nullopt;
        warm_up(measurable, i, parameters.warmup);
    }
    RoundLatencies latencies(static_cast<std::size_t>(parameters.rounds) * networks);
    for (std::int64_t round = 0; round < parameters.rounds; ++round) {
        progress.round = round + 1;
        for (const std::size_t i : measurement_order(networks, round, parameters.seed)) {
            if (observer && !observer(progress)) return std::nullopt;
            latencies[static_cast<std::size_t>(round) * networks + i] =
                fastest_run(measurable, i, parameters.runs);
            ++progress.visits;
        }
    }
    return latencies;
}

std::vector<double> latency_estimates(std::span<const double> round_latency_ms,
                                      std::size_t networks, double quantile) {
    if (networks == 0 || round_latency_ms.empty() || round_latency_ms.size() % networks != 0 ||
        !(quantile >= 0.0 && quantile <= 1.0))
        throw core::InternalError(
            fmt::format("no estimate from {} latencies of {} networks, quantile {}",
                        round_latency_ms.size(), networks, core::shortest(quantile)));
    std::vector<double> estimates;
    for (std::size_t i = 0; i < networks; ++i) {
        std::vector<double> column;
        for (std::size_t at = i; at < round_latency_ms.size(); at += networks)
            column.push_back(round_latency_ms[at]);
        estimates.push_back(core::quantile(std::move(column), quantile));
    }
    return estimates;
}

SplitHalfReliability split_half_reliability(std::span<const double> round_latency_ms,
                                            std::size_t networks, double quantile) {
    const auto half = [&](std::size_t first) {
        return latency_estimates(every_other_round(round_latency_ms, networks, first), networks,
                                 quantile);
    };
    const std::vector<double> even = half(0);
    const std::vector<double> odd = half(1);
    std::vector<double> differences;
    for (std::size_t i = 0; i < networks; ++i)
        differences.push_back(2.0 * std::abs(even[i] - odd[i]) / (even[i] + odd[i]));
    return {.kendall_tau = networks < 2 ? std::numeric_limits<double>::quiet_NaN()
                                        : core::kendall_tau(even, odd),
            .median_difference = core::median(std::move(differences))};
}

std::optional<std::vector<SustainedWindow>> measure_sustained(const Measurable& measurable,
                                                              double duration_s,
                                                              std::int64_t windows,
                                                              const MeasurementObserver& observer) {
    if (!(duration_s > 0.0 && std::isfinite(duration_s)) || windows < 1)
        throw core::ConfigError(
            fmt::format("a measurement under load of {} s in {} parts; both must be positive",
                        core::shortest(duration_s), windows));
    const double start = measurable.clock();
    std::vector<SustainedWindow> curve;
    std::vector<double> runs;
    MeasurementProgress progress{.round = 1, .visits = 0, .total_visits = windows};
    for (double elapsed_s = 0.0; elapsed_s < duration_s;) {
        if (observer && !observer(progress)) return std::nullopt;
        runs.push_back(timed_run(measurable, 0));
        elapsed_s = (measurable.clock() - start) / 1e3;
        const auto part =
            static_cast<std::int64_t>(elapsed_s / duration_s * static_cast<double>(windows));
        if (part == progress.visits) continue;
        curve.push_back({elapsed_s, static_cast<std::int64_t>(runs.size()), core::median(runs),
                         core::quantile(runs, 0.9)});
        progress.visits = part;
        runs.clear();
    }
    return curve;
}

double sustained_latency_ms(std::span<const SustainedWindow> windows) {
    if (windows.empty()) throw core::InternalError("a latency under load of no measurement");
    std::vector<double> last;
    for (const SustainedWindow& window : windows.subspan(windows.size() - (windows.size() + 3) / 4))
        last.push_back(window.median_ms);
    return core::median(std::move(last));
}

} // namespace hdap::fleet
