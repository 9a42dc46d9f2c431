#pragma once

#include "hdap/core/random.hpp"
#include "hdap/fleet/quantity.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hdap::fleet {

/// Where the numbers of a device's noise on a quantity begin: first its benchmarks, then
/// candidates.
constexpr std::uint32_t first_noise_number(Quantity quantity) noexcept {
    return static_cast<std::uint32_t>(quantity) * 0x2000'0000U;
}

/// The median of `runs` ≥ 1 noisy runs ÷ what they are without noise: each run is a log-normal
/// factor of `sigma` ≥ 0; one in a hundred is an outlier, slower by a further 20 % on average.
/// Draws four values per run from `random`. Throws InternalError for `runs` < 1.
double median_run_noise(double sigma, int runs, core::RandomStream& random);

/// The same, faster, of RandomStream(seed, StreamId::measurement_noise, device, number): to the
/// bit. Not thread-safe: every thread has one of its own.
class RunNoise {
  public:
    /// Throws InternalError for `runs` < 1.
    RunNoise(std::uint64_t seed, int runs);

    [[nodiscard]] double median(double sigma, std::uint32_t device, std::uint32_t number);

  private:
    [[nodiscard]] double median_of_all(double sigma);
    [[nodiscard]] double median_of_normal(double sigma);
    [[nodiscard]] const double* draws_of(std::size_t run) const { return &draws_[4 * run]; }

    std::uint64_t seed_;
    std::size_t runs_;
    std::vector<double> draws_;     ///< [run][4]
    std::vector<double> estimates_; ///< [run] of normal values
    std::vector<double> ordered_;
};

} // namespace hdap::fleet
