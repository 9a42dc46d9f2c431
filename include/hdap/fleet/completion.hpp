#pragma once

#include <cstddef>
#include <vector>

namespace hdap::fleet {

/// Latencies in ms, [device][benchmark], with an estimate in place of each that is not a number;
/// those that were measured keep their bits.
///
/// The estimate is what is expected given the latencies that the device has, when log latencies
/// relative to each benchmark's median follow a multivariate t distribution of 4 degrees of
/// freedom: its tails keep a few odd devices from deciding for all. Its mean and scale come from
/// expectation-maximisation over all that was measured (Little and Rubin, "Statistical Analysis
/// with Missing Data", 3rd ed., 2019, section 8.4; Lange, Little and Taylor, Journal of the
/// American Statistical Association 84, 1989), with a few devices more that spread as the fleet
/// does and whose benchmarks correlate by 0.9, a quarter as many as benchmarks and at least 4:
/// where little was measured, a device that is slow on one benchmark is expected to be slow on all.
/// At most 20,000 devices are learned from, evenly spaced, and no more than 2·10⁹ operations an
/// iteration allow. Where these do not allow as many devices as there are benchmarks, as with 450
/// of which a fifth is missing, an estimate is the sum of what the device and the benchmark take
/// otherwise, by median polish.
///
/// Every device and every benchmark has at least one latency, as in a fleet that check_fleet
/// accepts. The result does not depend on the number of threads. Complexity: with m missing of B
/// benchmarks, O(B³ + devices · (m²(m + B) + B²)) for each of at most 25 iterations over the
/// devices that are learned from, and once for all.
std::vector<double> completed_latencies(std::vector<double> latency_ms, std::size_t benchmarks);

} // namespace hdap::fleet
