#include "hdap/fleet/effective_dimension.hpp"

#include "fleet/anatomy/log_ratios.hpp"
#include "hdap/core/random.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/fleet/completion.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

namespace hdap::fleet {
namespace {

using Indices = std::vector<Eigen::Index>;

constexpr std::size_t most_devices = 20'000;
constexpr double most_operations = 4e9;
constexpr std::size_t folds = 5;
constexpr Eigen::Index most_ranks = 20;
constexpr double odd_device = 3.0; ///< robust standard deviations
constexpr double odd_error = 4.0;
constexpr double usual_share = 0.95; ///< of the devices; the others count as the last of these
constexpr double as_good = 1.03;     ///< as the lowest error
constexpr double negligible_error = 1e-6;
constexpr double smallest_variance = 1e-18;

/// What describes a device.
struct Description {
    Eigen::Index rank = 0;
    bool one_ratio = false;
};

/// Devices of one fold that ran the same benchmarks.
struct Pattern {
    Indices measured;
    Indices devices;
};

/// The part of the devices that is held out, and what the others say.
struct Fold {
    std::vector<Pattern> patterns;
    Eigen::RowVectorXd mean;
    Eigen::VectorXd variances; ///< principal, ascending
    LogTable directions;       ///< [benchmark][component]
};

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

/// [factor][benchmark], and the variance that is left to every benchmark.
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
    const LogTable identity = LogTable::Identity(count, count);
    if (description.one_ratio)
        return identity - LogTable::Constant(count, count, 1.0 / static_cast<double>(count));
    if (description.rank == 0) return identity;
    const Factors factors(fold, description.rank);
    const LogTable loadings = factors.loadings(measured, Eigen::all);
    LogTable inner = loadings.transpose() * loadings;
    inner.diagonal().array() += factors.rest;
    return identity - loadings * inner.llt().solve(loadings.transpose());
}

/// Errors of predicting each latency from the others of its device; not a number where nothing was
/// measured.
struct HeldOut {
    LogTable error;
    LogTable own; ///< scaled to the variance of what only that latency has
};

/// With A the inverse covariance of what a device was measured on, x is off from what the others
/// predict by (A x)_b ÷ A_bb (Sundararajan and Keerthi, Neural Computation 13, 2001).
HeldOut held_out(const LogTable& table, const std::vector<Fold>& all_folds,
                 const Description& description) {
    const LogTable nothing =
        LogTable::Constant(table.rows(), table.cols(), std::numeric_limits<double>::quiet_NaN());
    HeldOut result{nothing, nothing};
#pragma omp parallel for schedule(dynamic)
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

std::vector<Pattern> patterns_of(const LogTable& table, const Indices& devices) {
    std::map<Indices, Indices> by_benchmarks;
    for (const Eigen::Index i : devices) {
        Indices measured;
        for (Eigen::Index b = 0; b < table.cols(); ++b)
            if (!std::isnan(table(i, b))) measured.push_back(b);
        by_benchmarks[measured].push_back(i);
    }
    std::vector<Pattern> patterns;
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

std::vector<Fold> folds_of(const LogTable& table, const Eigen::ArrayXd& scales) {
    const auto devices = static_cast<std::size_t>(table.rows());
    core::RandomStream random(0, core::StreamId::device_folds);
    const std::vector<std::size_t> order = random.permutation(devices);
    const Eigen::VectorXd weights = weights_of(table, scales);
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

/// [device] the mean of its squared errors; that of a device that is described worse than most is
/// that of most.
Eigen::ArrayXd losses_of(const LogTable& error) {
    const auto measured = !error.array().isNaN();
    const Eigen::ArrayXd counts = measured.cast<double>().rowwise().sum();
    const Eigen::ArrayXd losses =
        measured.select(error.array().square(), 0.0).rowwise().sum() / counts;
    return losses.min(core::quantile({losses.begin(), losses.end()}, usual_share));
}

std::vector<Description> descriptions(Eigen::Index benchmarks, Eigen::Index devices) {
    std::vector<Description> all{{.rank = 0}, {.rank = 1, .one_ratio = true}};
    const Eigen::Index most = std::min({benchmarks - 1, devices - 2, most_ranks});
    for (Eigen::Index rank = 1; rank <= most; ++rank)
        all.push_back({.rank = rank});
    return all;
}

/// Errors and their differences to the lowest one, and which one is chosen.
void judge(const std::vector<Description>& tried, const std::vector<Eigen::ArrayXd>& losses,
           EffectiveDimension& result) {
    const auto lower = [](const auto& a, const auto& b) { return a.sum() < b.sum(); };
    const Eigen::ArrayXd& lowest = *std::min_element(losses.begin(), losses.end(), lower);
    const auto devices = static_cast<double>(lowest.size());
    for (std::size_t k = 0; k < tried.size(); ++k) {
        const Eigen::ArrayXd difference = losses[k] - lowest;
        const double variance = (difference - difference.mean()).square().sum() / (devices - 1.0);
        result.errors.push_back({.rank = static_cast<std::size_t>(tried[k].rank),
                                 .one_ratio = tried[k].one_ratio,
                                 .error = std::sqrt(losses[k].mean()),
                                 .standard_error = std::sqrt(variance / devices)});
    }
    const double best = std::sqrt(lowest.mean());
    const auto good = [&](const DimensionError& tried_rank) {
        const double excess = tried_rank.error * tried_rank.error - best * best;
        return excess <= tried_rank.standard_error ||
               tried_rank.error <= as_good * best + negligible_error;
    };
    result.chosen = static_cast<std::size_t>(
        std::find_if(result.errors.begin(), result.errors.end(), good) - result.errors.begin());
}

/// The devices that have something to be predicted from, as many as there is time for.
LogTable table_of(const Fleet& fleet) {
    const auto benchmarks = static_cast<double>(fleet.benchmarks());
    const double ranks = std::min(benchmarks, static_cast<double>(most_ranks));
    const double of_device = ranks * benchmarks * (benchmarks + ranks * ranks);
    const double most = std::min(static_cast<double>(most_devices), most_operations / of_device);
    const auto columns = static_cast<std::ptrdiff_t>(fleet.benchmarks());
    std::vector<std::size_t> able;
    for (std::size_t i = 0; i < fleet.devices(); ++i) {
        const auto row = fleet.latency_ms.begin() + static_cast<std::ptrdiff_t>(i) * columns;
        const auto measured =
            std::count_if(row, row + columns, [](double value) { return !std::isnan(value); });
        if (measured >= 2) able.push_back(i);
    }
    std::vector<std::size_t> chosen;
    for (const std::size_t i : evenly_spaced(able.size(), static_cast<std::size_t>(most) + 1))
        chosen.push_back(able[i]);
    return log_ratios(fleet, chosen);
}

/// Devices that ran two of these benchmarks or more, which two of these devices ran or more.
struct Part {
    Indices devices;
    Indices benchmarks;
};

/// The largest such part of a table.
Part told_part(const LogTable& table) {
    const LogTable measured = (!table.array().isNaN()).cast<double>();
    Eigen::VectorXd device = Eigen::VectorXd::Ones(table.rows());
    Eigen::VectorXd benchmark = Eigen::VectorXd::Ones(table.cols());
    const auto at_least_two = [](const Eigen::VectorXd& counts) -> Eigen::VectorXd {
        return (counts.array() > 1.5).cast<double>();
    };
    for (double left = -1.0; left != device.sum() + benchmark.sum();) {
        left = device.sum() + benchmark.sum();
        benchmark = at_least_two(measured.transpose() * device);
        device = at_least_two(measured * benchmark);
    }
    Part part;
    for (Eigen::Index i = 0; i < device.size(); ++i)
        if (device(i) > 0.0) part.devices.push_back(i);
    for (Eigen::Index b = 0; b < benchmark.size(); ++b)
        if (benchmark(b) > 0.0) part.benchmarks.push_back(b);
    return part;
}

/// The mean square of `values`, those that are far off counted as less.
double usual_square(const std::vector<double>& values) {
    const double limit = odd_error * robust_sd(values);
    double sum = 0.0;
    for (const double value : values)
        sum += std::pow(std::min(std::abs(value), limit), 2.0);
    return sum / static_cast<double>(values.size());
}

/// [benchmark] of `own`, whose columns are those of `told`; the mean of these for the others.
std::vector<double> unpredicted_variances(const LogTable& own, const Indices& told,
                                          std::size_t benchmarks) {
    std::vector<double> known;
    for (Eigen::Index b = 0; b < own.cols(); ++b)
        known.push_back(usual_square(measured_in(own, b)));
    std::vector<double> variances(benchmarks, core::mean(known));
    for (std::size_t k = 0; k < told.size(); ++k)
        variances[static_cast<std::size_t>(told[k])] = known[k];
    return variances;
}

} // namespace

EffectiveDimension effective_dimension(const Fleet& fleet) {
    EffectiveDimension result;
    if (fleet.benchmarks() < 2) {
        result.unknown = "there is one benchmark: nothing can be predicted from others";
        return result;
    }
    const LogTable of_all = table_of(fleet);
    const Part part = told_part(of_all);
    result.devices = part.devices.size();
    if (result.devices < 3 || part.benchmarks.size() < 2) {
        result.unknown = "fewer than three devices ran the same benchmarks: what some teach "
                         "cannot be tried on others";
        return result;
    }
    const LogTable table = of_all(part.devices, part.benchmarks);
    const std::vector<Fold> all_folds = folds_of(table, scales_of(table));
    const auto held = static_cast<Eigen::Index>(all_folds.size());
    const std::vector<Description> tried =
        descriptions(table.cols(), table.rows() - (table.rows() + held - 1) / held);
    std::vector<Eigen::ArrayXd> losses;
    losses.reserve(tried.size());
    for (const Description& description : tried)
        losses.push_back(losses_of(held_out(table, all_folds, description).error));
    judge(tried, losses, result);
    const LogTable own = held_out(table, all_folds, tried[result.chosen]).own;
    result.unpredicted = unpredicted_variances(own, part.benchmarks, fleet.benchmarks());
    return result;
}

} // namespace hdap::fleet
