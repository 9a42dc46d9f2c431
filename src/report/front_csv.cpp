#include "hdap/core/csv.hpp"
#include "hdap/core/text.hpp"
#include "verdict.hpp"

#include <fmt/core.h>

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
    return line + "\n";
}

std::string csv_row(const NetworkRow& row, const std::vector<OptionalColumn>& optional) {
    std::string line = fmt::format("{},{}", core::csv_field(row.id), name_of(row.kind));
    for (const double value : row.metrics)
        line += "," + field(value);
    line += "," + field(row.speedup);
    for (const OptionalColumn& column : optional)
        line += "," + field(row.*column.number);
    line += row.finetuned ? ",true" : ",false";
    for (const std::int32_t channels : row.genome)
        line += fmt::format(",{}", channels);
    return line + "\n";
}

} // namespace

std::string front_csv(const StudyReport& report) {
    check(report);
    const std::vector<OptionalColumn> optional = optional_columns(report);
    std::string text = csv_header(report, optional);
    for (const NetworkRow& row : report.networks)
        text += csv_row(row, optional);
    return text;
}

} // namespace hdap::report
