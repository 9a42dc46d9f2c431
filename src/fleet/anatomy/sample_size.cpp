#include "hdap/fleet/sample_size.hpp"

#include "hdap/core/random.hpp"
#include "hdap/core/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace hdap::fleet {
namespace {

constexpr double z = 1.959964; ///< normal quantile of 95 % confidence, two-sided
constexpr double miss = 0.05;
constexpr double percent = 0.01;
constexpr std::size_t worth_threads = 5'000; ///< of fewer latencies sorting takes no time

/// Draws without replacement from `all` that bring the variance down to that of `with_replacement`
/// draws with replacement.
std::size_t without_replacement(double with_replacement, std::size_t all) {
    const auto count = static_cast<double>(all);
    if (all < 2 || !(with_replacement > 1.0)) return 1;
    const double corrected = with_replacement * count / (with_replacement + count - 1.0);
    return std::clamp(static_cast<std::size_t>(std::ceil(corrected)), std::size_t{1}, all);
}

/// Whether all are within `error` of `figure`: then one device tells it.
bool all_near(std::span<const double> sorted, double figure, double error) {
    return sorted.front() >= figure * (1.0 - error) && sorted.back() <= figure * (1.0 + error);
}

/// Drawing `draws` of `all` devices without replacement, of which `marked` are marked: the
/// probability that fewer than `wanted` of those that are drawn are marked.
double fewer_than(std::size_t wanted, std::size_t draws, std::size_t marked, std::size_t all) {
    const auto log_choose = [](std::size_t n, std::size_t k) {
        const auto real = [](std::size_t value) { return static_cast<double>(value) + 1.0; };
        return std::lgamma(real(n)) - std::lgamma(real(k)) - std::lgamma(real(n - k));
    };
    const std::size_t first = draws + marked > all ? draws + marked - all : 0;
    const std::size_t end = std::min({wanted, draws + 1, marked + 1});
    // What is further down adds nothing.
    const double mean =
        static_cast<double>(draws) * static_cast<double>(marked) / static_cast<double>(all);
    const double deviation = std::sqrt(mean) + 1.0;
    const double least = std::max(static_cast<double>(first), mean - 12.0 * deviation);
    double sum = 0.0;
    for (auto k = static_cast<std::size_t>(least); k < end; ++k) {
        if (static_cast<double>(k) > mean + 12.0 * deviation) break;
        sum += std::exp(log_choose(marked, k) + log_choose(all - marked, draws - k) -
                        log_choose(all, draws));
    }
    return std::min(sum, 1.0);
}

/// Where a fleet's quantile lies among its latencies.
struct Bounds {
    std::size_t below = 0;     ///< latencies that are too low
    std::size_t not_above = 0; ///< latencies that are not too high
};

/// How likely the 95th percentile of `draws` latencies is too far off.
double chance_to_miss(std::size_t draws, const Bounds& bounds, std::size_t all) {
    const double place = 0.95 * static_cast<double>(draws - 1); // between order statistics
    const auto lower = static_cast<std::size_t>(place) + 1;
    const auto upper = static_cast<std::size_t>(std::ceil(place)) + 1;
    // Between two of them it is too high at the latest when both are.
    const double too_high = fewer_than(upper, draws, bounds.not_above, all);
    const double too_low = 1.0 - fewer_than(lower, draws, bounds.below, all);
    return too_high + too_low;
}

/// The mean of the slowest hundredth of `draws` latencies of `sorted`. Latencies are taken from the
/// slowest on, each with the share of the draws that are left, until the hundredth is full.
double drawn_mean_of_slowest(std::span<const double> sorted, std::size_t draws,
                             core::RandomStream& random) {
    const std::size_t wanted = hundredth_of(draws);
    std::size_t found = 0;
    double sum = 0.0;
    for (std::size_t left = sorted.size(); found < wanted; --left) {
        const auto to_draw = static_cast<double>(draws - found);
        if (random.uniform() * static_cast<double>(left) >= to_draw) continue;
        sum += sorted[left - 1];
        ++found;
    }
    return sum / static_cast<double>(wanted);
}

/// Whether so many draws tell the mean of the slowest hundredth.
bool are_enough(std::span<const double> sorted, std::size_t draws, double error) {
    constexpr int tries = 1000;
    const double figure = mean_of_slowest(sorted);
    core::RandomStream random(0, core::StreamId::slowest_draws);
    int good = 0;
    for (int k = 0; k < tries; ++k)
        good += std::abs(drawn_mean_of_slowest(sorted, draws, random) - figure) <= error * figure;
    return good >= static_cast<int>((1.0 - miss) * tries);
}

/// At most so many latencies of `sorted`, evenly spaced.
std::vector<double> thinned(std::span<const double> sorted, std::size_t most) {
    const std::size_t count = std::min(sorted.size(), most);
    std::vector<double> chosen(count);
    for (std::size_t i = 0; i < count; ++i)
        chosen[i] = sorted[(2 * i + 1) * sorted.size() / (2 * count)];
    return chosen;
}

/// What the mean of the slowest hundredth needs when it is normal.
std::size_t asymptotic_draws(std::span<const double> sorted, double error) {
    const double figure = mean_of_slowest(sorted);
    const double quantile = core::quantile_of_sorted(sorted, 1.0 - percent);
    double sum = 0.0;
    double squares = 0.0;
    for (auto above = std::upper_bound(sorted.begin(), sorted.end(), quantile);
         above != sorted.end(); ++above) {
        sum += *above - quantile;
        squares += (*above - quantile) * (*above - quantile);
    }
    const auto count = static_cast<double>(sorted.size());
    const double variance = (squares / count - sum / count * (sum / count)) / (percent * percent);
    return without_replacement(z * z * variance / (error * error * figure * figure), sorted.size());
}

} // namespace

std::size_t hundredth_of(std::size_t devices) {
    return std::max<std::size_t>(1, (devices + 50) / 100);
}

double mean_of_slowest(std::span<const double> sorted) {
    return core::mean(sorted.last(hundredth_of(sorted.size())));
}

std::size_t devices_for_mean(std::span<const double> sorted, double error) {
    const double mean = core::mean(sorted);
    double squares = 0.0;
    for (const double value : sorted)
        squares += (value - mean) * (value - mean);
    const auto count = static_cast<double>(sorted.size());
    const double variance = squares / std::max(count - 1.0, 1.0);
    return without_replacement(z * z * variance / (error * error * mean * mean), sorted.size());
}

std::size_t devices_for_p95(std::span<const double> sorted, double error) {
    const std::size_t all = sorted.size();
    const double figure = core::quantile_of_sorted(sorted, 0.95);
    if (all_near(sorted, figure, error)) return 1;
    const auto place = [&](auto found) { return static_cast<std::size_t>(found - sorted.begin()); };
    const Bounds bounds{
        .below = place(std::lower_bound(sorted.begin(), sorted.end(), figure * (1.0 - error))),
        .not_above = place(std::upper_bound(sorted.begin(), sorted.end(), figure * (1.0 + error)))};
    std::size_t enough = all;
    std::size_t too_few = 0;
    while (enough - too_few > 1) {
        const std::size_t middle = too_few + (enough - too_few) / 2;
        (chance_to_miss(middle, bounds, all) <= miss ? enough : too_few) = middle;
    }
    return enough;
}

std::size_t devices_for_worst_percent(std::span<const double> sorted, double error) {
    constexpr std::size_t fewest = 100;
    constexpr std::size_t most_tried = 100'000; // of so many a hundredth is normal enough
    const std::size_t all = sorted.size();
    if (all_near(sorted, mean_of_slowest(sorted), error)) return 1;
    std::size_t draws = std::max(asymptotic_draws(sorted, error), std::min(fewest, all));
    const std::vector<double> tried = thinned(sorted, most_tried);
    while (draws < tried.size() && !are_enough(tried, draws, error))
        draws += draws / 10 + 1;
    return std::min(draws, all);
}

SampleSizes sample_sizes(const Fleet& fleet, double error) {
    const std::size_t benchmarks = fleet.benchmarks();
    std::vector<std::size_t> mean(benchmarks);
    std::vector<std::size_t> p95(benchmarks);
    std::vector<std::size_t> worst(benchmarks);
#pragma omp parallel for schedule(dynamic) if (fleet.latency_ms.size() > worth_threads)
    for (std::size_t b = 0; b < benchmarks; ++b) {
        std::vector<double> sorted = measured_latencies(fleet, b);
        std::sort(sorted.begin(), sorted.end());
        mean[b] = devices_for_mean(sorted, error);
        p95[b] = devices_for_p95(sorted, error);
        worst[b] = devices_for_worst_percent(sorted, error);
    }
    const auto largest = [](const std::vector<std::size_t>& devices) {
        const auto found = std::max_element(devices.begin(), devices.end());
        return SampleSize{.devices = *found,
                          .benchmark = static_cast<std::size_t>(found - devices.begin())};
    };
    return {.error = error,
            .mean = largest(mean),
            .p95 = largest(p95),
            .worst_percent = largest(worst)};
}

} // namespace hdap::fleet
