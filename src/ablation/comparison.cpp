#include "hdap/ablation/comparison.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/core/text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <span>
#include <utility>

namespace hdap::ablation {
namespace {

constexpr double absent = std::numeric_limits<double>::quiet_NaN();
constexpr const char* no_comparison = "none";

/// A metric of all planned cells; NaN where it is not known.
struct Metric {
    std::string name;
    std::string unit;
    bool is_cost = false;
    std::vector<double> values; ///< [planned]
};

/// The cells of one label in one group; places in the plan.
struct LabelCells {
    std::string label;
    std::vector<std::size_t> cells;
    /// Each with the baseline's cell that it is equal to on all other axes.
    std::vector<std::pair<std::size_t, std::size_t>> pairs;
};

/// Cells that are compared with each other.
struct Group {
    std::string axis;
    std::string name;
    std::string fleet;              ///< all are of this one
    std::vector<LabelCells> labels; ///< the baseline first
};

std::size_t axis_index(const Plan& plan, const std::string& axis) {
    const auto found = std::find(plan.axis_names.begin(), plan.axis_names.end(), axis);
    if (found == plan.axis_names.end()) throw core::InternalError("the plan has no axis " + axis);
    return static_cast<std::size_t>(found - plan.axis_names.begin());
}

bool has_label(const Plan& plan, std::size_t axis, const std::string& label) {
    return std::any_of(plan.cells.begin(), plan.cells.end(),
                       [&](const Cell& cell) { return cell.labels[axis] == label; });
}

void add_metrics(std::vector<Metric>& metrics, const std::vector<study::ResultSeries>& columns,
                 bool is_cost, const Plan& plan, const Collection& collection) {
    for (const study::ResultSeries& column : columns) {
        Metric metric{.name = column.name,
                      .unit = column.unit,
                      .is_cost = is_cost,
                      .values = std::vector<double>(plan.cells.size(), absent)};
        for (std::size_t i = 0; i < collection.cells.size(); ++i)
            metric.values[collection.cells[i]] = column.values[i];
        metrics.push_back(std::move(metric));
    }
}

/// "devices=100, fleet=a"
std::string group_name(const Cell& cell, const Plan& plan, const std::vector<std::string>& within) {
    std::vector<std::string> parts;
    for (const std::string& axis : within)
        parts.push_back(axis + "=" + cell.labels[axis_index(plan, axis)]);
    return core::join(parts);
}

/// Each cell under its label on `axis`, in groups; without pairs.
std::vector<Group> group_cells(const Plan& plan, const Comparison& comparison) {
    const std::size_t axis = axis_index(plan, comparison.axis);
    std::vector<Group> groups;
    std::map<std::string, std::size_t> group_places;
    std::map<std::pair<std::size_t, std::string>, std::size_t> label_places;
    for (std::size_t i = 0; i < plan.cells.size(); ++i) {
        const Cell& cell = plan.cells[i];
        const std::string name = group_name(cell, plan, comparison.within);
        const auto [place, is_new_group] = group_places.emplace(name, groups.size());
        if (is_new_group)
            groups.push_back({.axis = comparison.axis, .name = name, .fleet = {}, .labels = {}});
        std::vector<LabelCells>& labels = groups[place->second].labels;
        const auto [label, is_new_label] =
            label_places.emplace(std::pair(place->second, cell.labels[axis]), labels.size());
        if (is_new_label) labels.push_back({.label = cell.labels[axis], .cells = {}, .pairs = {}});
        labels[label->second].cells.push_back(i);
    }
    for (Group& group : groups)
        std::stable_partition(
            group.labels.begin(), group.labels.end(),
            [&](const LabelCells& label) { return label.label == comparison.baseline; });
    return groups;
}

/// What two cells of a pair have in common: the labels on all axes but one.
std::vector<std::string> other_labels(const Cell& cell, std::size_t axis) {
    std::vector<std::string> labels = cell.labels;
    labels.erase(labels.begin() + static_cast<std::ptrdiff_t>(axis));
    return labels;
}

void add_pairs(Group& group, const Plan& plan, const std::string& baseline) {
    if (group.labels.front().label != baseline) return; // no cell of this group carries it
    const std::size_t axis = axis_index(plan, group.axis);
    std::map<std::vector<std::string>, std::size_t> partners;
    for (const std::size_t cell : group.labels.front().cells)
        partners.emplace(other_labels(plan.cells[cell], axis), cell);
    for (std::size_t l = 1; l < group.labels.size(); ++l) {
        for (const std::size_t cell : group.labels[l].cells) {
            const auto partner = partners.find(other_labels(plan.cells[cell], axis));
            if (partner != partners.end())
                group.labels[l].pairs.emplace_back(cell, partner->second);
        }
    }
}

void require_distinct_labels(const Plan& plan) {
    std::map<std::vector<std::string>, std::string> ids;
    for (const Cell& cell : plan.cells) {
        const auto [first, is_new] = ids.emplace(cell.labels, cell.id);
        if (!is_new)
            throw core::ConfigError(fmt::format(
                "cells {} and {} have the same label on every axis ({}), so pairs are ambiguous: "
                "give one of them another label, or collect with --baseline none",
                first->second, cell.id, core::join(cell.labels)));
    }
}

/// The groups whose labels are summarised.
std::vector<Group> groups_of(const Plan& plan, const Comparison& comparison) {
    if (!comparison.axis.empty()) {
        require_distinct_labels(plan);
        std::vector<Group> groups = group_cells(plan, comparison);
        for (Group& group : groups)
            add_pairs(group, plan, comparison.baseline);
        return groups;
    }
    std::vector<Group> groups;
    for (const std::string& axis : plan.axis_names)
        groups.push_back(group_cells(plan, {.axis = axis, .baseline = {}, .within = {}}).front());
    if (plan.axis_names.empty() || !comparison.fleets.empty()) {
        LabelCells all{.label = "all", .cells = {}, .pairs = {}};
        for (std::size_t i = 0; i < plan.cells.size(); ++i)
            all.cells.push_back(i);
        groups.push_back({.axis = {}, .name = {}, .fleet = {}, .labels = {std::move(all)}});
    }
    return groups;
}

/// The fleet of each planned cell, as a number; without an axis of fleets a number for each cell,
/// as if it had a fleet of its own.
struct FleetNumbers {
    bool is_over_fleets = false;
    std::size_t count = 0;
    std::vector<std::size_t> of_cell; ///< [planned]
};

FleetNumbers number_fleets(const Plan& plan, const std::string& fleets) {
    FleetNumbers numbers{.is_over_fleets = !fleets.empty(), .count = 0, .of_cell = {}};
    std::map<std::string, std::size_t> known;
    for (const Cell& cell : plan.cells) {
        if (!numbers.is_over_fleets) {
            numbers.of_cell.push_back(numbers.count++);
            continue;
        }
        const std::string& label = cell.labels[axis_index(plan, fleets)];
        const auto [entry, is_new] = known.emplace(label, numbers.count);
        if (is_new) ++numbers.count;
        numbers.of_cell.push_back(entry->second);
    }
    return numbers;
}

/// The pairs of one fleet; of one pair where fleets do not count.
struct FleetPairs {
    std::vector<double> values;
    std::vector<double> baselines;
    std::vector<double> differences;
};

/// Those that have the metric, by fleet, in the order of the fleets.
std::vector<FleetPairs> pairs_by_fleet(const LabelCells& label, const Metric& metric,
                                       const FleetNumbers& fleets) {
    std::map<std::size_t, FleetPairs> by_fleet;
    for (const auto& [cell, partner] : label.pairs) {
        const double value = metric.values[cell];
        const double baseline = metric.values[partner];
        if (!std::isfinite(value) || !std::isfinite(baseline)) continue;
        FleetPairs& pairs = by_fleet[fleets.of_cell[cell]];
        pairs.values.push_back(value);
        pairs.baselines.push_back(baseline);
        pairs.differences.push_back(value - baseline);
    }
    std::vector<FleetPairs> list;
    for (auto& [fleet, pairs] : by_fleet)
        list.push_back(std::move(pairs));
    return list;
}

VarianceComponents variances_of(const std::vector<FleetPairs>& fleets) {
    std::vector<std::vector<double>> differences;
    for (const FleetPairs& fleet : fleets)
        differences.push_back(fleet.differences);
    return variance_components(differences);
}

std::optional<PairedDifference> difference_of(const LabelCells& label, const Metric& metric,
                                              const FleetNumbers& numbers) {
    const std::vector<FleetPairs> fleets = pairs_by_fleet(label, metric, numbers);
    if (fleets.empty()) return std::nullopt;
    std::size_t pairs = 0;
    std::vector<double> baselines;
    std::vector<double> differences;
    std::vector<double> ratios;
    double largest = 0.0;
    for (const FleetPairs& fleet : fleets) {
        const double value = core::mean(fleet.values);
        const double baseline = core::mean(fleet.baselines);
        pairs += fleet.differences.size();
        baselines.push_back(baseline);
        differences.push_back(core::mean(fleet.differences));
        ratios.push_back(value / baseline);
        largest = std::max({largest, std::abs(value), std::abs(baseline)});
    }
    // Some hundred rounding errors of the metrics: below that, differences say nothing.
    constexpr double relative_resolution = 1e-13;
    const SignedRankTest test = signed_rank_test(differences, relative_resolution * largest);
    const bool has_ratios = std::all_of(ratios.begin(), ratios.end(),
                                        [](double ratio) { return std::isfinite(ratio); });
    const bool over_fleets = numbers.is_over_fleets;
    return PairedDifference{.pairs = pairs,
                            .fleets = over_fleets ? fleets.size() : 0,
                            .baseline_median = core::quantile(baselines, 0.5),
                            .shift = hodges_lehmann(differences),
                            .shift_interval = hodges_lehmann_interval(differences),
                            .ratio_percent =
                                has_ratios ? 100.0 * core::quantile(ratios, 0.5) : absent,
                            .effect = test.effect,
                            .p = test.p,
                            .p_holm = test.p,
                            .variances = over_fleets ? variances_of(fleets) : VarianceComponents{}};
}

/// Of the label's cells, or of the means of its fleets.
Summary summary_of(const LabelCells& label, const Metric& metric, const FleetNumbers& fleets,
                   MedianBootstrap& bootstrap) {
    std::map<std::size_t, std::vector<double>> by_fleet;
    std::size_t missing = 0;
    for (const std::size_t cell : label.cells)
        if (std::isfinite(metric.values[cell]))
            by_fleet[fleets.of_cell[cell]].push_back(metric.values[cell]);
        else
            ++missing;
    std::vector<double> means;
    for (const auto& [fleet, values] : by_fleet)
        means.push_back(core::mean(values));
    Summary summary = summarize(means, bootstrap);
    summary.missing = missing;
    return summary;
}

/// Replaces p_holm by the p-values that are adjusted over these rows.
void adjust(std::span<ComparisonRow> rows) {
    std::vector<double> p_values;
    for (const ComparisonRow& row : rows)
        p_values.push_back(row.difference ? row.difference->p : absent);
    const std::vector<double> adjusted = holm_adjusted(p_values);
    for (std::size_t i = 0; i < rows.size(); ++i)
        if (rows[i].difference) rows[i].difference->p_holm = adjusted[i];
}

/// Appends the rows of one metric in one group.
void add_rows(std::vector<ComparisonRow>& rows, const Group& group, const Metric& metric,
              const FleetNumbers& fleets, MedianBootstrap& bootstrap) {
    const std::size_t first = rows.size();
    for (const LabelCells& label : group.labels)
        rows.push_back({.axis = group.axis,
                        .group = group.name,
                        .fleet = group.fleet,
                        .label = label.label,
                        .metric = metric.name,
                        .unit = metric.unit,
                        .is_cost = metric.is_cost,
                        .summary = summary_of(label, metric, fleets, bootstrap),
                        .difference = difference_of(label, metric, fleets)});
    adjust(std::span(rows).subspan(first));
}

/// The same comparison in each fleet alone.
std::vector<Group> groups_of_fleets(const Plan& plan, const Comparison& comparison) {
    if (comparison.axis.empty() || comparison.fleets.empty()) return {};
    Comparison of_fleets = comparison;
    of_fleets.within.push_back(comparison.fleets);
    std::vector<Group> groups = groups_of(plan, of_fleets);
    const std::size_t axis = axis_index(plan, comparison.fleets);
    for (Group& group : groups)
        group.fleet = plan.cells[group.labels.front().cells.front()].labels[axis];
    return groups;
}

} // namespace

Comparison choose_comparison(const Plan& plan, const std::string& baseline) {
    if (baseline.empty()) return plan.comparison;
    if (baseline == no_comparison)
        return {.axis = {}, .baseline = {}, .within = {}, .fleets = plan.comparison.fleets};
    Comparison comparison = plan.comparison;
    comparison.baseline = baseline;
    std::vector<std::string> candidates = plan.axis_names;
    if (!comparison.axis.empty()) candidates = {comparison.axis};
    std::erase_if(candidates, [&](const std::string& axis) {
        return !has_label(plan, axis_index(plan, axis), baseline);
    });
    if (candidates.empty())
        throw core::UsageError(fmt::format(
            "--baseline {}: no cell has this label on {}; hdap ablate plan lists the labels",
            baseline, comparison.axis.empty() ? "any axis" : "the axis " + comparison.axis));
    if (candidates.size() > 1)
        throw core::UsageError(fmt::format("--baseline {}: several axes have this label ({}); name "
                                           "the one that is compared in the plan: compare = \"{}\"",
                                           baseline, core::join(candidates), candidates.front()));
    comparison.axis = candidates.front();
    std::erase(comparison.within, comparison.axis);
    if (comparison.fleets == comparison.axis) comparison.fleets.clear();
    return comparison;
}

std::vector<ComparisonRow> compare(const Plan& plan, const Collection& collection,
                                   const Comparison& comparison) {
    std::vector<Metric> metrics;
    add_metrics(metrics, collection.final_metrics, false, plan, collection);
    add_metrics(metrics, collection.costs, true, plan, collection);
    MedianBootstrap bootstrap;
    std::vector<ComparisonRow> rows;
    const auto add = [&](const std::vector<Group>& groups, const std::string& fleets) {
        const FleetNumbers numbers = number_fleets(plan, fleets);
        for (const Group& group : groups)
            for (const Metric& metric : metrics)
                add_rows(rows, group, metric, numbers, bootstrap);
    };
    add(groups_of(plan, comparison), comparison.fleets);
    add(groups_of_fleets(plan, comparison), "");
    return rows;
}

} // namespace hdap::ablation
