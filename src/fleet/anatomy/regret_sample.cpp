#include "fleet/anatomy/regret_sample.hpp"

#include "hdap/core/statistics.hpp"
#include "hdap/fleet/completion.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace hdap::fleet {
namespace {

constexpr double most_devices = 10'000;
constexpr double most_latencies = 1e6;

/// A benchmark's shapes, scaled so that they vary as without noise.
void take_out_noise(Eigen::Ref<Eigen::VectorXd> shape, double noise) {
    constexpr double by_chance = 9.0; // ÷ noise: three standard deviations
    // What a robust variance is off by chance, three standard deviations of it, and noise itself.
    const double doubt = 0.1 + 7.0 / std::sqrt(static_cast<double>(shape.size()));
    const double usual = std::pow(robust_sd({shape.begin(), shape.end()}), 2.0);
    const double usual_share = usual > (1.0 + doubt) * noise ? 1.0 - noise / usual : 0.0;
    for (double& value : shape) {
        const double square = value * value;
        const double own_share = square > 0.0 ? 1.0 - by_chance * noise / square : 0.0;
        value *= std::sqrt(std::max(usual_share, own_share));
    }
}

/// [benchmark] by how much it counts in a device's speed: less when it is noisy.
Eigen::VectorXd speed_weights(const Eigen::VectorXd& noise) {
    constexpr double least = 1e-12;
    const Eigen::ArrayXd weights = 1.0 / (noise.array() + 0.01 * noise.mean() + least);
    return weights / weights.sum();
}

/// The benchmarks that two of `devices` ran or more.
std::vector<std::size_t> shared_benchmarks(const Fleet& fleet,
                                           std::span<const std::size_t> devices) {
    std::vector<std::size_t> shared;
    for (std::size_t b = 0; b < fleet.benchmarks(); ++b)
        if (std::count_if(devices.begin(), devices.end(), [&](std::size_t i) {
                return !std::isnan(fleet.latency_ms[i * fleet.benchmarks() + b]);
            }) >= 2)
            shared.push_back(b);
    return shared;
}

} // namespace

RegretSample regret_sample(const Fleet& fleet, std::span<const std::int32_t> groups) {
    const double most =
        std::min(most_devices, most_latencies / static_cast<double>(fleet.benchmarks()));
    const auto devices = evenly_spaced(fleet.devices(), static_cast<std::size_t>(most));
    RegretSample sample;
    sample.benchmarks = shared_benchmarks(fleet, devices);
    std::vector<double> latency_ms;
    for (const std::size_t i : devices) {
        std::vector<double> row;
        for (const std::size_t b : sample.benchmarks)
            row.push_back(fleet.latency_ms[i * fleet.benchmarks() + b]);
        const auto missing =
            std::count_if(row.begin(), row.end(), [](double value) { return std::isnan(value); });
        if (static_cast<std::size_t>(missing) == row.size()) continue;
        sample.devices.push_back(i);
        sample.missing.push_back(static_cast<std::size_t>(missing));
        latency_ms.insert(latency_ms.end(), row.begin(), row.end());
        if (!groups.empty()) sample.groups.push_back(groups[i]);
    }
    if (sample.devices.empty()) return sample;
    for (const std::int32_t group : sample.groups)
        sample.group_count = std::max(sample.group_count, group + 1);
    const auto columns = sample.benchmarks.size();
    latency_ms = completed_latencies(std::move(latency_ms), columns);
    const Eigen::Map<const LogTable> table(latency_ms.data(),
                                           static_cast<Eigen::Index>(sample.devices.size()),
                                           static_cast<Eigen::Index>(columns));
    sample.log_latency = table.array().log();
    return sample;
}

LogTable without_noise(const RegretSample& sample, const Noise& noise) {
    Eigen::VectorXd variance(sample.log_latency.cols());
    for (std::size_t b = 0; b < sample.benchmarks.size(); ++b)
        variance(static_cast<Eigen::Index>(b)) = noise.variance[sample.benchmarks[b]];
    const Eigen::VectorXd weights = speed_weights(variance);
    const Eigen::RowVectorXd medians = medians_of(sample.log_latency);
    const LogTable ratios = sample.log_latency.rowwise() - medians;
    const Eigen::VectorXd speed = ratios * weights;
    const double of_speed = weights.cwiseAbs2().dot(variance);
    // By columns, which are scaled one by one.
    Eigen::MatrixXd shape = shapes(ratios, speed);
    for (Eigen::Index b = 0; b < shape.cols(); ++b)
        take_out_noise(shape.col(b), (1.0 - 2.0 * weights(b)) * variance(b) + of_speed);
    LogTable log_latency = shape.colwise() + speed;
    log_latency.rowwise() += medians;
    return log_latency;
}

std::size_t central_device(const RegretSample& sample) {
    const std::size_t fewest = *std::min_element(sample.missing.begin(), sample.missing.end());
    std::size_t nearest = 0;
    double least = std::numeric_limits<double>::infinity();
    const Eigen::RowVectorXd medians = medians_of(sample.log_latency);
    for (std::size_t i = 0; i < sample.devices.size(); ++i) {
        if (sample.missing[i] != fewest) continue;
        const double distance =
            (sample.log_latency.row(static_cast<Eigen::Index>(i)) - medians).squaredNorm();
        if (distance >= least) continue;
        least = distance;
        nearest = i;
    }
    return nearest;
}

} // namespace hdap::fleet
