#pragma once

#include "hdap/ablation/collection.hpp"
#include "hdap/ablation/plan.hpp"
#include "hdap/ablation/statistics.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace hdap::ablation {

/// How a label differs from the baseline, over pairs of cells that are equal on all other axes.
/// Over fleets, all of it is about the means that the pairs of each fleet have.
struct PairedDifference {
    std::size_t pairs = 0;        ///< both cells have the metric
    std::size_t fleets = 0;       ///< fleets of these pairs; 0 when it is not over fleets
    double baseline_median = 0.0; ///< of the baseline's cells in these pairs
    double shift = 0.0;           ///< label − baseline: estimate of Hodges and Lehmann
    Interval shift_interval;      ///< of level 0.95
    /// 100 × median of label ÷ baseline over the pairs, or over the fleets that of their means; NaN
    /// when a baseline's metric is 0.
    double ratio_percent = 0.0;
    double effect = 0.0; ///< matched-pairs rank-biserial correlation, −1 to 1
    double p = 1.0;      ///< two-sided signed-rank test
    double p_holm = 1.0; ///< adjusted over the labels of one metric in one group
    /// Over fleets, of the pairs' differences; NaN where no fleet has two pairs.
    VarianceComponents variances{};

    /// How many differences the test is about.
    [[nodiscard]] std::size_t tested() const { return fleets > 0 ? fleets : pairs; }
};

/// One metric of all cells that carry one label.
struct ComparisonRow {
    std::string axis;
    std::string group; ///< "devices=100, fleet=a": labels on the axes `within`; else empty
    std::string fleet; ///< of this one alone; else empty, and all have the same weight
    std::string label;
    std::string metric;
    std::string unit;
    bool is_cost = false;
    /// Of the planned cells; those that are not complete, or lack the metric, are missing. Over
    /// fleets, of the means that their cells have: `count` is of fleets, `missing` of cells.
    Summary summary;
    std::optional<PairedDifference> difference; ///< none: the baseline itself, or no pairs
};

/// The comparison that `plan` names, or the one that --baseline asks for: nothing for "none", else
/// `baseline` as a label of the plan's axis, or of the only axis that has it. Without a baseline
/// (empty) it is the plan's.
/// Throws UsageError when the label is on no axis or on several.
Comparison choose_comparison(const Plan& plan, const std::string& baseline);

/// Summarises all metrics by label. With a comparison: of its axis, in each group, with the paired
/// differences from the baseline. Without one: of every axis; of all cells, under the label "all",
/// when the plan has no axes or one over fleets.
/// Where an axis is over fleets, each fleet counts once, by the mean of its cells, and with a
/// comparison there are also rows of each fleet alone, behind all others.
/// Rows are ordered by axis, group, metric (final ones, then costs) and label (the baseline, then
/// the others in the order of the plan). Equal inputs give equal bits.
/// Throws ConfigError when two cells have the same label on every axis: pairs would be ambiguous.
std::vector<ComparisonRow> compare(const Plan& plan, const Collection& collection,
                                   const Comparison& comparison);

} // namespace hdap::ablation
