#include "fleet/anatomy/held_out.hpp"

#include "hdap/core/random.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/fleet/completion.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

namespace hdap::fleet {
namespace {

constexpr std::size_t folds = 5;
constexpr double odd_device = 3.0; ///< robust standard deviations
constexpr double smallest_variance = 1e-18;

/// [benchmark] robust standard deviations.
Eigen::ArrayXd scales_of(const LogTable& table) {
    Eigen::ArrayXd scales(table.cols());
    for (Eigen::Index b = 0; b < table.cols(); ++b)
        scales(b) = robust_sd(measured_in(table, b));
    return scales;
}

/// [device] how much it counts: less when it is far off.
Eigen::VectorXd weights_of(const LogTable& table, const Eigen::ArrayXd& scales) {
    Eigen::VectorXd weights = Eigen::VectorXd::Ones(table.rows());
    for (Eigen::Index i = 0; i < table.rows(); ++i) {
        double sum = 0.0;
        double count = 0.0;
        for (Eigen::Index b = 0; b < table.cols(); ++b) {
            if (std::isnan(table(i, b)) || scales(b) == 0.0) continue;
            sum += std::pow(table(i, b) / scales(b), 2.0);
            count += 1.0;
        }
        if (sum > odd_device * odd_device * count)
            weights(i) = odd_device * odd_device * count / sum;
    }
    return weights;
}

/// Weighted sums over devices, from which means and covariances come.
struct Sums {
    explicit Sums(Eigen::Index benchmarks)
        : products(LogTable::Zero(benchmarks, benchmarks)),
          values(Eigen::RowVectorXd::Zero(benchmarks)) {}

    Sums(const LogTable& complete, const Eigen::VectorXd& weight)
        : products(complete.transpose() * weight.asDiagonal() * complete),
          values(weight.transpose() * complete), weights(weight.sum()) {}

    void add(const Sums& other, double sign) {
        products += sign * other.products;
        values += sign * other.values;
        weights += sign * other.weights;
    }

    LogTable products; ///< of pairs of benchmarks
    Eigen::RowVectorXd values;
    double weights = 0.0;
};

/// Means and principal components.
void learn(const Sums& sums, Fold& fold) {
    fold.mean = sums.values / sums.weights;
    const LogTable covariance = sums.products / sums.weights - fold.mean.transpose() * fold.mean;
    const Eigen::SelfAdjointEigenSolver<LogTable> solver(covariance);
    fold.variances = solver.eigenvalues().cwiseMax(0.0);
    fold.directions = solver.eigenvectors();
}

/// What the factors do to the benchmarks, and the variance that is left to every one of these.
struct Factors {
    Factors(const Fold& fold, Eigen::Index rank) {
        const Eigen::Index others = fold.variances.size() - rank;
        const double largest = fold.variances(fold.variances.size() - 1);
        rest = std::max({fold.variances.head(others).mean(), 1e-9 * largest, smallest_variance});
        const Eigen::ArrayXd strength = (fold.variances.tail(rank).array() - rest).max(0.0).sqrt();
        loadings = fold.directions.rightCols(rank) * strength.matrix().asDiagonal();
    }

    LogTable loadings; ///< [benchmark][factor]
    double rest = 0.0;
};

/// The inverse of the covariance of some benchmarks, times the variance that is left: A of
/// held_out.
LogTable residual_operator(const Fold& fold, const Description& description,
                           const Indices& measured) {
    const auto count = static_cast<Eigen::Index>(measured.size());
    LogTable identity = LogTable::Identity(count, count);
    if (description.one_ratio)
        return identity - LogTable::Constant(count, count, 1.0 / static_cast<double>(count));
    if (description.rank == 0) return identity;
    const Factors factors(fold, description.rank);
    const LogTable loadings = factors.loadings(measured, Eigen::all);
    LogTable inner = loadings.transpose() * loadings;
    inner.diagonal().array() += factors.rest;
    return identity - loadings * inner.llt().solve(loadings.transpose());
}

std::vector<Pattern> patterns_of(const LogTable& table, const Indices& devices) {
    std::map<Indices, Indices> by_benchmarks;
    for (const Eigen::Index i : devices) {
        Indices measured;
        for (Eigen::Index b = 0; b < table.cols(); ++b)
            if (!std::isnan(table(i, b))) measured.push_back(b);
        by_benchmarks[measured].push_back(i);
    }
    std::vector<Pattern> patterns;
    patterns.reserve(by_benchmarks.size());
    for (auto& [measured, of_pattern] : by_benchmarks)
        patterns.push_back({.measured = measured, .devices = std::move(of_pattern)});
    return patterns;
}

/// The table with estimates in the place of what is missing, for learning alone.
LogTable completed(const LogTable& table) {
    std::vector<double> ratios(table.data(), table.data() + table.size());
    for (double& ratio : ratios)
        ratio = std::exp(ratio); // of latencies near 1 ms
    ratios = completed_latencies(std::move(ratios), static_cast<std::size_t>(table.cols()));
    const Eigen::Map<const LogTable> complete(ratios.data(), table.rows(), table.cols());
    return complete.array().log();
}

} // namespace

std::vector<Fold> folds_of(const LogTable& table) {
    const auto devices = static_cast<std::size_t>(table.rows());
    core::RandomStream random(0, core::StreamId::device_folds);
    const std::vector<std::size_t> order = random.permutation(devices);
    const Eigen::VectorXd weights = weights_of(table, scales_of(table));
    const LogTable complete = completed(table);
    const std::size_t count = std::min(folds, devices);
    std::vector<Fold> result(count);
    std::vector<Sums> sums;
    Sums all(table.cols());
    for (std::size_t f = 0; f < count; ++f) {
        Indices held;
        for (std::size_t i = f; i < devices; i += count)
            held.push_back(static_cast<Eigen::Index>(order[i]));
        result[f].patterns = patterns_of(table, held);
        sums.emplace_back(complete(held, Eigen::all), weights(held));
        all.add(sums[f], 1.0);
    }
    for (std::size_t f = 0; f < count; ++f) {
        Sums others = all;
        others.add(sums[f], -1.0);
        learn(others, result[f]);
    }
    return result;
}

HeldOut held_out(const LogTable& table, const std::vector<Fold>& all_folds,
                 const Description& description) {
    const LogTable nothing =
        LogTable::Constant(table.rows(), table.cols(), std::numeric_limits<double>::quiet_NaN());
    HeldOut result{nothing, nothing};
#pragma omp parallel for schedule(dynamic) if (table.size() > worth_threads)
    for (const Fold& fold : all_folds)
        for (const Pattern& pattern : fold.patterns) {
            const LogTable a = residual_operator(fold, description, pattern.measured);
            const Eigen::RowVectorXd diagonal = a.diagonal();
            const LogTable values =
                table(pattern.devices, pattern.measured).rowwise() - fold.mean(pattern.measured);
            const LogTable products = values * a;
            result.error(pattern.devices, pattern.measured) =
                products.array().rowwise() / diagonal.array();
            result.own(pattern.devices, pattern.measured) =
                products.array().rowwise() / diagonal.array().sqrt();
        }
    return result;
}

} // namespace hdap::fleet
