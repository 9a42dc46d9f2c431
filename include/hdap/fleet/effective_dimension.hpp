#pragma once

#include "hdap/fleet/fleet.hpp"
#include "hdap/fleet/noise.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace hdap::fleet {

/// How well so many numbers describe a device.
struct DimensionError {
    std::size_t rank = 0;
    /// The number is the device's ratio to the fleet, the same on all benchmarks; else factors are
    /// learned.
    bool one_ratio = false;
    double error = 0.0; ///< of a benchmark that the device was not seen on: 0.01 is 1 %
    /// Of the difference between its mean squared error and the lowest one.
    double standard_error = 0.0;
};

/// How many numbers per device tell what it will take on a benchmark that it has not run.
struct EffectiveDimension {
    /// Rank 0 (the fleet's medians), one ratio, 1 factor, 2 factors, …; empty where nothing is
    /// known.
    std::vector<DimensionError> errors;
    std::size_t chosen = 0; ///< among `errors`
    /// [benchmark] variance of what the chosen rank does not predict: noise, or specific to that
    /// benchmark. What is more than 4 robust standard deviations off counts as these.
    std::vector<double> unpredicted;
    std::size_t devices = 0; ///< that were held out, in turns
    std::string unknown;     ///< why nothing is known; empty where something is

    /// The rank that was chosen; 0 where nothing is known.
    [[nodiscard]] std::size_t rank() const { return errors.empty() ? 0 : errors[chosen].rank; }
};

/// The effective dimension of a valid fleet by cross-validation on held-out benchmarks of held-out
/// devices, as Owen and Perry ("Bi-cross-validation of the SVD and the nonnegative matrix
/// factorization", Annals of Applied Statistics 3, 2009) leave out rows and columns at once. Of
/// five groups of devices four give the covariances of log latencies relative to the medians, and
/// from these the factors of probabilistic principal components (Tipping and Bishop, Journal of
/// the Royal Statistical Society B 61, 1999). Each latency of the fifth group is predicted from the
/// device's other ones.
///
/// Devices more than three robust standard deviations off count less in the covariances, and the
/// twentieth that is described worst counts as the best one of them, so that a few odd devices do
/// not decide. What is missing is estimated (completed_latencies) to learn from, never to be
/// predicted. Chosen is the lowest rank whose mean squared error is within a standard error of the
/// lowest, or whose error is within 3 % of it; one ratio goes before one factor. Ranks above 20
/// are not tried.
///
/// Needs two benchmarks, and three devices that ran two. At most 20,000 devices are looked at,
/// evenly spaced, and as many as 4·10⁹ operations allow; of more than 300 benchmarks 300, evenly
/// spaced. Uses OpenMP; the result does not depend on
/// the threads. Complexity: O(devices · ranks · benchmarks²), with latencies missing at random
/// O(devices · ranks · benchmarks · (benchmarks + ranks²)).
EffectiveDimension effective_dimension(const Fleet& fleet);

/// What cannot be predicted, as noise: the best that is known where nobody repeated anything.
/// Nothing where nothing is known.
std::optional<Noise> unpredicted_noise(const EffectiveDimension& dimension);

} // namespace hdap::fleet
