#include "hdap/core/statistics.hpp"

#include "hdap/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

namespace hdap::core {
namespace {

/// Pairs among `count` equal things.
std::int64_t pairs(std::int64_t count) {
    return count * (count - 1) / 2;
}

/// Pairs of neighbours-in-order that `equal` holds for; equal things must be adjacent.
template <class Equal>
std::int64_t tied_pairs(std::size_t count, Equal equal) {
    std::int64_t tied = 0;
    std::int64_t run = 1;
    for (std::size_t i = 1; i < count; ++i) {
        if (equal(i - 1, i)) {
            ++run;
        } else {
            tied += pairs(run);
            run = 1;
        }
    }
    return tied + pairs(run);
}

/// Sorts `values` by merging runs and counts the exchanges that a bubble sort would need.
std::int64_t sort_and_count_exchanges(std::vector<double>& values) {
    std::vector<double> merged(values.size());
    std::int64_t exchanges = 0;
    for (std::size_t width = 1; width < values.size(); width *= 2) {
        for (std::size_t begin = 0; begin < values.size(); begin += 2 * width) {
            const std::size_t middle = std::min(begin + width, values.size());
            const std::size_t end = std::min(begin + 2 * width, values.size());
            std::size_t left = begin;
            std::size_t right = middle;
            for (std::size_t out = begin; out < end; ++out) {
                if (left < middle && (right == end || values[left] <= values[right])) {
                    merged[out] = values[left++];
                } else {
                    // It overtakes all that are left of the left run.
                    exchanges += static_cast<std::int64_t>(middle - left);
                    merged[out] = values[right++];
                }
            }
        }
        values.swap(merged);
    }
    return exchanges;
}

/// Where the quantile of order `p` lies among `count` ≥ 1 values in ascending order: a share of the
/// way from the value `below` to the next one.
struct Place {
    std::size_t below = 0;
    double share = 0.0;
};

Place place_of(std::size_t count, double p) {
    const double place = p * static_cast<double>(count - 1);
    const auto below = static_cast<std::size_t>(place);
    return {.below = below, .share = place - static_cast<double>(below)};
}

void check_order(double p) {
    if (!(p >= 0.0 && p <= 1.0))
        throw InternalError(fmt::format("the order of a quantile is {}, must be in [0, 1]", p));
}

} // namespace

double mean(std::span<const double> values) {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double median(std::vector<double> values) {
    if (values.empty()) throw InternalError("there is no median of no values");
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    if (values.size() % 2 == 1) return *middle;
    return 0.5 * (*std::max_element(values.begin(), middle) + *middle);
}

double quantile(std::vector<double> values, double p) {
    check_order(p);
    if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
    const Place place = place_of(values.size(), p);
    const auto below = values.begin() + static_cast<std::ptrdiff_t>(place.below);
    std::nth_element(values.begin(), below, values.end());
    if (below + 1 == values.end()) return *below;
    return std::lerp(*below, *std::min_element(below + 1, values.end()), place.share);
}

double quantile_of_sorted(std::span<const double> sorted, double p) {
    check_order(p);
    if (sorted.empty()) return std::numeric_limits<double>::quiet_NaN();
    const Place place = place_of(sorted.size(), p);
    const std::size_t above = std::min(place.below + 1, sorted.size() - 1);
    return std::lerp(sorted[place.below], sorted[above], place.share);
}

Interval wilson_interval(std::int64_t successes, std::int64_t trials, double z) {
    if (trials < 1 || successes < 0 || successes > trials)
        throw InternalError(fmt::format("no share: {} of {}", successes, trials));
    const auto n = static_cast<double>(trials);
    const double share = static_cast<double>(successes) / n;
    const double centre = share + z * z / (2.0 * n);
    const double reach = z * std::sqrt(share * (1.0 - share) / n + z * z / (4.0 * n * n));
    const double scale = 1.0 + z * z / n;
    return {std::max(0.0, (centre - reach) / scale), std::min(1.0, (centre + reach) / scale)};
}

double kendall_tau(std::span<const double> x, std::span<const double> y) {
    const std::size_t count = x.size();
    if (y.size() != count || count < 2)
        throw DataError(
            fmt::format("Kendall's tau needs two lists of one size, at least 2; got {} and {}",
                        count, y.size()));
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return x[a] != x[b] ? x[a] < x[b] : y[a] < y[b];
    });
    const std::int64_t tied_x =
        tied_pairs(count, [&](std::size_t i, std::size_t j) { return x[order[i]] == x[order[j]]; });
    const std::int64_t tied_both = tied_pairs(count, [&](std::size_t i, std::size_t j) {
        return x[order[i]] == x[order[j]] && y[order[i]] == y[order[j]];
    });
    std::vector<double> y_by_x(count);
    for (std::size_t i = 0; i < count; ++i)
        y_by_x[i] = y[order[i]];
    const std::int64_t discordant = sort_and_count_exchanges(y_by_x);
    const std::int64_t tied_y =
        tied_pairs(count, [&](std::size_t i, std::size_t j) { return y_by_x[i] == y_by_x[j]; });

    const std::int64_t all = pairs(static_cast<std::int64_t>(count));
    if (tied_x == all || tied_y == all) return std::numeric_limits<double>::quiet_NaN();
    const std::int64_t difference = all - tied_x - tied_y + tied_both - 2 * discordant;
    return static_cast<double>(difference) /
           std::sqrt(static_cast<double>(all - tied_x) * static_cast<double>(all - tied_y));
}

} // namespace hdap::core
