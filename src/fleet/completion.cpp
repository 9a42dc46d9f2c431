#include "hdap/fleet/completion.hpp"

#include "hdap/core/statistics.hpp"
#include "hdap/fleet/fleet.hpp"

#include <Eigen/Dense>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

namespace hdap::fleet {
namespace {

using Table = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Indices = std::vector<Eigen::Index>;

constexpr double degrees_of_freedom = 4.0;
constexpr double fewest_prior_devices = 4.0;
constexpr double prior_devices_per_benchmark = 0.25;
constexpr double prior_correlation = 0.9;
constexpr int most_iterations = 25;
constexpr double tolerance = 1e-4; ///< of the scale's largest entry

constexpr double most_devices = 20'000;
constexpr double most_operations = 2e9; ///< in an iteration: a second, so that all take 20

/// Devices that lack the same benchmarks.
struct Pattern {
    Indices missing;
    Indices devices;
};

std::vector<Pattern> patterns_of(const Table& log_latency) {
    std::map<Indices, Indices> devices_lacking;
    Indices missing;
    for (Eigen::Index i = 0; i < log_latency.rows(); ++i) {
        missing.clear();
        for (Eigen::Index b = 0; b < log_latency.cols(); ++b)
            if (std::isnan(log_latency(i, b))) missing.push_back(b);
        devices_lacking[missing].push_back(i);
    }
    std::vector<Pattern> patterns;
    for (auto& [lacking, devices] : devices_lacking)
        patterns.push_back({.missing = lacking, .devices = std::move(devices)});
    return patterns;
}

/// What the missing benchmarks of a pattern are expected at.
struct Conditional {
    /// `precision` is the inverse of the scale: of it, only the part of what is missing need be
    /// inverted.
    Conditional(const Table& precision, const Indices& missing)
        : scale(inverse(precision(missing, missing))),
          slope(-scale * precision(missing, Eigen::all)) {}

    static Table inverse(const Table& positive_definite) {
        return positive_definite.llt().solve(
            Table::Identity(positive_definite.rows(), positive_definite.cols()));
    }

    Table scale; ///< of what is missing, around its expectation
    Table slope; ///< [missing][benchmark] of what was measured; to be applied with 0 elsewhere
};

/// Fills in what devices lack, given latencies relative to the mean.
void fill(Table& centred, const Pattern& pattern, const Conditional& expected) {
    for (const Eigen::Index device : pattern.devices) {
        auto row = centred.row(device);
        for (const Eigen::Index b : pattern.missing)
            row(b) = 0.0;
        const Eigen::VectorXd estimate = expected.slope * row.transpose();
        for (std::size_t i = 0; i < pattern.missing.size(); ++i)
            row(pattern.missing[i]) = estimate(static_cast<Eigen::Index>(i));
    }
}

/// [benchmark] a standard deviation that single odd devices hardly move: from mean absolute
/// deviations. A benchmark of few devices takes after the others.
Eigen::VectorXd spread_of(const Table& log_latency) {
    const double normal = std::sqrt(std::acos(-1.0) / 2.0); // standard ÷ mean absolute deviation
    constexpr double least = 1e-6;
    const Eigen::Index benchmarks = log_latency.cols();
    Eigen::VectorXd devices(benchmarks);
    Eigen::VectorXd variance(benchmarks);
    for (Eigen::Index b = 0; b < benchmarks; ++b) {
        const auto column = log_latency.col(b).array();
        const auto measured = !column.isNaN();
        devices(b) = static_cast<double>(measured.count());
        const double sum = measured.select(column.abs(), 0.0).sum();
        variance(b) = std::pow(normal * sum / std::max(devices(b), 1.0), 2.0);
    }
    const double pooled = devices.dot(variance) / devices.sum() + least * least;
    return ((devices.array() * variance.array() + pooled) / (devices.array() + 1.0)).sqrt();
}

/// The multivariate t distribution that log latencies are taken to follow.
class LatencyModel {
  public:
    /// Learns from log latencies relative to the benchmarks' medians.
    explicit LatencyModel(const Table& log_latency)
        : mean_(Eigen::RowVectorXd::Zero(log_latency.cols())), prior_(prior_of(log_latency)),
          scale_(prior_) {
        const std::vector<Pattern> patterns = patterns_of(log_latency);
        for (int i = 0; i < most_iterations && !improve(log_latency, patterns); ++i) {
        }
    }

    /// Fills in what is missing.
    void complete(Table& log_latency) const {
        const Table precision = Conditional::inverse(scale_);
        log_latency.rowwise() -= mean_;
        const std::vector<Pattern> patterns = patterns_of(log_latency);
#pragma omp parallel for schedule(dynamic)
        for (const Pattern& pattern : patterns) // each has devices of its own
            if (!pattern.missing.empty())
                fill(log_latency, pattern, Conditional(precision, pattern.missing));
        log_latency.rowwise() += mean_;
    }

  private:
    static Table prior_of(const Table& log_latency) {
        const Eigen::VectorXd spread = spread_of(log_latency);
        Table prior = prior_correlation * spread * spread.transpose();
        prior.diagonal() = spread.cwiseAbs2();
        return prior;
    }

    /// One step of expectation-maximisation; true when it changed next to nothing.
    bool improve(const Table& log_latency, const std::vector<Pattern>& patterns) {
        const Table precision = Conditional::inverse(scale_);
        Table centred = log_latency.rowwise() - mean_;
        const double prior_devices =
            std::max(fewest_prior_devices,
                     prior_devices_per_benchmark * static_cast<double>(centred.cols()));
        Table sum = prior_devices * prior_;
        const Eigen::VectorXd measured = (!centred.array().isNaN()).cast<double>().rowwise().sum();
        for (const Pattern& pattern : patterns) {
            if (pattern.missing.empty()) continue;
            const Conditional expected(precision, pattern.missing);
            fill(centred, pattern, expected);
            // Expectations scatter less than latencies.
            sum(pattern.missing, pattern.missing) +=
                static_cast<double>(pattern.devices.size()) * expected.scale;
        }
        const Eigen::VectorXd distance =
            (centred * precision).cwiseProduct(centred).rowwise().sum();
        const Eigen::VectorXd weight =
            (degrees_of_freedom + measured.array()) / (degrees_of_freedom + distance.array());
        const Eigen::RowVectorXd shift = weight.transpose() * centred / weight.sum();
        mean_ += shift;
        centred.rowwise() -= shift;
        sum += centred.transpose() * weight.asDiagonal() * centred;
        sum /= static_cast<double>(centred.rows()) + prior_devices;
        const double change = (sum - scale_).cwiseAbs().maxCoeff();
        scale_ = std::move(sum);
        return change <= tolerance * scale_.cwiseAbs().maxCoeff();
    }

    Eigen::RowVectorXd mean_;
    Table prior_;
    Table scale_;
};

/// How many devices can be learned from in time; fewer than benchmarks say too little.
std::size_t devices_to_learn_from(const Table& log_latency) {
    const auto devices = static_cast<double>(log_latency.rows());
    const auto benchmarks = static_cast<double>(log_latency.cols());
    const double missing = static_cast<double>(log_latency.array().isNaN().count()) / devices;
    const double of_device = missing * missing * (missing + benchmarks) + benchmarks * benchmarks;
    const double left = most_operations - 2.0 * benchmarks * benchmarks * benchmarks;
    const double count = std::floor(std::min({devices, most_devices, left / of_device}));
    return count < std::min(devices, benchmarks) ? 0 : static_cast<std::size_t>(count);
}

/// `count` devices, evenly spaced.
Table sample_of(const Table& log_latency, std::size_t count) {
    const auto devices = static_cast<std::size_t>(log_latency.rows());
    Indices chosen;
    for (std::size_t i = 0; i < count; ++i)
        chosen.push_back(static_cast<Eigen::Index>(i * devices / count));
    return log_latency(chosen, Eigen::all);
}

/// What is measured in a row or a column.
template <class Line>
std::vector<double> measured_in(const Line& line) {
    std::vector<double> measured;
    for (const double value : line)
        if (!std::isnan(value)) measured.push_back(value);
    return measured;
}

/// Fills in what a device takes on all benchmarks plus what a benchmark takes on all devices, by
/// medians in turn (Tukey, "Exploratory Data Analysis", 1977: median polish).
void complete_by_effects(Table& log_latency) {
    constexpr int sweeps = 5;
    Eigen::VectorXd device(log_latency.rows());
    Eigen::RowVectorXd benchmark = Eigen::RowVectorXd::Zero(log_latency.cols());
    for (int sweep = 0; sweep < sweeps; ++sweep) {
        for (Eigen::Index i = 0; i < device.size(); ++i)
            device(i) = core::median(measured_in(log_latency.row(i) - benchmark));
        for (Eigen::Index b = 0; b < benchmark.size(); ++b)
            benchmark(b) = core::median(measured_in(log_latency.col(b) - device));
    }
    for (Eigen::Index i = 0; i < device.size(); ++i)
        for (Eigen::Index b = 0; b < benchmark.size(); ++b)
            if (std::isnan(log_latency(i, b))) log_latency(i, b) = device(i) + benchmark(b);
}

/// [benchmark] the log of the median of what was measured.
Eigen::RowVectorXd log_medians(const Eigen::Map<const Table>& latency_ms) {
    Eigen::RowVectorXd medians(latency_ms.cols());
    for (Eigen::Index b = 0; b < medians.size(); ++b)
        medians(b) = std::log(core::median(measured_in(latency_ms.col(b))));
    return medians;
}

} // namespace

std::vector<double> completed_latencies(std::vector<double> latency_ms, std::size_t benchmarks) {
    const auto is_missing = [](double value) { return std::isnan(value); };
    if (std::none_of(latency_ms.begin(), latency_ms.end(), is_missing)) return latency_ms;
    const Eigen::Map<const Table> measured(
        latency_ms.data(), static_cast<Eigen::Index>(latency_ms.size() / benchmarks),
        static_cast<Eigen::Index>(benchmarks));
    const Eigen::RowVectorXd medians = log_medians(measured);
    Table table = measured.array().log();
    table.rowwise() -= medians;
    const std::size_t count = devices_to_learn_from(table);
    if (count == 0)
        complete_by_effects(table);
    else
        LatencyModel(sample_of(table, count)).complete(table);
    table.rowwise() += medians;
    for (std::size_t i = 0; i < latency_ms.size(); ++i)
        if (is_missing(latency_ms[i]))
            latency_ms[i] =
                std::clamp(std::exp(table.data()[i]), smallest_latency_ms, largest_latency_ms);
    return latency_ms;
}

} // namespace hdap::fleet
