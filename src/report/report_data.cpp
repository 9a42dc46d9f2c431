#include "report_data.hpp"

#include "hdap/core/text.hpp"
#include "hdap/report/holds.hpp"
#include "metric_text.hpp"
#include "number_text.hpp"
#include "verdict.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <cmath>

namespace hdap::report {
namespace {

using nlohmann::json;

/// An axis of the front chart: a metric, or the accuracy.
class Axis {
  public:
    Axis(const StudyReport& report, const std::string& name)
        : report_(report), name_(name), is_accuracy_(name == "accuracy"),
          text_(text_of(report, name)) {
        if (!is_accuracy_) return;
        text_.noun = "held-out accuracy";
        text_.unit = "%";
        text_.factor = 100.0;
    }

    [[nodiscard]] double shown(double value) const { return text_.factor * value; }
    [[nodiscard]] double of(const NetworkRow& row) const {
        return shown(is_accuracy_ ? row.accuracy : metric(report_, row, name_));
    }
    /// After fine-tuning, where that changes it.
    [[nodiscard]] double after(const NetworkRow& row) const {
        return is_accuracy_ ? shown(row.test_accuracy) : of(row);
    }

    [[nodiscard]] json to_json() const {
        if (is_accuracy_)
            return {{"name", text_.noun},
                    {"unit", text_.unit},
                    {"title", "Top-1 accuracy, %"},
                    {"brief", "Top-1 accuracy, %"}};
        const std::string unit = text_.unit.empty() ? "" : ", " + text_.unit;
        const char* predicted = text_.predicted ? ", predicted" : "";
        const std::string images = core::counted(report_.batch, "image");
        const std::string heading = capitalised(text_.noun);
        return {{"name", text_.noun + predicted},
                {"unit", text_.unit},
                {"title", heading + predicted + unit +
                              (text_.predicted ? fmt::format(" ({} per inference)", images) : "")},
                {"brief", heading + unit + (text_.predicted ? fmt::format(" ({})", images) : "")}};
    }

  private:
    const StudyReport& report_;
    std::string name_;
    bool is_accuracy_;
    MetricText text_;
};

/// A line of a network's tooltip.
json fact(const MetricText& text, double value) {
    return {text.predicted ? text.noun + ", predicted" : text.noun, value_text(text, value)};
}

json percentage_fact(const std::string& noun, double share) {
    return {noun, fixed(100.0 * share, 2) + " %"};
}

/// What was found of the bounded latencies, and whether the constraints hold.
json found_facts(const StudyReport& report, const NetworkRow& row) {
    json facts = json::array();
    if (!has_doubtful_bounds(report)) return facts;
    for (const std::size_t bound : found_metrics(report)) {
        const MetricText text = text_of(report, report.bounds[bound].metric);
        if (text.predicted && std::isfinite(row.found[bound]))
            facts.push_back({fmt::format("{}, {}", text.noun, name_of(report.found_latencies)),
                             value_text(text, row.found[bound])});
    }
    const std::vector<std::string> broken = broken_bounds(report, row);
    facts.push_back(
        {"constraints hold on the devices",
         broken.empty() ? std::string(name_of(holds(report, row))) : "no: " + core::join(broken)});
    return facts;
}

/// What a network's tooltip says.
json facts_of(const StudyReport& report, const NetworkRow& row) {
    const MetricText mean = text_of(report, "latency.mean");
    json facts = json::array({fact(mean, metric(report, row, "latency.mean"))});
    std::string speedup = "speed-up, predicted";
    if (is_found(report, row)) {
        const std::string how(name_of(report.found_latencies));
        facts.push_back(
            {fmt::format("{}, {}", mean.noun, how), value_text(mean, row.latency_fleet_ms)});
        speedup = fmt::format("speed-up, {}", how);
    }
    facts.push_back({speedup, fixed(judged_speedup(report, row), 2) + "×"});
    for (const MetricColumn& shown : shown_metrics(report))
        facts.push_back(fact(text_of(shown), metric(report, row, shown.name)));
    if (std::isfinite(row.accuracy))
        facts.push_back(percentage_fact("held-out accuracy", row.accuracy));
    if (std::isfinite(row.test_accuracy))
        facts.push_back(percentage_fact("test accuracy", row.test_accuracy));
    for (const json& found : found_facts(report, row))
        facts.push_back(found);
    return facts;
}

json networks_json(const StudyReport& report, const Axis& x, const Axis& y) {
    const NetworkRow* const best = verdict(report).best;
    json networks = json::array();
    for (const NetworkRow& row : report.networks)
        networks.push_back({{"id", row.id},
                            {"kind", name_of(row.kind)},
                            {"before", {x.of(row), y.of(row)}},
                            {"after", {x.after(row), y.after(row)}},
                            {"facts", facts_of(report, row)},
                            {"best", &row == best},
                            {"broken", is_marked(report, row)},
                            {"finetuned", row.finetuned},
                            {"genome", row.genome}});
    return networks;
}

json candidates_json(const StudyReport& report, const Axis& x, const Axis& y) {
    json candidates = json::array();
    for (const CandidatePoint& point : report.candidates)
        candidates.push_back({x.shown(point.x), y.shown(point.y), point.feasible ? 1 : 0});
    return candidates;
}

json history_json(const StudyReport& report) {
    json history = json::array();
    for (const HistoryPoint& point : report.history)
        history.push_back(
            {point.evaluations, point.hypervolume, point.generation, point.front_size});
    return history;
}

/// Whether the front is a line in the plane of the chart, and not a surface.
bool is_plane_front(const StudyReport& report, const ChartAxes& axes) {
    const std::string y = axes.y == "accuracy" ? "accuracy_drop" : axes.y;
    return report.objectives == std::vector{axes.x, y} ||
           report.objectives == std::vector{y, axes.x};
}

json trials_json(const StudyReport& report) {
    json trials = json::array();
    for (const fleet::RadiusTrial& trial : report.trials)
        trials.push_back({{"clusters", trial.clusters},
                          {"radius", trial.radius},
                          {"mean", trial.errors.mean},
                          {"p95", trial.errors.p95},
                          {"slowest", trial.errors.slowest}});
    return trials;
}

} // namespace

std::string report_data(const StudyReport& report) {
    const ChartAxes axes = chart_axes(report);
    const Axis x(report, axes.x);
    const Axis y(report, axes.y);
    json devices = json::array();
    for (const DevicePoint& point : report.device_points)
        devices.push_back({point.x, point.y, point.cluster});
    const json data = {{"networks", networks_json(report, x, y)},
                       {"axes", {{"x", x.to_json()}, {"y", y.to_json()}}},
                       {"hasAccuracy", axes.y == "accuracy"},
                       {"planeFront", is_plane_front(report, axes)},
                       {"candidates", candidates_json(report, x, y)},
                       {"clusters", report.clusters.size()},
                       {"devices", devices},
                       {"deviceAxes", report.device_axis_names},
                       {"kDistance", report.k_distance},
                       {"eps", report.eps},
                       {"trials", trials_json(report)},
                       {"history", history_json(report)},
                       {"groups", report.group_names},
                       {"unprunedChannels", report.unpruned_channels}};
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
