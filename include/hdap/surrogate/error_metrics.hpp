#pragma once

#include <span>

namespace hdap::surrogate {

/// How well predictions fit measurements.
struct ErrorMetrics {
    double mape = 0;      ///< mean of |predicted − measured| ÷ measured, a fraction: 0.1 is 10 %
    double rmse = 0;      ///< root of the mean squared error, in the unit of the values
    double r_squared = 0; ///< 1 − squared error ÷ variance of `measured`; NaN without variance
    double kendall_tau = 0; ///< tau-b, −1 … 1; NaN when either side is constant
};

/// Compares `predicted` with `measured`, value by value.
/// Throws DataError when the sizes differ, when there are fewer than 2 values, when a value is not
/// finite or when a measured one is not positive. Complexity: O(n log n).
ErrorMetrics error_metrics(std::span<const double> measured, std::span<const double> predicted);

} // namespace hdap::surrogate
