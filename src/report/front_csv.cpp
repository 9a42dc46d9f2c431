#include "figures.hpp"
#include "hdap/core/csv.hpp"
#include "hdap/core/text.hpp"

#include <cmath>

namespace hdap::report {
namespace {

std::string field(double value) {
    return std::isnan(value) ? "" : core::shortest(value);
}

std::string csv_header(const StudyReport& report) {
    std::string line = "id,kind,latency_mean_ms,speedup,latency_worst_cluster_ms,latency_fleet_ms,"
                       "accuracy,accuracy_drop,test_accuracy,flops,params,memory_peak,finetuned";
    for (const std::string& group : report.group_names)
        line += "," + core::csv_field("keep_" + group);
    return line + "\n";
}

std::string csv_row(const NetworkRow& row) {
    std::string line = core::csv_field(row.id);
    line += ",";
    line += name_of(row.kind);
    for (const double value : {row.latency_mean_ms, row.speedup, row.latency_worst_cluster_ms,
                               row.latency_fleet_ms, row.accuracy, row.accuracy_drop,
                               row.test_accuracy, row.flops, row.params, row.memory_peak})
        line += "," + field(value);
    line += row.finetuned ? ",true" : ",false";
    for (const std::int32_t channels : row.genome)
        line += "," + std::to_string(channels);
    return line + "\n";
}

} // namespace

std::string front_csv(const StudyReport& report) {
    check(report);
    std::string text = csv_header(report);
    for (const NetworkRow& row : report.networks)
        text += csv_row(row);
    return text;
}

} // namespace hdap::report
