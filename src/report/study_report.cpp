#include "hdap/report/study_report.hpp"

#include "verdict.hpp"

#include <algorithm>
#include <cmath>

namespace hdap::report {

double metric(const StudyReport& report, const NetworkRow& row, std::string_view name) {
    const auto found = std::ranges::find(report.metrics, name, &MetricColumn::name);
    if (found == report.metrics.end()) return std::numeric_limits<double>::quiet_NaN();
    return row.metrics[static_cast<std::size_t>(found - report.metrics.begin())];
}

bool fleet_latency_known(const StudyReport& report) {
    return std::ranges::all_of(
        report.networks, [](const NetworkRow& row) { return std::isfinite(row.latency_fleet_ms); });
}

ChartAxes chart_axes(const StudyReport& report) {
    if (knows(report, &NetworkRow::accuracy)) return {.x = "latency.mean", .y = "accuracy"};
    std::vector<std::string> objectives;
    for (const std::string& name : report.objectives)
        if (has_metric(report, name)) objectives.push_back(name);
    if (objectives.empty()) objectives.emplace_back("latency.mean");
    if (objectives.size() == 1)
        objectives.emplace_back(objectives.front() == "latency.mean" ? "flops" : "latency.mean");
    return {.x = objectives[0], .y = objectives[1]};
}

} // namespace hdap::report
