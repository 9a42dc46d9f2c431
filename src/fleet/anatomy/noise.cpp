#include "hdap/fleet/noise.hpp"

#include "hdap/core/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace hdap::fleet {
namespace {

/// The density and the value of the standard normal distribution at probability `p`.
struct NormalPoint {
    explicit NormalPoint(double p) {
        double lower = -9.0;
        double upper = 9.0;
        for (int i = 0; i < 60; ++i) {
            value = 0.5 * (lower + upper);
            (0.5 * std::erfc(-value / std::numbers::sqrt2) < p ? lower : upper) = value;
        }
        density = std::exp(-0.5 * value * value) / std::sqrt(2.0 * std::numbers::pi);
    }

    double value = 0.0;
    double density = 0.0;
};

/// What the squared distance between the quartiles of `runs` standard normal values is expected
/// at. Order statistics by Blom ("Statistical estimates and transformed beta-variables", 1958),
/// their variances by the leading term of David and Johnson (Biometrika 41, 1954).
double expected_squared_iqr(std::int64_t runs) {
    const auto n = static_cast<double>(runs);
    const double place = 0.25 * (n - 1.0); // of the lower quartile among 0 … n − 1
    const auto lower = std::floor(place);
    const auto score = [&](double rank) {
        return NormalPoint((rank + 1.0 - 0.375) / (n + 0.25)).value;
    };
    const double quartile = std::lerp(score(lower), score(lower + 1.0), place - lower);
    const double p = (place + 1.0) / (n + 1.0);
    const double density = NormalPoint(p).density;
    const double variance = 2.0 * p * (1.0 - 2.0 * p) / ((n + 2.0) * density * density);
    return 4.0 * quartile * quartile + variance;
}

/// Remembers that of the number of runs that was asked for last: files repeat it.
class RunSpread {
  public:
    /// The variance of the latency that `spread` belongs to; not a number where that is not known.
    double variance_of_latency(const LatencySpread& spread) {
        const double first = spread.quantile_ms[1];
        const double third = spread.quantile_ms[3];
        if (spread.runs < 2 || !(first > 0.0) || !(third >= first))
            return std::numeric_limits<double>::quiet_NaN();
        if (spread.runs != runs_) {
            runs_ = spread.runs;
            factor_ = variance_of_median(runs_) / expected_squared_iqr(runs_);
        }
        const double distance = std::log(third / first);
        return distance * distance * factor_;
    }

  private:
    std::int64_t runs_ = 0;
    double factor_ = 0.0;
};

/// The mean of values of which the largest count as 16 times the median.
double mean_of_usual(const std::vector<double>& values) {
    const double most = 16.0 * core::median(values);
    double sum = 0.0;
    for (const double value : values)
        sum += most > 0.0 ? std::min(value, most) : value;
    return sum / static_cast<double>(values.size());
}

/// Benchmarks of which nothing is known take after the others.
void fill_unknown(std::vector<double>& variance) {
    std::vector<double> known;
    for (const double value : variance)
        if (!std::isnan(value)) known.push_back(value);
    for (double& value : variance)
        if (std::isnan(value)) value = core::mean(known);
}

} // namespace

double mean_variance(const Noise& noise) {
    return noise.variance.empty() ? 0.0 : core::mean(noise.variance);
}

double variance_of_median(std::int64_t runs) {
    const auto n = static_cast<double>(runs);
    // Of an even number of runs the median is the mean of two.
    const double excess = runs % 2 == 0 ? 1.2 : std::numbers::pi / 2.0 - 1.0;
    return std::numbers::pi / 2.0 / (n + excess);
}

std::optional<Noise> noise_of_runs(const Fleet& fleet) {
    if (fleet.spreads.empty()) return std::nullopt;
    Noise noise{.source = NoiseSource::runs, .variance = {}};
    RunSpread spread;
    std::size_t known = 0;
    for (std::size_t b = 0; b < fleet.benchmarks(); ++b) {
        std::vector<double> variances;
        for (std::size_t i = b; i < fleet.spreads.size(); i += fleet.benchmarks()) {
            const double variance = spread.variance_of_latency(fleet.spreads[i]);
            if (!std::isnan(variance) && !std::isnan(fleet.latency_ms[i]))
                variances.push_back(variance);
        }
        known += variances.size();
        noise.variance.push_back(variances.empty() ? std::numeric_limits<double>::quiet_NaN()
                                                   : mean_of_usual(variances));
    }
    if (2 * known < fleet.latency_ms.size() - missing_latencies(fleet)) return std::nullopt;
    fill_unknown(noise.variance);
    return noise;
}

std::optional<Noise> noise_of_rounds(const MeasuredFleet& measured) {
    constexpr std::size_t few_devices = 8;
    const std::size_t benchmarks = measured.fleet.benchmarks();
    std::vector<std::vector<double>> variances(benchmarks);
    if (measured.parameters.rounds < 2) return std::nullopt;
    for (std::size_t i = 0; i < measured.fleet.devices(); ++i) {
        std::array<std::vector<double>, 2> halves;
        const auto rounds = rounds_of_device(measured, i);
        for (std::size_t at = 0; at < rounds.size(); ++at)
            halves[at / benchmarks % 2].push_back(rounds[at]);
        const double quantile = measured.parameters.quantile;
        const auto even = latency_estimates(halves[0], benchmarks, quantile);
        const auto odd = latency_estimates(halves[1], benchmarks, quantile);
        for (std::size_t b = 0; b < benchmarks; ++b)
            variances[b].push_back(0.25 * std::pow(std::log(even[b] / odd[b]), 2.0));
    }
    Noise noise{.source = NoiseSource::rounds, .variance = {}};
    for (const auto& of_benchmark : variances)
        noise.variance.push_back(core::mean(of_benchmark));
    if (measured.fleet.devices() < few_devices)
        std::fill(noise.variance.begin(), noise.variance.end(), mean_variance(noise));
    return noise;
}

} // namespace hdap::fleet
