#include "hdap/surrogate/error_figures.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

namespace hdap::surrogate {
namespace {

void check_sizes(std::size_t left, std::size_t right) {
    if (left != right)
        throw core::DataError("error figures need one prediction per measurement, not " +
                              std::to_string(right) + " for " + std::to_string(left));
    if (left < 2)
        throw core::DataError("error figures need at least 2 measurements, not " +
                              std::to_string(left));
}

void check_values(std::span<const double> measured, std::span<const double> predicted) {
    for (std::size_t i = 0; i < measured.size(); ++i) {
        if (!std::isfinite(measured[i]) || measured[i] <= 0)
            throw core::DataError("measured[" + std::to_string(i) + "] is " +
                                  core::shortest(measured[i]) + ", expected a positive number");
        if (!std::isfinite(predicted[i]))
            throw core::DataError("predicted[" + std::to_string(i) + "] is " +
                                  core::shortest(predicted[i]) + ", expected a finite number");
    }
}

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
    check_sizes(x.size(), y.size());
    const std::size_t count = x.size();
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

ErrorFigures error_figures(std::span<const double> measured, std::span<const double> predicted) {
    check_sizes(measured.size(), predicted.size());
    check_values(measured, predicted);
    const auto count = static_cast<double>(measured.size());
    const double mean = std::accumulate(measured.begin(), measured.end(), 0.0) / count;
    double relative = 0;
    double squared = 0;
    double spread = 0;
    for (std::size_t i = 0; i < measured.size(); ++i) {
        const double error = predicted[i] - measured[i];
        relative += std::abs(error) / measured[i];
        squared += error * error;
        spread += (measured[i] - mean) * (measured[i] - mean);
    }
    return {.mape = relative / count,
            .rmse = std::sqrt(squared / count),
            .r_squared =
                spread > 0 ? 1.0 - squared / spread : std::numeric_limits<double>::quiet_NaN(),
            .kendall_tau = kendall_tau(measured, predicted)};
}

} // namespace hdap::surrogate
