#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace hdap::core {

/// The mean of `values`, which are added up from the first to the last. NaN without values.
double mean(std::span<const double> values);

/// The median of at least one value; the mean of the middle two when their number is even.
/// Throws InternalError without values. Complexity: O(n).
double median(std::vector<double> values);

/// The quantile of order `p`, 0 to 1, of `values` in any order, none of them NaN: linear
/// interpolation between the order statistics, type 7 of Hyndman and Fan, "Sample Quantiles in
/// Statistical Packages", The American Statistician 50(4), 1996; the default of R and NumPy.
/// NaN without values. Throws InternalError when `p` is not in [0, 1]. Complexity: O(n).
double quantile(std::vector<double> values, double p);

/// The same of values in ascending order. Complexity: O(1).
double quantile_of_sorted(std::span<const double> sorted, double p);

struct Interval {
    double lower = 0.0;
    double upper = 0.0;
};

/// The score interval of a share of which `trials` trials brought `successes` (Wilson, Journal of
/// the American Statistical Association 22, 1927); `z`: the normal quantile of its confidence, e.g.
/// 1.96 for 95 %. Within [0, 1]. Throws InternalError unless 0 <= successes <= trials > 0.
Interval wilson_interval(std::int64_t successes, std::int64_t trials, double z);

/// Kendall's rank correlation tau-b, which allows for ties (Kendall 1945), in O(n log n) by
/// counting the exchanges of a merge sort (Knight 1966). NaN when either side is constant.
/// Throws DataError when the sizes differ or there are fewer than 2 values.
double kendall_tau(std::span<const double> x, std::span<const double> y);

} // namespace hdap::core
