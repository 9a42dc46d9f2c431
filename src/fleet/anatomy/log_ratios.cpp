#include "fleet/anatomy/log_ratios.hpp"

#include "hdap/core/statistics.hpp"

#include <algorithm>
#include <cmath>

namespace hdap::fleet {

LogTable log_ratios(const Fleet& fleet, std::span<const std::size_t> devices) {
    return log_ratios(fleet, devices, evenly_spaced(fleet.benchmarks(), fleet.benchmarks()));
}

LogTable log_ratios(const Fleet& fleet, std::span<const std::size_t> devices,
                    std::span<const std::size_t> benchmarks) {
    LogTable table(static_cast<Eigen::Index>(devices.size()),
                   static_cast<Eigen::Index>(benchmarks.size()));
    double* out = table.data();
    for (const std::size_t device : devices)
        for (const std::size_t b : benchmarks)
            *out++ = std::log(fleet.latency_ms[device * fleet.benchmarks() + b]);
    table.rowwise() -= medians_of(table);
    return table;
}

Eigen::RowVectorXd medians_of(const LogTable& table) {
    Eigen::RowVectorXd medians = Eigen::RowVectorXd::Zero(table.cols());
#pragma omp parallel for schedule(dynamic) if (table.size() > worth_threads)
    for (Eigen::Index b = 0; b < table.cols(); ++b) {
        std::vector<double> measured = measured_in(table, b);
        if (!measured.empty()) medians(b) = core::median(std::move(measured));
    }
    return medians;
}

std::vector<double> measured_in(const LogTable& table, Eigen::Index column) {
    std::vector<double> measured;
    measured.reserve(static_cast<std::size_t>(table.rows()));
    for (const double value : table.col(column))
        if (!std::isnan(value)) measured.push_back(value);
    return measured;
}

double robust_sd(const std::vector<double>& values) {
    if (values.size() < 2) return 0.0;
    constexpr double of_median = 1.4826; // standard ÷ median absolute deviation, of a normal
    constexpr double of_mean = 1.2533;   // standard ÷ mean absolute deviation
    const double middle = core::median(values);
    std::vector<double> deviations;
    deviations.reserve(values.size());
    for (const double value : values)
        deviations.push_back(std::abs(value - middle));
    const double mean = core::mean(deviations);
    const double median = core::median(std::move(deviations));
    return median > 0.0 ? of_median * median : of_mean * mean;
}

Eigen::VectorXd speeds(const LogTable& table) {
    const auto measured = !table.array().isNaN();
    return measured.select(table.array(), 0.0).rowwise().sum() /
           measured.cast<double>().rowwise().sum().max(1.0);
}

LogTable shapes(const LogTable& table, const Eigen::VectorXd& speed) {
    return table.colwise() - speed;
}

} // namespace hdap::fleet
