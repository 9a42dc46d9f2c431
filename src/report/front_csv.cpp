#include "hdap/core/csv.hpp"
#include "hdap/core/text.hpp"
#include "hdap/report/holds.hpp"
#include "metric_text.hpp"
#include "verdict.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace hdap::report {
namespace {

std::string field(double value) {
    return std::isnan(value) ? "" : core::shortest(value);
}

/// A number that has a column where it is known of a network.
struct OptionalColumn {
    const char* name;
    double NetworkRow::*number;
};

std::vector<OptionalColumn> optional_columns(const StudyReport& report) {
    std::vector<OptionalColumn> columns{{"latency_fleet_ms", &NetworkRow::latency_fleet_ms},
                                        {"accuracy", &NetworkRow::accuracy},
                                        {"test_accuracy", &NetworkRow::test_accuracy}};
    std::erase_if(columns,
                  [&](const OptionalColumn& column) { return !knows(report, column.number); });
    return columns;
}

/// What tells how a network keeps the constraints; behind the others, so that a line without them
/// is the beginning of one with them.
std::string bounds_header(const StudyReport& report) {
    if (!has_doubtful_bounds(report)) return "";
    std::string line = ",holds_on_devices,broken";
    for (const std::size_t i : found_metrics(report)) {
        const auto metric =
            std::ranges::find(report.metrics, report.bounds[i].metric, &MetricColumn::name);
        const bool latency = text_of(report, report.bounds[i].metric).predicted;
        line += "," + core::csv_field(metric->column + (latency ? "_on_devices" : "_final"));
    }
    return line;
}

std::string bounds_fields(const StudyReport& report, const NetworkRow& row) {
    if (!has_doubtful_bounds(report)) return "";
    std::string line = fmt::format(",{},{}", name_of(holds(report, row)),
                                   core::csv_field(core::join(broken_bounds(report, row), "; ")));
    for (const std::size_t i : found_metrics(report))
        line += "," + field(row.found[i]);
    return line;
}

std::string csv_header(const StudyReport& report, const std::vector<OptionalColumn>& optional) {
    std::string line = "id,kind";
    for (const MetricColumn& metric : report.metrics)
        line += "," + core::csv_field(metric.column);
    line += ",speedup";
    for (const OptionalColumn& column : optional)
        line += fmt::format(",{}", column.name);
    line += ",finetuned";
    for (const std::string& group : report.group_names)
        line += "," + core::csv_field("keep_" + group);
    return line + bounds_header(report) + "\n";
}

std::string csv_row(const StudyReport& report, const NetworkRow& row,
                    const std::vector<OptionalColumn>& optional) {
    std::string line = fmt::format("{},{}", core::csv_field(row.id), name_of(row.kind));
    for (const double value : row.metrics)
        line += "," + field(value);
    line += "," + field(row.speedup);
    for (const OptionalColumn& column : optional)
        line += "," + field(row.*column.number);
    line += row.finetuned ? ",true" : ",false";
    for (const std::int32_t channels : row.genome)
        line += fmt::format(",{}", channels);
    return line + bounds_fields(report, row) + "\n";
}

} // namespace

std::string front_csv(const StudyReport& report) {
    check(report);
    const std::vector<OptionalColumn> optional = optional_columns(report);
    std::string text = csv_header(report, optional);
    for (const NetworkRow& row : report.networks)
        text += csv_row(report, row, optional);
    return text;
}

} // namespace hdap::report
