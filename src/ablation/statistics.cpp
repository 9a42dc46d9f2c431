#include "hdap/ablation/statistics.hpp"

#include "hdap/core/random.hpp"
#include "hdap/core/statistics.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

namespace hdap::ablation {
namespace {

std::vector<double> sorted_finite(std::span<const double> values) {
    std::vector<double> finite;
    std::copy_if(values.begin(), values.end(), std::back_inserter(finite),
                 [](double value) { return std::isfinite(value); });
    std::sort(finite.begin(), finite.end());
    return finite;
}

/// The rank of the value at `place` of a sample that has each rank as often as `times` says.
std::uint32_t rank_at(std::span<const std::uint32_t> times, std::size_t place) {
    std::uint32_t rank = 0;
    for (std::size_t seen = times[0]; seen <= place; seen += times[rank])
        ++rank;
    return rank;
}

/// A difference that is not zero.
struct SignedRank {
    bool positive = false;
    std::uint64_t doubled_rank = 0; ///< mean ranks of ties are halves
};

/// The ranks of absolute differences, from 1; those of zeros are given and then dropped.
std::vector<SignedRank> signed_ranks(std::span<const double> differences, double resolution) {
    std::vector<double> sorted(differences.begin(), differences.end());
    std::sort(sorted.begin(), sorted.end(),
              [](double a, double b) { return std::abs(a) < std::abs(b); });
    std::vector<SignedRank> ranks;
    for (std::size_t first = 0, last = 0; first < sorted.size(); first = last) {
        const double least = std::abs(sorted[first]);
        const bool zero = least <= resolution;
        const double most = zero ? resolution : least + resolution;
        while (last < sorted.size() && std::abs(sorted[last]) <= most)
            ++last;
        if (zero) continue;
        for (std::size_t i = first; i < last; ++i)
            ranks.push_back({.positive = sorted[i] > 0.0, .doubled_rank = first + last + 1});
    }
    return ranks;
}

/// Twice the share of sign assignments whose positive ranks sum up to at most `doubled_sum`.
double exact_p(const std::vector<SignedRank>& ranks, std::uint64_t doubled_sum) {
    // assignments[s]: how many choices of positive ranks sum up to s. At most 2^50: exact.
    std::vector<double> assignments(doubled_sum + 1, 0.0);
    assignments[0] = 1.0;
    for (const SignedRank& rank : ranks)
        for (std::uint64_t sum = doubled_sum; sum >= rank.doubled_rank; --sum)
            assignments[sum] += assignments[sum - rank.doubled_rank];
    const double as_extreme = std::accumulate(assignments.begin(), assignments.end(), 0.0);
    return std::min(1.0, std::ldexp(as_extreme, 1 - static_cast<int>(ranks.size())));
}

double approximate_p(const std::vector<SignedRank>& ranks, double positive, double negative) {
    double variance = 0.0;
    for (const SignedRank& rank : ranks) {
        const double half_rank = static_cast<double>(rank.doubled_rank) / 4.0;
        variance += half_rank * half_rank;
    }
    constexpr double continuity = 0.5;
    const double deviation = std::abs(positive - negative) / 2.0;
    const double z = std::max(0.0, deviation - continuity) / std::sqrt(variance);
    return std::erfc(z / std::sqrt(2.0));
}

/// The probability that the positive ones of the ranks 1 … n sum up to at most s, for all s.
std::vector<double> signed_rank_distribution(std::size_t count) {
    std::vector<double> below(count * (count + 1) / 2 + 1, 0.0);
    below[0] = std::ldexp(1.0, -static_cast<int>(count));
    for (std::size_t rank = 1; rank <= count; ++rank)
        for (std::size_t sum = rank * (rank + 1) / 2; sum >= rank; --sum)
            below[sum] += below[sum - rank];
    std::partial_sum(below.begin(), below.end(), below.begin());
    return below;
}

/// The largest k such that ranks sum up to less than k with a probability of at most `tail`.
std::size_t critical_rank(std::size_t count, double tail) {
    if (count > most_exact_differences) {
        constexpr double z = 1.959963984540054; // of tail 0.025
        const auto n = static_cast<double>(count);
        const double deviation = std::sqrt(n * (n + 1.0) * (2.0 * n + 1.0) / 24.0);
        return static_cast<std::size_t>(n * (n + 1.0) / 4.0 - z * deviation + 0.5);
    }
    const std::vector<double> below = signed_rank_distribution(count);
    return static_cast<std::size_t>(std::upper_bound(below.begin(), below.end(), tail) -
                                    below.begin());
}

/// An integer for each finite double, in the same order.
std::uint64_t order_key(double value) {
    const auto bits = std::bit_cast<std::uint64_t>(value);
    constexpr std::uint64_t sign = std::uint64_t{1} << 63U;
    return (bits & sign) != 0 ? ~bits : bits | sign;
}

double from_order_key(std::uint64_t key) {
    constexpr std::uint64_t sign = std::uint64_t{1} << 63U;
    return std::bit_cast<double>((key & sign) != 0 ? key & ~sign : ~key);
}

/// How many means of pairs i ≤ j of ascending values are at most `limit`.
std::size_t pair_means_up_to(std::span<const double> sorted, double limit) {
    std::size_t count = 0;
    std::size_t end = sorted.size(); // a larger first value leaves fewer second ones
    for (std::size_t i = 0; i < end; ++i) {
        while (end > i && 0.5 * sorted[i] + 0.5 * sorted[end - 1] > limit)
            --end;
        count += end - i;
    }
    return count;
}

/// The mean of a pair that has `rank` (from 1) among all of them, by bisection over the doubles.
double pair_mean_of_rank(std::span<const double> sorted, std::size_t rank) {
    std::uint64_t low = order_key(sorted.front());
    std::uint64_t high = order_key(sorted.back());
    while (low < high) {
        const std::uint64_t middle = low + (high - low) / 2;
        if (pair_means_up_to(sorted, from_order_key(middle)) >= rank)
            high = middle;
        else
            low = middle + 1;
    }
    return from_order_key(low) + 0.0; // −0 becomes 0
}

} // namespace

std::vector<MedianBootstrap::MiddleRanks> MedianBootstrap::draw(std::size_t count) {
    core::RandomStream random(0, core::StreamId::bootstrap);
    std::vector<MiddleRanks> middles(resamples);
    std::vector<std::uint32_t> times(count);
    for (MiddleRanks& middle : middles) {
        std::fill(times.begin(), times.end(), 0U);
        for (std::size_t i = 0; i < count; ++i)
            ++times[random.below(count)];
        middle.first = rank_at(times, (count - 1) / 2);
        middle.second = rank_at(times, count / 2);
    }
    return middles;
}

Interval MedianBootstrap::interval(std::span<const double> sorted) {
    if (sorted.empty()) return {};
    auto drawn = drawn_.find(sorted.size());
    if (drawn == drawn_.end()) drawn = drawn_.emplace(sorted.size(), draw(sorted.size())).first;
    std::vector<double> medians;
    medians.reserve(resamples);
    for (const auto& [lower, upper] : drawn->second)
        medians.push_back(std::lerp(sorted[lower], sorted[upper], 0.5));
    std::sort(medians.begin(), medians.end());
    constexpr double tail = (1.0 - confidence_level) / 2.0;
    return {.low = core::quantile_of_sorted(medians, tail),
            .high = core::quantile_of_sorted(medians, 1.0 - tail)};
}

Summary summarize(std::span<const double> values, MedianBootstrap& bootstrap) {
    const std::vector<double> sorted = sorted_finite(values);
    return {.count = sorted.size(),
            .missing = values.size() - sorted.size(),
            .median = core::quantile_of_sorted(sorted, 0.5),
            .q1 = core::quantile_of_sorted(sorted, 0.25),
            .q3 = core::quantile_of_sorted(sorted, 0.75),
            .median_interval = bootstrap.interval(sorted)};
}

SignedRankTest signed_rank_test(std::span<const double> differences, double resolution) {
    const std::vector<SignedRank> ranks = signed_ranks(differences, resolution);
    SignedRankTest test;
    test.nonzero = ranks.size();
    test.exact = ranks.size() <= most_exact_differences;
    if (ranks.empty()) return test;
    std::uint64_t positive = 0;
    std::uint64_t negative = 0;
    for (const SignedRank& rank : ranks)
        (rank.positive ? positive : negative) += rank.doubled_rank;
    test.positive_ranks = static_cast<double>(positive) / 2.0;
    test.negative_ranks = static_cast<double>(negative) / 2.0;
    test.p = test.exact ? exact_p(ranks, std::min(positive, negative))
                        : approximate_p(ranks, test.positive_ranks, test.negative_ranks);
    test.effect =
        (test.positive_ranks - test.negative_ranks) / (test.positive_ranks + test.negative_ranks);
    return test;
}

double hodges_lehmann(std::span<const double> differences) {
    if (differences.empty()) return std::numeric_limits<double>::quiet_NaN();
    std::vector<double> sorted(differences.begin(), differences.end());
    std::sort(sorted.begin(), sorted.end());
    const std::size_t pairs = sorted.size() * (sorted.size() + 1) / 2;
    const double lower = pair_mean_of_rank(sorted, (pairs + 1) / 2);
    if (pairs % 2 == 1) return lower;
    return std::lerp(lower, pair_mean_of_rank(sorted, pairs / 2 + 1), 0.5);
}

Interval hodges_lehmann_interval(std::span<const double> differences) {
    constexpr double tail = (1.0 - confidence_level) / 2.0;
    const std::size_t k = critical_rank(differences.size(), tail);
    if (k == 0) return {};
    std::vector<double> sorted(differences.begin(), differences.end());
    std::sort(sorted.begin(), sorted.end());
    const std::size_t pairs = sorted.size() * (sorted.size() + 1) / 2;
    return {.low = pair_mean_of_rank(sorted, k), .high = pair_mean_of_rank(sorted, pairs + 1 - k)};
}

VarianceComponents variance_components(std::span<const std::vector<double>> groups) {
    std::vector<double> all;
    double filled = 0.0;
    double squared_sizes = 0.0;
    double squares_within = 0.0;
    for (const std::vector<double>& group : groups) {
        if (group.empty()) continue;
        all.insert(all.end(), group.begin(), group.end());
        filled += 1.0;
        squared_sizes += static_cast<double>(group.size()) * static_cast<double>(group.size());
        const double mean = core::mean(group);
        for (const double value : group)
            squares_within += (value - mean) * (value - mean);
    }
    const auto count = static_cast<double>(all.size());
    if (filled < 2.0 || count == filled) return {};
    double squares_between = 0.0;
    const double grand_mean = core::mean(all);
    for (const std::vector<double>& group : groups) {
        if (group.empty()) continue;
        const double deviation = core::mean(group) - grand_mean;
        squares_between += static_cast<double>(group.size()) * deviation * deviation;
    }
    const double within = squares_within / (count - filled);
    const double size = (count - squared_sizes / count) / (filled - 1.0); // that of equal groups
    const double between = (squares_between / (filled - 1.0) - within) / size;
    return {.between = std::max(0.0, between), .within = within};
}

std::vector<double> holm_adjusted(std::span<const double> p_values) {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < p_values.size(); ++i)
        if (!std::isnan(p_values[i])) order.push_back(i);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return p_values[a] < p_values[b]; });
    std::vector<double> adjusted(p_values.begin(), p_values.end());
    double largest = 0.0;
    for (std::size_t k = 0; k < order.size(); ++k) {
        const double p = static_cast<double>(order.size() - k) * p_values[order[k]];
        largest = std::max(largest, std::min(1.0, p));
        adjusted[order[k]] = largest;
    }
    return adjusted;
}

} // namespace hdap::ablation
