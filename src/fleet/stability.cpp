#include "stability.hpp"

#include "membership.hpp"
#include "sample.hpp"

#include <map>
#include <utility>
#include <vector>

namespace hdap::fleet {
namespace {

constexpr std::size_t most_devices = 2'000;
constexpr std::size_t fewest_devices = 40;

double pairs_of(double count) {
    return count * (count - 1.0) / 2.0;
}

/// [device of the sample] its group, where one of two halves of it alone is grouped.
std::vector<std::int32_t> grouped_by_half(const GroupingTask& task, GroupDevices group,
                                          const ClusteringParameters& parameters,
                                          std::span<const std::int32_t> sample, std::size_t half) {
    const std::size_t benchmarks = task.fleet.benchmarks();
    std::vector<std::int32_t> places;
    std::vector<std::int32_t> devices;
    for (std::size_t i = half; i < sample.size(); i += 2) {
        places.push_back(static_cast<std::int32_t>(i));
        devices.push_back(sample[i]);
    }
    const std::vector<double> signatures = rows_of(task.signatures.coordinates, benchmarks, sample);
    const std::vector<double> own_signatures = rows_of(signatures, benchmarks, places);
    const std::vector<double> complete_ms = rows_of(task.complete_ms, benchmarks, devices);
    const Fleet part = part_of(task.fleet, devices);
    const Grouping grouping = group({.fleet = part,
                                     .complete_ms = complete_ms,
                                     .metric = task.metric,
                                     .signatures = {own_signatures, benchmarks},
                                     .parameters = parameters});
    std::vector<std::int32_t> groups(sample.size(), -1);
    for (std::size_t i = 0; i < places.size(); ++i)
        groups[static_cast<std::size_t>(places[i])] = grouping.group_of_device[i];
    return assigned_to_nearest({signatures, benchmarks}, std::move(groups));
}

} // namespace

double adjusted_rand_index(std::span<const std::int32_t> a, std::span<const std::int32_t> b) {
    std::map<std::pair<std::int32_t, std::int32_t>, double> both;
    std::map<std::int32_t, double> of_a;
    std::map<std::int32_t, double> of_b;
    for (std::size_t i = 0; i < a.size(); ++i) {
        both[{a[i], b[i]}] += 1.0;
        of_a[a[i]] += 1.0;
        of_b[b[i]] += 1.0;
    }
    const auto sum = [](const auto& counts) {
        double pairs = 0.0;
        for (const auto& [group, count] : counts)
            pairs += pairs_of(count);
        return pairs;
    };
    const double together = sum(both);
    const double in_a = sum(of_a);
    const double in_b = sum(of_b);
    const double chance = in_a * in_b / pairs_of(static_cast<double>(a.size()));
    const double most = (in_a + in_b) / 2.0;
    return most == chance ? 1.0 : (together - chance) / (most - chance);
}

std::optional<double> agreement_of_halves(const GroupingTask& task, GroupDevices group,
                                          const ClusteringParameters& parameters) {
    if (task.fleet.devices() < fewest_devices) return std::nullopt;
    const auto all = numbers_below(task.fleet.devices());
    const auto sample = evenly_spaced(all, most_devices);
    return adjusted_rand_index(grouped_by_half(task, group, parameters, sample, 0),
                               grouped_by_half(task, group, parameters, sample, 1));
}

} // namespace hdap::fleet
