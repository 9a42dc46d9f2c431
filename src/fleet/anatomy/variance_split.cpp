#include "hdap/fleet/variance_split.hpp"

#include "fleet/anatomy/log_ratios.hpp"
#include "hdap/core/statistics.hpp"

#include <algorithm>
#include <cmath>

namespace hdap::fleet {
namespace {

constexpr double most_devices = 200'000;
constexpr double most_operations = 4e9;
constexpr double odd_speed = 4.0; ///< robust standard deviations
constexpr double odd_shape = 5.0; ///< larger, as there are many benchmarks

/// Means of variances and covariances between benchmarks.
struct MeanCovariances {
    double variance = 0.0;
    double all = 0.0; ///< of pairs of benchmarks, those of a benchmark with itself among them
    bool pairs_known = false;
};

MeanCovariances mean_covariances(const LogTable& table) {
    const LogTable measured = (!table.array().isNaN()).cast<double>();
    const LogTable devices = measured.transpose() * measured;
    LogTable filled = measured.array().select(table.array(), 0.0);
    const Eigen::RowVectorXd means =
        filled.colwise().sum().array() / devices.diagonal().transpose().array().max(1.0);
    filled -= measured * means.asDiagonal();
    const LogTable products = filled.transpose() * filled;
    double own = 0.0;
    double own_count = 0.0;
    double shared = 0.0;
    double shared_count = 0.0;
    for (Eigen::Index b = 0; b < products.rows(); ++b)
        for (Eigen::Index c = 0; c < products.cols(); ++c) {
            if (devices(b, c) < 2.0) continue;
            (b == c ? own : shared) += products(b, c) / (devices(b, c) - 1.0);
            (b == c ? own_count : shared_count) += 1.0;
        }
    MeanCovariances result;
    if (own_count == 0.0) return result;
    result.variance = own / own_count;
    result.pairs_known = shared_count > 0.0;
    const double others = result.pairs_known ? shared / shared_count : result.variance;
    result.all = (result.variance + (own_count - 1.0) * others) / own_count;
    return result;
}

VarianceParts parts_of(const MeanCovariances& means, double noise, double benchmarks) {
    VarianceParts parts;
    parts.noise = std::min(noise, means.variance);
    parts.speed = std::max(0.0, means.all - parts.noise / benchmarks);
    parts.shape = std::max(0.0, means.variance - parts.speed - parts.noise);
    return parts;
}

/// The devices that are as most are. `noise`: [benchmark] variances.
std::vector<Eigen::Index> usual_devices(const LogTable& table, const std::vector<double>& noise) {
    const Eigen::VectorXd speed = speeds(table);
    const LogTable shape = shapes(table, speed);
    const std::vector<double> all_speeds(speed.begin(), speed.end());
    const double middle = core::median(all_speeds);
    const double noise_sd = std::sqrt(core::mean(noise) / static_cast<double>(table.cols()));
    const double speed_limit = odd_speed * std::max(robust_sd(all_speeds), noise_sd);
    Eigen::ArrayXd shape_middle(table.cols());
    Eigen::ArrayXd shape_limit(table.cols());
    for (Eigen::Index b = 0; b < table.cols(); ++b) {
        const std::vector<double> column = measured_in(shape, b);
        shape_middle(b) = column.empty() ? 0.0 : core::median(column);
        shape_limit(b) =
            odd_shape * std::max(robust_sd(column), std::sqrt(noise[static_cast<std::size_t>(b)]));
    }
    std::vector<Eigen::Index> usual;
    for (Eigen::Index i = 0; i < table.rows(); ++i) {
        bool odd = std::abs(speed(i) - middle) > speed_limit;
        for (Eigen::Index b = 0; b < table.cols() && !odd; ++b)
            odd = std::abs(shape(i, b) - shape_middle(b)) > shape_limit(b); // never for nan
        if (!odd) usual.push_back(i);
    }
    return usual;
}

double sum_of_squares(const LogTable& table) {
    return table.array().isNaN().select(0.0, table.array()).square().sum();
}

} // namespace

VarianceSplit variance_split(const Fleet& fleet, const Noise& noise) {
    const auto looked_at = evenly_spaced(fleet.benchmarks(), most_benchmarks);
    const auto benchmarks = static_cast<double>(looked_at.size());
    const double most = std::min(most_devices, most_operations / (benchmarks * benchmarks));
    const auto sample = evenly_spaced(fleet.devices(), static_cast<std::size_t>(most));
    const LogTable table = log_ratios(fleet, sample, looked_at);
    std::vector<double> of_noise;
    for (const std::size_t b : looked_at)
        of_noise.push_back(noise.variance[b]);
    const std::vector<Eigen::Index> usual = usual_devices(table, of_noise);
    const LogTable main = table(usual, Eigen::all);
    const MeanCovariances means = mean_covariances(table);
    const double all_squares = sum_of_squares(table);
    VarianceSplit split;
    split.all = parts_of(means, core::mean(of_noise), benchmarks);
    split.main = parts_of(mean_covariances(main), core::mean(of_noise), benchmarks);
    split.odd_devices = sample.size() - usual.size();
    split.odd_share = all_squares > 0.0 ? 1.0 - sum_of_squares(main) / all_squares : 0.0;
    split.devices = sample.size();
    split.shape_known = means.pairs_known;
    return split;
}

bool shape_is_noise(const VarianceSplit& split) {
    constexpr double by_chance = 0.1;
    return split.shape_known && split.all.shape <= by_chance * split.all.noise;
}

} // namespace hdap::fleet
