#include "hdap/fleet/kendall_tau.hpp"

#include "hdap/core/error.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

namespace hdap::fleet {
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

} // namespace

double kendall_tau(std::span<const double> x, std::span<const double> y) {
    const std::size_t count = x.size();
    if (y.size() != count || count < 2)
        throw core::DataError("Kendall's tau needs two lists of one size, at least 2; got " +
                              std::to_string(count) + " and " + std::to_string(y.size()));
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

} // namespace hdap::fleet
