#include "hdap/core/text.hpp"

#include <cmath>
#include <string_view>

#include "figures.hpp"

namespace hdap::report {
namespace {

/// A field as RFC 4180 writes it: quoted where it holds a comma, a quote or a line break.
std::string field(std::string_view text) {
    if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
    std::string quoted = "\"";
    for (const char letter : text) {
        if (letter == '"') quoted += '"';
        quoted += letter;
    }
    return quoted + '"';
}

std::string field(double value) {
    return std::isnan(value) ? "" : core::shortest(value);
}

std::string_view name_of(NetworkKind kind) {
    switch (kind) {
    case NetworkKind::unpruned:
        return "unpruned";
    case NetworkKind::front:
        return "front";
    case NetworkKind::uniform:
        break;
    }
    return "uniform";
}

std::string csv_header(const StudyReport& report) {
    std::string line = "id,kind,latency_mean_ms,speedup,latency_worst_cluster_ms,latency_fleet_ms,"
                       "accuracy,accuracy_drop,test_accuracy,flops,params,memory_peak,finetuned";
    for (const std::string& group : report.group_names)
        line += "," + field("keep_" + group);
    return line + "\n";
}

std::string csv_row(const NetworkRow& row) {
    std::string line = field(row.id);
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
