#pragma once

#include <span>

namespace hdap::fleet {

/// Kendall's rank correlation tau-b, which allows for ties (Kendall 1945), in O(n log n) by
/// counting the exchanges of a merge sort (Knight 1966). NaN when either side is constant.
/// Throws DataError when the sizes differ or there are fewer than 2 values.
double kendall_tau(std::span<const double> x, std::span<const double> y);

} // namespace hdap::fleet
