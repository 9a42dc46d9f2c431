#include "hdap/fleet/group_agreement.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/statistics.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace hdap::fleet {
namespace {

/// [benchmark][group] mean latencies.
std::vector<std::vector<double>> means_of_groups(const Fleet& fleet,
                                                 std::span<const std::int32_t> groups) {
    const std::int32_t count = *std::max_element(groups.begin(), groups.end()) + 1;
    std::vector<std::vector<double>> means;
    for (std::size_t b = 0; b < fleet.benchmarks(); ++b) {
        std::vector<double> sums(static_cast<std::size_t>(std::max(count, 0)), 0.0);
        std::vector<double> measured(sums);
        for (std::size_t i = 0; i < fleet.devices(); ++i) {
            const double latency = fleet.latency_ms[i * fleet.benchmarks() + b];
            if (groups[i] < 0 || std::isnan(latency)) continue;
            sums[static_cast<std::size_t>(groups[i])] += latency;
            measured[static_cast<std::size_t>(groups[i])] += 1.0;
        }
        for (std::size_t g = 0; g < sums.size(); ++g)
            sums[g] /= measured[g];
        means.push_back(std::move(sums));
    }
    return means;
}

} // namespace

void check_groups(const Fleet& fleet, std::span<const std::int32_t> groups) {
    if (groups.size() != fleet.devices())
        throw core::InternalError(
            fmt::format("groups of {} devices for a fleet of {}", groups.size(), fleet.devices()));
    for (const std::int32_t group : groups)
        if (group >= 0 && static_cast<std::size_t>(group) >= groups.size())
            throw core::InternalError(fmt::format("group {} of {} devices", group, groups.size()));
}

std::optional<GroupAgreement> group_agreement(const Fleet& fleet,
                                              std::span<const std::int32_t> groups) {
    check_groups(fleet, groups);
    constexpr std::size_t fewest_benchmarks = 3;
    std::vector<std::vector<double>> by_group; // [group][benchmark]
    for (const auto& means : means_of_groups(fleet, groups)) {
        by_group.resize(means.size());
        if (std::any_of(means.begin(), means.end(), [](double mean) { return std::isnan(mean); }))
            continue;
        for (std::size_t g = 0; g < means.size(); ++g)
            by_group[g].push_back(means[g]);
    }
    if (by_group.size() < 2 || by_group[0].size() < fewest_benchmarks) return std::nullopt;
    std::vector<double> taus;
    for (std::size_t g = 0; g < by_group.size(); ++g)
        for (std::size_t h = 0; h < g; ++h) {
            const double tau = core::kendall_tau(by_group[g], by_group[h]);
            if (!std::isnan(tau)) taus.push_back(tau);
        }
    if (taus.empty()) return std::nullopt;
    return GroupAgreement{.lowest = *std::min_element(taus.begin(), taus.end()),
                          .median = core::median(taus),
                          .groups = by_group.size()};
}

} // namespace hdap::fleet
