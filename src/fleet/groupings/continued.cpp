#include "continued.hpp"

#include "fleet/membership.hpp"
#include "fleet/representatives.hpp"
#include "fleet/sample.hpp"
#include "hdap/core/error.hpp"
#include "hdap/fleet/drift.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace hdap::fleet {
namespace {

/// A group that the rest of the fleet makes is worth measuring from here on, as a share of all
/// devices: as for a fleet that is grouped as a whole.
constexpr double smallest_group_share = 1.0 / 400.0;

void check_same_way(const GroupingTask& task, const GroupingMethod& method,
                    const Clustering& former) {
    if (former.method != method.name)
        throw core::ConfigError(fmt::format(
            "the clusters that are to be kept were made by the method \"{}\", and clusters.method "
            "is \"{}\"; choose clusters.method = \"{}\", or keep none (clusters.keep = \"\")",
            former.method, method.name, former.method));
    if (former.metric != task.metric)
        throw core::ConfigError(fmt::format(
            "the clusters that are to be kept compare devices by \"{}\", these would by \"{}\"; "
            "choose clusters.metric = \"{}\", or keep none (clusters.keep = \"\")",
            name_of(former.metric), name_of(task.metric), name_of(former.metric)));
}

/// What made the former groups makes the new ones, unless other values are asked for.
ClusteringParameters as_before(ClusteringParameters parameters, const GroupingFacts& facts) {
    if (parameters.radius == 0.0) parameters.radius = facts.radius;
    if (parameters.eps == 0.0) parameters.eps = facts.eps;
    if (parameters.min_points == 0) parameters.min_points = facts.min_points;
    return parameters;
}

/// The former clusters, which keep their numbers until the end, and new groups behind them.
class Continuation {
  public:
    Continuation(const GroupingTask& task, const GroupingMethod& method,
                 const FormerClusters& former)
        : task_(task), method_(method), former_(former.clustering),
          drift_(drift_of(former.fleet, former.clustering, task.fleet)) {
        made_.groups = former_.clusters();
        made_.group_of_device.assign(task.fleet.devices(), -1);
        made_.nearest_group.assign(task.fleet.devices(), -1);
        made_.representatives.resize(made_.groups);
        made_.level.assign(made_.groups, 1.0);
        for (std::size_t k = 0; k < made_.groups; ++k)
            made_.former.push_back(static_cast<std::int32_t>(k));
        const ClusteringParameters parameters = as_before(task.parameters, former_.facts);
        made_.facts = former_.facts;
        made_.facts.radius = parameters.radius;
        made_.facts.eps = parameters.eps;
        made_.facts.min_points = parameters.min_points;
    }

    Grouping grouping() {
        const std::vector<std::int32_t> rest = keep_devices();
        keep_representatives();
        if (!rest.empty()) group_rest(rest);
        find_nearest();
        number_by_size(made_);
        return std::move(made_);
    }

  private:
    /// Puts devices into former clusters, or next to them. Returns who is to be grouped anew.
    std::vector<std::int32_t> keep_devices() {
        std::vector<std::int32_t> rest;
        for (std::size_t i = 0; i < task_.fleet.devices(); ++i)
            if (!keep_device(i)) rest.push_back(static_cast<std::int32_t>(i));
        const bool has_members = std::ranges::any_of(made_.group_of_device,
                                                     [](std::int32_t group) { return group >= 0; });
        return has_members ? rest : numbers_below(task_.fleet.devices());
    }

    /// False where the device is to be grouped anew.
    bool keep_device(std::size_t device) {
        std::int32_t group = drift_.clustering.cluster_of_device[device];
        std::int32_t nearest = drift_.clustering.assigned_cluster[device];
        const bool stays = drift_.stays[device];
        if (stays) { // as it was, though another cluster may be as near
            const auto old = static_cast<std::size_t>(drift_.old_number[device]);
            group = former_.cluster_of_device[old];
            if (former_.assigned_cluster[old] >= 0) nearest = former_.assigned_cluster[old];
        }
        if (!drift_.clusters[static_cast<std::size_t>(nearest)].is_valid) return false;
        if (group < 0 && !stays && drift_.outside_changed) return false;
        made_.group_of_device[device] = group;
        made_.nearest_group[device] = nearest;
        return true;
    }

    void keep_representatives() {
        const auto members = members_of(made_.group_of_device, made_.groups);
        for (std::size_t k = 0; k < made_.groups; ++k)
            if (!members[k].empty()) keep_representatives_of(k, members[k]);
    }

    void keep_representatives_of(std::size_t cluster, const std::vector<std::int32_t>& members) {
        const auto& wanted = former_.representatives[cluster];
        auto& kept = made_.representatives[cluster];
        for (const std::int32_t former : wanted) {
            const auto found = std::ranges::find_if(members, [&](std::int32_t device) {
                return drift_.old_number[static_cast<std::size_t>(device)] == former;
            });
            if (found != members.end()) kept.push_back(*found);
        }
        std::vector<std::int32_t> others;
        std::ranges::copy_if(members, std::back_inserter(others), [&](std::int32_t device) {
            return std::ranges::find(kept, device) == kept.end();
        });
        const std::size_t missing = std::min(wanted.size() - kept.size(), others.size());
        if (missing > 0) {
            const auto candidates =
                well_measured(others, measured_benchmarks(task_.fleet), missing);
            const auto centre = centre_of(task_.signatures, members);
            const auto central = nearest_to(centre.data(), task_.signatures, candidates, missing);
            kept.insert(kept.end(), central.begin(), central.end());
        }
        made_.level[cluster] = level_of(cluster, kept);
    }

    /// What they take now ÷ what the cluster's latencies are told at; 1 but for rounding is 1.
    [[nodiscard]] double level_of(std::size_t cluster,
                                  const std::vector<std::int32_t>& representatives) const {
        double sum = 0.0;
        for (const std::int32_t device : representatives)
            sum += drift_.overall[static_cast<std::size_t>(device)];
        const double since =
            sum / static_cast<double>(representatives.size()) - drift_.told_at[cluster];
        constexpr double rounding = 1e-9;
        return std::abs(since) > rounding ? std::exp(since) : 1.0;
    }

    void group_rest(const std::vector<std::int32_t>& rest) {
        const std::size_t benchmarks = task_.fleet.benchmarks();
        const Fleet part = part_of(task_.fleet, rest);
        const auto complete_ms = rows_of(task_.complete_ms, benchmarks, rest);
        const auto signatures = rows_of(task_.signatures.coordinates, benchmarks, rest);
        ClusteringParameters parameters = as_before(task_.parameters, former_.facts);
        const auto kept = static_cast<std::int64_t>(std::ranges::count_if(
            made_.representatives, [](const auto& devices) { return !devices.empty(); }));
        parameters.most_clusters = std::max<std::int64_t>(parameters.most_clusters - kept, 1);
        Grouping grouping = method_.group({.fleet = part,
                                           .complete_ms = complete_ms,
                                           .metric = task_.metric,
                                           .signatures = {signatures, benchmarks},
                                           .parameters = parameters});
        if (grouping.representatives.empty())
            grouping.representatives = central_devices(
                part, {signatures, benchmarks}, grouping.group_of_device, grouping.groups,
                static_cast<std::size_t>(parameters.representatives));
        add_groups(rest, grouping, kept == 0);
    }

    /// `are_all`: there are no other groups. Else what is no group of the whole fleet is none here.
    void add_groups(const std::vector<std::int32_t>& rest, const Grouping& grouping, bool are_all) {
        const auto members = members_of(grouping.group_of_device, grouping.groups);
        const double least = smallest_group_share * static_cast<double>(task_.fleet.devices());
        for (std::size_t g = 0; g < grouping.groups; ++g) {
            const bool is_small =
                grouping.facts.radius > 0.0 && static_cast<double>(members[g].size()) < least;
            if (!are_all && (is_small || grouping.facts.no_dense_group)) continue;
            const auto number = static_cast<std::int32_t>(made_.groups++);
            for (const std::int32_t place : members[g])
                made_.group_of_device[device_at(rest, place)] =
                    made_.nearest_group[device_at(rest, place)] = number;
            std::vector<std::int32_t> representatives;
            for (const std::int32_t place : grouping.representatives[g])
                representatives.push_back(rest[static_cast<std::size_t>(place)]);
            made_.representatives.push_back(std::move(representatives));
            made_.former.push_back(-1);
            made_.level.push_back(1.0);
        }
        if (are_all) made_.facts.no_dense_group = grouping.facts.no_dense_group;
    }

    static std::size_t device_at(const std::vector<std::int32_t>& rest, std::int32_t place) {
        return static_cast<std::size_t>(rest[static_cast<std::size_t>(place)]);
    }

    /// For devices in no group, of which that is not known, that of the nearest device in one.
    void find_nearest() {
        const auto is_left = [&](std::int32_t group) {
            return group >= 0 && !made_.representatives[static_cast<std::size_t>(group)].empty();
        };
        if (std::ranges::all_of(made_.nearest_group, is_left)) return;
        const auto nearest = assigned_to_nearest(task_.signatures, made_.group_of_device);
        for (std::size_t i = 0; i < nearest.size(); ++i)
            if (!is_left(made_.nearest_group[i])) made_.nearest_group[i] = nearest[i];
    }

    const GroupingTask& task_;
    const GroupingMethod& method_;
    const Clustering& former_;
    FleetDrift drift_;
    Grouping made_;
};

} // namespace

Grouping continued_grouping(const GroupingTask& task, const GroupingMethod& method,
                            const FormerClusters& former) {
    check_same_way(task, method, former.clustering);
    return Continuation(task, method, former).grouping();
}

} // namespace hdap::fleet
