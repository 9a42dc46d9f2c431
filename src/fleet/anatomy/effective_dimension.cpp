#include "hdap/fleet/effective_dimension.hpp"

#include "fleet/anatomy/held_out.hpp"
#include "hdap/core/statistics.hpp"

#include <algorithm>
#include <cmath>

namespace hdap::fleet {
namespace {

constexpr std::size_t most_devices = 20'000;
constexpr double most_operations = 4e9;
constexpr Eigen::Index most_ranks = 20;
constexpr double odd_error = 4.0;    ///< robust standard deviations
constexpr double usual_share = 0.95; ///< of the devices; the others count as the last of these
constexpr double as_good = 1.03;     ///< as the lowest error
constexpr double negligible_error = 1e-6;

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
LogTable table_of(const Fleet& fleet, const std::vector<std::size_t>& looked_at) {
    const auto benchmarks = static_cast<double>(looked_at.size());
    const double ranks = std::min(benchmarks, static_cast<double>(most_ranks));
    const double of_device = ranks * benchmarks * (benchmarks + ranks * ranks);
    const double most = std::min(static_cast<double>(most_devices), most_operations / of_device);
    std::vector<std::size_t> able;
    for (std::size_t i = 0; i < fleet.devices(); ++i) {
        const auto measured =
            std::count_if(looked_at.begin(), looked_at.end(), [&](std::size_t benchmark) {
                return !std::isnan(fleet.latency_ms[i * fleet.benchmarks() + benchmark]);
            });
        if (measured >= 2) able.push_back(i);
    }
    std::vector<std::size_t> chosen;
    for (const std::size_t i : evenly_spaced(able.size(), static_cast<std::size_t>(most)))
        chosen.push_back(able[i]);
    return log_ratios(fleet, chosen, looked_at);
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
std::vector<double> unpredicted_variances(const LogTable& own, const std::vector<std::size_t>& told,
                                          std::size_t benchmarks) {
    std::vector<double> known;
    for (Eigen::Index b = 0; b < own.cols(); ++b)
        known.push_back(usual_square(measured_in(own, b)));
    std::vector<double> variances(benchmarks, core::mean(known));
    for (std::size_t k = 0; k < told.size(); ++k)
        variances[told[k]] = known[k];
    return variances;
}

} // namespace

EffectiveDimension effective_dimension(const Fleet& fleet) {
    EffectiveDimension result;
    if (fleet.benchmarks() < 2) {
        result.unknown = "there is one benchmark: nothing can be predicted from others";
        return result;
    }
    const auto looked_at = evenly_spaced(fleet.benchmarks(), most_benchmarks);
    const LogTable of_all = table_of(fleet, looked_at);
    const Part part = told_part(of_all);
    result.devices = part.devices.size();
    if (result.devices < 3 || part.benchmarks.size() < 2) {
        result.unknown = "fewer than three devices ran the same benchmarks: what some teach "
                         "cannot be tried on others";
        return result;
    }
    const LogTable table = of_all(part.devices, part.benchmarks);
    const std::vector<Fold> all_folds = folds_of(table);
    const auto held = static_cast<Eigen::Index>(all_folds.size());
    const std::vector<Description> tried =
        descriptions(table.cols(), table.rows() - (table.rows() + held - 1) / held);
    std::vector<Eigen::ArrayXd> losses;
    losses.reserve(tried.size());
    for (const Description& description : tried)
        losses.push_back(losses_of(held_out(table, all_folds, description).error));
    judge(tried, losses, result);
    const LogTable own = held_out(table, all_folds, tried[result.chosen]).own;
    std::vector<std::size_t> told;
    for (const Eigen::Index b : part.benchmarks)
        told.push_back(looked_at[static_cast<std::size_t>(b)]);
    result.unpredicted = unpredicted_variances(own, told, fleet.benchmarks());
    return result;
}

std::optional<Noise> unpredicted_noise(const EffectiveDimension& dimension) {
    if (!dimension.unknown.empty()) return std::nullopt;
    return Noise{.source = NoiseSource::prediction, .variance = dimension.unpredicted};
}

} // namespace hdap::fleet
