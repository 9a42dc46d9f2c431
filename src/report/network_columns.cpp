#include "network_columns.hpp"

#include "hdap/report/holds.hpp"
#include "metric_text.hpp"
#include "number_text.hpp"
#include "verdict.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>

namespace hdap::report {
namespace {

/// A column of what `value` says of each network.
template <std::invocable<const NetworkRow&> Value>
NetworkColumn column_of(const StudyReport& report, std::string heading, std::string unit,
                        int decimals, Value value) {
    NetworkColumn column{.heading = std::move(heading),
                         .unit = std::move(unit),
                         .values = {},
                         .decimals = decimals,
                         .suffix = {},
                         .texts = {}};
    for (const NetworkRow& row : report.networks)
        column.values.push_back(value(row));
    return column;
}

int decimals_of(const std::vector<double>& values) {
    double largest = 0.0;
    for (const double value : values)
        if (std::isfinite(value)) largest = std::max(largest, value);
    return decimals_for(largest);
}

NetworkColumn mean_latency_column(const StudyReport& report, const std::string& heading) {
    NetworkColumn column = column_of(
        report, heading, "ms", 0,
        [&, fleet_known = fleet_latency_known(report)](const NetworkRow& row) {
            return fleet_known ? row.latency_fleet_ms : metric(report, row, "latency.mean");
        });
    column.decimals = decimals_of(column.values);
    return column;
}

NetworkColumn speedup_column(const StudyReport& report, const std::string& heading,
                             const std::string& suffix) {
    NetworkColumn column =
        column_of(report, heading, "", 2, [](const NetworkRow& row) { return row.speedup; });
    column.suffix = suffix;
    return column;
}

/// Of a metric, headed by its text's `heading` or `brief`.
NetworkColumn metric_column(const StudyReport& report, std::string_view name,
                            std::string MetricText::*heading) {
    const MetricText text = text_of(report, name);
    NetworkColumn column =
        column_of(report, text.*heading, text.unit, text.decimals.value_or(0),
                  [&](const NetworkRow& row) { return text.factor * metric(report, row, name); });
    if (!text.decimals.has_value()) column.decimals = decimals_of(column.values);
    return column;
}

NetworkColumn macs_share_column(const StudyReport& report, const std::string& unit) {
    return column_of(report, "MACs", unit, 0,
                     [&](const NetworkRow& row) { return 100.0 * macs_share(report, row); });
}

NetworkColumn percent_column(const StudyReport& report, const std::string& heading,
                             const std::string& unit, double NetworkRow::*share) {
    return column_of(report, heading, unit, 2,
                     [&](const NetworkRow& row) { return 100.0 * row.*share; });
}

/// Whether networks keep the constraints: sorted, those that break one come first.
NetworkColumn holds_column(const StudyReport& report, const std::string& heading,
                           const std::string& unit) {
    NetworkColumn column = column_of(report, heading, unit, 0, [&](const NetworkRow& row) {
        return static_cast<double>(holds(report, row));
    });
    for (const NetworkRow& row : report.networks)
        column.texts.emplace_back(name_of(holds(report, row)));
    return column;
}

/// What was found on the devices of a latency that a constraint bounds.
NetworkColumn found_column(const StudyReport& report, std::size_t bound) {
    const MetricText text = text_of(report, report.bounds[bound].metric);
    NetworkColumn column =
        column_of(report, text.heading, text.unit, text.decimals.value_or(0),
                  [&](const NetworkRow& row) { return text.factor * row.found[bound]; });
    if (!text.decimals.has_value()) column.decimals = decimals_of(column.values);
    column.unit += fmt::format(", {}", name_of(report.found_latencies));
    return column;
}

/// Adds it for the latency `name`, where it is bounded and known, and no other column shows it.
void add_found_column(const StudyReport& report, std::string_view name,
                      std::vector<NetworkColumn>& columns) {
    if (name == "latency.mean" && knows(report, &NetworkRow::latency_fleet_ms)) return;
    for (const std::size_t bound : found_metrics(report)) {
        const bool known = std::ranges::any_of(report.networks, [&](const NetworkRow& row) {
            return std::isfinite(row.found[bound]);
        });
        if (known && report.bounds[bound].metric == name && text_of(report, name).predicted)
            columns.push_back(found_column(report, bound));
    }
}

/// Whether the latency was found of some networks, while others are known by predictions only.
bool is_partly_found(const StudyReport& report) {
    return !fleet_latency_known(report) && knows(report, &NetworkRow::latency_fleet_ms);
}

NetworkColumn found_latency_column(const StudyReport& report, const std::string& heading,
                                   const std::string& unit) {
    NetworkColumn column = column_of(report, heading, unit, 0,
                                     [](const NetworkRow& row) { return row.latency_fleet_ms; });
    column.decimals = decimals_of(column.values);
    return column;
}

NetworkColumn found_speedup_column(const StudyReport& report, const std::string& heading,
                                   const std::string& suffix) {
    NetworkColumn column = column_of(report, heading, std::string(name_of(report.found_latencies)),
                                     2, [&](const NetworkRow& row) {
                                         return is_found(report, row)
                                                    ? judged_speedup(report, row)
                                                    : std::numeric_limits<double>::quiet_NaN();
                                     });
    column.suffix = suffix;
    return column;
}

} // namespace

std::string cell_text(const NetworkColumn& column, std::size_t network) {
    if (!column.texts.empty()) return column.texts[network];
    const double value = column.values[network];
    const std::string text = fixed(value, column.decimals);
    return std::isfinite(value) ? text + column.suffix : text;
}

std::vector<NetworkColumn> page_columns(const StudyReport& report) {
    std::vector<NetworkColumn> columns;
    if (has_doubtful_bounds(report))
        columns.push_back(holds_column(report, "Constraints hold", "on the devices"));
    columns.push_back(mean_latency_column(report, "Mean latency"));
    const bool found = fleet_latency_known(report);
    columns.back().unit +=
        fmt::format(", {}", found ? name_of(report.found_latencies) : "predicted");
    columns.push_back(speedup_column(report, "Speed\u2011up", "×"));
    if (is_partly_found(report)) {
        columns.back().unit = "predicted";
        columns.push_back(found_latency_column(
            report, "Mean latency", fmt::format("ms, {}", name_of(report.found_latencies))));
        columns.push_back(found_speedup_column(report, "Speed\u2011up", "×"));
    }
    add_found_column(report, "latency.mean", columns);
    for (const MetricColumn& shown : shown_metrics(report)) {
        columns.push_back(metric_column(report, shown.name, &MetricText::heading));
        if (text_of(shown).predicted) columns.back().unit += ", predicted";
        if (shown.name == "flops") columns.push_back(macs_share_column(report, "% of unpruned"));
        add_found_column(report, shown.name, columns);
    }
    if (knows(report, &NetworkRow::accuracy))
        columns.push_back(
            percent_column(report, "Held\u2011out accuracy", "%", &NetworkRow::accuracy));
    if (has_metric(report, "accuracy_drop"))
        columns.push_back(metric_column(report, "accuracy_drop", &MetricText::heading));
    if (knows(report, &NetworkRow::test_accuracy))
        columns.push_back(percent_column(report, "Test accuracy", "%", &NetworkRow::test_accuracy));
    return columns;
}

std::vector<NetworkColumn> terminal_columns(const StudyReport& report, std::size_t extra) {
    std::vector<NetworkColumn> columns{mean_latency_column(report, "mean latency")};
    if (is_partly_found(report)) {
        columns.push_back(
            found_latency_column(report, std::string(name_of(report.found_latencies)), "ms"));
        columns.push_back(found_speedup_column(report, "speed-up", "x"));
    } else {
        columns.push_back(speedup_column(report, "speed-up", "x"));
    }
    const std::vector<std::string> names = extra_metrics(report);
    for (std::size_t i = 0; i < std::min(extra, names.size()); ++i)
        columns.push_back(metric_column(report, names[i], &MetricText::brief));
    if (!is_partly_found(report)) // which takes the room
        columns.push_back(metric_column(report, "flops", &MetricText::brief));
    columns.push_back(macs_share_column(report, "%"));
    if (knows(report, &NetworkRow::accuracy))
        columns.push_back(percent_column(report, "accuracy", "held-out, %", &NetworkRow::accuracy));
    if (knows(report, &NetworkRow::test_accuracy))
        columns.push_back(
            percent_column(report, "accuracy", "test, %", &NetworkRow::test_accuracy));
    if (has_doubtful_bounds(report)) columns.push_back(holds_column(report, "holds on", "devices"));
    return columns;
}

std::vector<std::string> extra_metrics(const StudyReport& report) {
    const bool has_room = !knows(report, &NetworkRow::accuracy);
    std::vector<std::string> objectives;
    std::vector<std::string> bounded;
    std::vector<std::string> latencies;
    for (const MetricColumn& shown : shown_metrics(report)) {
        if (shown.name == "flops") continue;
        if (std::ranges::find(report.objectives, shown.name) != report.objectives.end())
            objectives.push_back(shown.name);
        else if (is_judged_by(report, shown.name))
            bounded.push_back(shown.name);
        else if (has_room && text_of(shown).predicted)
            latencies.push_back(shown.name);
    }
    objectives.insert(objectives.end(), bounded.begin(), bounded.end());
    objectives.insert(objectives.end(), latencies.begin(), latencies.end());
    return objectives;
}

} // namespace hdap::report
