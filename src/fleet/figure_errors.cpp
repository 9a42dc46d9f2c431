#include "hdap/fleet/figure_errors.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/fleet/sample_size.hpp"

#include <algorithm>
#include <vector>

namespace hdap::fleet {

FleetFigures figures_of(std::span<const double> latency_ms) {
    if (latency_ms.empty()) throw core::InternalError("the figures of a fleet without devices");
    std::vector<double> sorted(latency_ms.begin(), latency_ms.end());
    std::ranges::sort(sorted);
    const std::size_t rank = (sorted.size() * 95 + 99) / 100 - 1;
    return {
        .mean = core::mean(latency_ms), .p95 = sorted[rank], .slowest = mean_of_slowest(sorted)};
}

double decisive_error(const FigureErrors& errors) {
    return std::max({errors.mean, errors.p95, 0.5 * errors.slowest});
}

} // namespace hdap::fleet
