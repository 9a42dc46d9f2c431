#include "hdap/fleet/anatomy.hpp"

#include <algorithm>
#include <cmath>
#include <map>

namespace hdap::fleet {
namespace {

/// Of groups that are smaller nobody can tell a mean.
constexpr std::size_t fewest_of_group = 5;
constexpr std::size_t most_groups = 100;

Noise no_noise(const Fleet& fleet) {
    return {.source = NoiseSource::prediction,
            .variance = std::vector<double>(fleet.benchmarks(), 0.0)};
}

/// [device] the number of its value, negative for those of few devices.
std::vector<std::int32_t> groups_of(const DeviceLabel& label) {
    std::map<std::string, std::size_t> sizes;
    for (const std::string& value : label.values)
        ++sizes[value];
    std::map<std::string, std::int32_t> numbers;
    std::vector<std::int32_t> groups;
    for (const std::string& value : label.values) {
        const bool counts = !value.empty() && sizes[value] >= fewest_of_group;
        const auto next = static_cast<std::int32_t>(numbers.size());
        groups.push_back(counts ? numbers.emplace(value, next).first->second : -1);
    }
    return groups;
}

/// The label that explains most beyond chance, if any does.
const DeviceLabel* explaining_label(const Fleet& fleet,
                                    const std::vector<Explanation>& explanations) {
    for (const Explanation& of : explanations) {
        if (of.numeric || of.groups > most_groups) continue;
        if (!of.explains_speed() && !of.explains_shape()) continue;
        return &*std::find_if(fleet.labels.begin(), fleet.labels.end(),
                              [&](const DeviceLabel& label) { return label.name == of.name; });
    }
    return nullptr;
}

/// The groups of the label that explains most, which becomes `name`; none where it has but one.
std::vector<std::int32_t> groups_by_label(const Fleet& fleet,
                                          const std::vector<Explanation>& explanations,
                                          std::string& name) {
    const DeviceLabel* label = explaining_label(fleet, explanations);
    if (label == nullptr) return {};
    std::vector<std::int32_t> groups = groups_of(*label);
    // Of devices that were not looked at it may have any number of values.
    const std::int32_t last = *std::max_element(groups.begin(), groups.end());
    if (last < 1 || static_cast<std::size_t>(last) >= most_groups) return {};
    name = label->name;
    return groups;
}

void add_regret(const Fleet& fleet, std::span<const std::int32_t> given, FleetAnatomy& anatomy) {
    std::vector<std::int32_t> groups(given.begin(), given.end());
    if (given.empty())
        groups = groups_by_label(fleet, anatomy.explanations, anatomy.groups_by);
    else
        anatomy.groups_by = "given";
    anatomy.regret = regret_bounds(fleet, anatomy.noise, groups);
    if (!groups.empty()) anatomy.agreement = group_agreement(fleet, groups);
}

} // namespace

FleetAnatomy anatomy_of(const Fleet& fleet, const std::optional<Noise>& noise,
                        std::span<const std::int32_t> groups) {
    FleetAnatomy anatomy;
    anatomy.devices = fleet.devices();
    anatomy.benchmarks = fleet.benchmarks();
    anatomy.dimension = effective_dimension(fleet);
    const std::optional<Noise> known = noise ? noise : noise_of_runs(fleet);
    anatomy.noise_known = known.has_value();
    anatomy.noise = known ? *known : unpredicted_noise(anatomy.dimension).value_or(no_noise(fleet));
    anatomy.split = variance_split(fleet, anatomy.noise);
    anatomy.explanations = explanations(fleet);
    anatomy.sample_sizes = sample_sizes(fleet);
    add_regret(fleet, groups, anatomy);
    return anatomy;
}

} // namespace hdap::fleet
