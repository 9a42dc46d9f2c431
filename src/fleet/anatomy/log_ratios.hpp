#pragma once

#include "fleet/sample.hpp"
#include "hdap/fleet/fleet.hpp"

#include <Eigen/Dense>

#include <cstddef>
#include <span>
#include <vector>

namespace hdap::fleet {

/// Fewer numbers are not worth the waking of threads.
inline constexpr Eigen::Index worth_threads = 5'000;

/// More benchmarks tell no more of a fleet, and take time with their number's third power.
inline constexpr std::size_t most_benchmarks = 300;

/// [device][benchmark]; not a number where nothing was measured.
using LogTable = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// The logs of the latencies of some devices, relative to the median that each benchmark has among
/// these.
LogTable log_ratios(const Fleet& fleet, std::span<const std::size_t> devices);

/// The same on some of the benchmarks.
LogTable log_ratios(const Fleet& fleet, std::span<const std::size_t> devices,
                    std::span<const std::size_t> benchmarks);

/// [benchmark] the median of what was measured; 0 where nothing was.
Eigen::RowVectorXd medians_of(const LogTable& table);

/// What was measured in a column.
std::vector<double> measured_in(const LogTable& table, Eigen::Index column);

/// A standard deviation that odd values hardly move: from the median absolute deviation, or from
/// the mean one where half of the values are the same. 0 for fewer than two values.
double robust_sd(const std::vector<double>& values);

/// [device] the mean over what was measured: the log of a device's ratio to the fleet.
Eigen::VectorXd speeds(const LogTable& table);

/// `table` without the devices' speeds.
LogTable shapes(const LogTable& table, const Eigen::VectorXd& speed);

} // namespace hdap::fleet
