#include "hdap/surrogate/error_metrics.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/core/text.hpp"

#include <fmt/core.h>

#include <cmath>
#include <limits>
#include <string>

namespace hdap::surrogate {
namespace {

void check_sizes(std::size_t left, std::size_t right) {
    if (left != right)
        throw core::DataError(fmt::format(
            "error metrics need one prediction per measurement, not {} for {}", right, left));
    if (left < 2)
        throw core::DataError(
            fmt::format("error metrics need at least 2 measurements, not {}", left));
}

void check_values(std::span<const double> measured, std::span<const double> predicted) {
    for (std::size_t i = 0; i < measured.size(); ++i) {
        if (!std::isfinite(measured[i]) || measured[i] <= 0)
            throw core::DataError(fmt::format("measured[{}] is {}, expected a positive number", i,
                                              core::shortest(measured[i])));
        if (!std::isfinite(predicted[i]))
            throw core::DataError(fmt::format("predicted[{}] is {}, expected a finite number", i,
                                              core::shortest(predicted[i])));
    }
}

} // namespace

ErrorMetrics error_metrics(std::span<const double> measured, std::span<const double> predicted) {
    check_sizes(measured.size(), predicted.size());
    check_values(measured, predicted);
    const auto count = static_cast<double>(measured.size());
    const double mean = core::mean(measured);
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
            .kendall_tau = core::kendall_tau(measured, predicted)};
}

} // namespace hdap::surrogate
