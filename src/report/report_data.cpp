#include "report_data.hpp"

#include "figures.hpp"

#include <nlohmann/json.hpp>

namespace hdap::report {
namespace {

using nlohmann::json;

json networks_json(const StudyReport& report) {
    json networks = json::array();
    for (const NetworkRow& row : report.networks)
        networks.push_back({{"id", row.id},
                            {"kind", name_of(row.kind)},
                            {"latency", row.latency_mean_ms},
                            {"fleetLatency", row.latency_fleet_ms},
                            {"speedup", row.speedup},
                            {"flops", row.flops},
                            {"accuracy", row.accuracy},
                            {"testAccuracy", row.test_accuracy},
                            {"finetuned", row.finetuned},
                            {"genome", row.genome}});
    return networks;
}

json history_json(const StudyReport& report) {
    json history = json::array();
    for (const HistoryPoint& point : report.history)
        history.push_back(
            {point.evaluations, point.hypervolume, point.generation, point.front_size});
    return history;
}

/// Whether the front is a line in the plane of mean latency and accuracy, and not a surface.
bool is_plane_front(const StudyReport& report) {
    const auto& objectives = report.objectives;
    return objectives.size() == 2 &&
           ((objectives[0] == "latency.mean" && objectives[1] == "accuracy_drop") ||
            (objectives[1] == "latency.mean" && objectives[0] == "accuracy_drop"));
}

} // namespace

std::string report_data(const StudyReport& report) {
    json candidates = json::array();
    for (const CandidatePoint& point : report.candidates)
        candidates.push_back({point.latency_mean_ms, point.accuracy, point.feasible ? 1 : 0});
    json devices = json::array();
    for (const DevicePoint& point : report.device_points)
        devices.push_back({point.x, point.y, point.cluster});
    const json data = {{"networks", networks_json(report)},
                       {"planeFront", is_plane_front(report)},
                       {"candidates", candidates},
                       {"clusters", report.clusters.size()},
                       {"devices", devices},
                       {"deviceAxes", report.device_axis_names},
                       {"kDistance", report.k_distance},
                       {"eps", report.eps},
                       {"history", history_json(report)},
                       {"groups", report.group_names},
                       {"unprunedChannels", report.unpruned_channels},
                       {"batch", report.batch}};
    // Names may hold any bytes: what is not UTF-8 is replaced.
    const std::string text = data.dump(-1, ' ', false, json::error_handler_t::replace);
    std::string safe;
    safe.reserve(text.size());
    for (const char letter : text)
        if (letter == '<')
            safe += "\\u003c";
        else
            safe += letter;
    return safe;
}

} // namespace hdap::report
