#include "hdap/fleet/run_noise.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/core/uniform_block.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <utility>

namespace hdap::fleet {

namespace {

/// One run in a hundred is disturbed by something rare: a page fault, another process waking up.
constexpr double outlier_probability = 0.01;
constexpr double outlier_mean_excess = 0.2;
constexpr std::size_t draws_per_run = 4;

/// As core::RandomStream::normal makes it of two uniform values.
double normal_of(double first, double second) {
    const double radius = std::sqrt(-2.0 * std::log1p(-first));
    return radius * std::cos(2.0 * std::numbers::pi * second);
}

bool is_outlier(const double* run) {
    return run[2] < outlier_probability;
}

/// The factor of one run; `run` has its draws.
double factor_of(double sigma, const double* run) {
    const double noise = std::exp(sigma * normal_of(run[0], run[1]));
    return noise * (is_outlier(run) ? 1.0 - outlier_mean_excess * std::log1p(-run[3]) : 1.0);
}

/// ln of a value in (0, 1] to 2e-5 (Abramowitz and Stegun, 4.1.43).
double rough_log(double value) {
    const auto bits = std::bit_cast<std::uint64_t>(value);
    const double exponent = static_cast<double>(static_cast<std::int64_t>(bits >> 52) - 1023);
    const double x = std::bit_cast<double>((bits & 0xfffffffffffffU) | 0x3ff0000000000000U) - 1.0;
    const double mantissa =
        x *
        (0.99949556 + x * (-0.49190896 + x * (0.28947478 + x * (-0.13606275 + x * 0.03215845))));
    return exponent * std::numbers::ln2 + mantissa;
}

/// cos(2 π turns) for turns in [0, 1) to 0.0012: a parabola, bent.
double rough_cosine(double turns) {
    const double from_quarter = turns + 0.25;
    const double turn = from_quarter - (from_quarter >= 1.0 ? 1.5 : 0.5);
    const double parabola = 8.0 * turn * (1.0 - 2.0 * std::abs(turn));
    return -(parabola + 0.225 * (parabola * std::abs(parabola) - parabola));
}

/// normal_of to rough_error, for a small part of its time.
double rough_normal_of(double first, double second) {
    return std::sqrt(std::max(-2.0 * rough_log(1.0 - first), 0.0)) * rough_cosine(second);
}

/// 2e-5 below a root is 0.0064; the radius is at most 8.6.
constexpr double rough_error = 0.0064 + 8.6 * 0.0012;

void check_runs(int runs) {
    if (runs < 1) throw core::InternalError(fmt::format("a measurement of {} runs", runs));
}

} // namespace

double median_run_noise(double sigma, int runs, core::RandomStream& random) {
    check_runs(runs);
    std::vector<double> factors(static_cast<std::size_t>(runs));
    for (double& factor : factors) {
        double run[draws_per_run];
        for (double& draw : run)
            draw = random.uniform();
        factor = factor_of(sigma, run);
    }
    return core::median(std::move(factors));
}

RunNoise::RunNoise(std::uint64_t seed, int runs)
    : seed_(seed), runs_(static_cast<std::size_t>(runs)) {
    check_runs(runs);
    draws_.resize(draws_per_run * runs_);
    estimates_.resize(runs_);
}

double RunNoise::median(double sigma, std::uint32_t device, std::uint32_t number) {
    core::fill_uniform(seed_, core::StreamId::measurement_noise, device, number, draws_);
    for (std::size_t run = 0; run < runs_; ++run)
        if (is_outlier(draws_of(run))) return median_of_all(sigma);
    return median_of_normal(sigma);
}

double RunNoise::median_of_all(double sigma) {
    ordered_.clear();
    for (std::size_t run = 0; run < runs_; ++run)
        ordered_.push_back(factor_of(sigma, draws_of(run)));
    return core::median(ordered_);
}

/// Without outliers the median factor is that of the median normal value: rough values tell which
/// runs may have it, and only these are computed.
double RunNoise::median_of_normal(double sigma) {
    for (std::size_t run = 0; run < runs_; ++run)
        estimates_[run] = rough_normal_of(draws_of(run)[0], draws_of(run)[1]);
    const std::size_t middle = runs_ / 2;
    const bool is_odd = runs_ % 2 == 1;
    ordered_ = estimates_;
    const auto rough = ordered_.begin() + static_cast<std::ptrdiff_t>(middle);
    std::nth_element(ordered_.begin(), rough, ordered_.end());
    // An order statistic is off by no more than the values are, and so is each of them.
    const double highest = *rough + 2.0 * rough_error;
    const double lowest =
        (is_odd ? *rough : *std::max_element(ordered_.begin(), rough)) - 2.0 * rough_error;
    std::ptrdiff_t place = static_cast<std::ptrdiff_t>(middle);
    ordered_.clear();
    for (std::size_t run = 0; run < runs_; ++run)
        if (estimates_[run] < lowest)
            --place;
        else if (estimates_[run] <= highest)
            ordered_.push_back(normal_of(draws_of(run)[0], draws_of(run)[1]));
    const auto exact = ordered_.begin() + place;
    std::nth_element(ordered_.begin(), exact, ordered_.end());
    if (is_odd) return std::exp(sigma * *exact);
    return 0.5 * (std::exp(sigma * *std::max_element(ordered_.begin(), exact)) +
                  std::exp(sigma * *exact));
}

} // namespace hdap::fleet
