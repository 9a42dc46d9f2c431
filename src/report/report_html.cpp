#include "assets.hpp"
#include "hdap/core/text.hpp"
#include "hdap/report/fleet_verdict.hpp"
#include "hdap/report/holds.hpp"
#include "html_text.hpp"
#include "metric_text.hpp"
#include "network_columns.hpp"
#include "number_text.hpp"
#include "report_data.hpp"
#include "verdict.hpp"
#include "verdict_section.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace hdap::report {
namespace {

std::string clusters_text(const StudyReport& report) {
    return core::counted(report.clusters.size(), "cluster");
}

std::string page_head(const StudyReport& report) {
    std::string html = R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
)";
    html += "<title>" + escaped(report.study_name) + " – hdap</title>\n<style>\n";
    html += report_css();
    html += "</style>\n</head>\n<body>\n<header>\n<p class=\"kicker\">hdap study</p>\n";
    html += "<h1>" + escaped(report.study_name) + "</h1>\n<p class=\"subject\">";
    html += fmt::format("{} pruned for a fleet of {} ({})", escaped(report.network_name),
                        core::counted(report.devices, "device"), escaped(report.sku));
    if (!report.data_name.empty()) html += " on " + escaped(report.data_name);
    return html + fmt::format(", {} per inference</p>\n</header>\n<main>\n",
                              core::counted(report.batch, "image"));
}

/// A chart that report.js draws, or nothing when there is no ECharts.
std::string chart(const std::string& id, const std::string& description,
                  const std::string& caption) {
    if (echarts_js().empty()) return "";
    return fmt::format(
        "<figure>\n<div class=\"chart-frame\"><div class=\"chart\" id=\"{}\" role=\"img\" "
        "aria-label=\"{}\"></div></div>\n<figcaption>{}</figcaption>\n</figure>\n",
        id, escaped(description), caption);
}

std::string code_list(const std::vector<std::string>& words) {
    std::string html;
    for (const std::string& word : words)
        html += (html.empty() ? "<code>" : ", <code>") + escaped(word) + "</code>";
    return html;
}

std::string search_sentence(const StudyReport& report) {
    std::string html;
    if (!report.history.empty())
        html += core::counted(report.history.back().evaluations, "candidate") + " evaluated. ";
    if (!report.objectives.empty()) html += "Minimised: " + code_list(report.objectives) + ". ";
    if (!report.constraints.empty()) html += "Constraints: " + code_list(report.constraints) + ".";
    return html.empty() ? "" : "<p>" + html + "</p>\n";
}

constexpr std::string_view accuracy_caption =
    "Up and to the left is better. Latency is predicted by the surrogates: the mean over the "
    "fleet, clusters weighted by the devices that they stand for. Hollow marks: accuracy on "
    "held-out images before fine-tuning. Full marks: accuracy on test images after it. A dotted "
    "line joins the two marks of a network.";

std::string caption_without_accuracy(const StudyReport& report, const MetricText& x,
                                     const MetricText& y) {
    std::string text = "Down and to the left is better. ";
    if (x.predicted || y.predicted)
        text += "Latencies are predicted by the surrogates, clusters weighted by the devices that "
                "they stand for. ";
    return text + (knows_accuracies(report)
                       ? "Accuracies were measured after fine-tuning only; the table has them."
                       : "No accuracy was measured in this study.");
}

std::string front_section(const StudyReport& report) {
    const ChartAxes axes = chart_axes(report);
    const bool has_accuracy = axes.y == "accuracy";
    const MetricText x = text_of(report, axes.x);
    const MetricText y = text_of(report, axes.y);
    std::string html =
        fmt::format("<section>\n<h2>{} against {}</h2>\n", escaped(capitalised(y.noun)),
                    escaped(has_accuracy ? "latency" : x.noun));
    if (echarts_js().empty())
        html += "<p class=\"no-charts\">This report has no charts, as hdap was built without "
                "ECharts. <code>npm ci --ignore-scripts</code> in hdap's source folder brings it; "
                "then build again and run the same command.</p>\n";
    html += chart("chart-front",
                  fmt::format("Scatter chart of {} against {}; its networks are in the table below",
                              y.noun, x.noun),
                  has_accuracy ? std::string(accuracy_caption)
                               : caption_without_accuracy(report, x, y));
    return html + search_sentence(report) + "</section>\n";
}

std::string rounds_section(const StudyReport& report) {
    const bool has_rounds = std::ranges::find(report.networks, NetworkKind::round,
                                              &NetworkRow::kind) != report.networks.end();
    if (!has_rounds || echarts_js().empty()) return "";
    const ChartAxes axes = chart_axes(report);
    const std::string x = text_of(report, axes.x).noun;
    const std::string y = text_of(report, axes.y).noun;
    return "<section>\n<h2>Rounds</h2>\n" +
           chart("chart-rounds", fmt::format("Line chart of {} against {} by round", y, x),
                 axes.y == "accuracy"
                     ? "What each round chose, from the unpruned network on. Hollow marks: as it "
                       "was pruned, accuracy on held-out images. Full marks: after fine-tuning, "
                       "accuracy on test images; the next round starts from there."
                     : "What each round chose, from the unpruned network on; the next round starts "
                       "from there.") +
           "</section>\n";
}

std::string networks_note(const StudyReport& report) {
    std::string html = "Click a heading to sort. ";
    if (std::ranges::any_of(report.networks, &NetworkRow::finetuned)) html += "Bold: fine-tuned. ";
    if (fleet_latency_known(report))
        html += fmt::format("Mean latency and speed-up: over all devices, {}; other latencies: "
                            "predicted by the surrogates. ",
                            found_devices_text(report));
    else if (knows(report, &NetworkRow::latency_fleet_ms))
        html += fmt::format("Latencies and speed-ups are predicted by the surrogates, but where a "
                            "heading says otherwise: over all devices, {}. ",
                            found_devices_text(report));
    else
        html += "All latencies, and so the speed-up, are predicted by the surrogates. ";
    if (!knows_accuracies(report)) html += "No accuracy was measured in this study. ";
    if (has_doubtful_bounds(report))
        html += fmt::format("What was found of a bounded latency says so in its heading. Struck "
                            "out: breaks a constraint {}. ",
                            how_found(report));
    return html +
           "<code>front.csv</code> holds the same and more with all digits, and the channels "
           "kept.";
}

/// Those that break a constraint are marked where others may keep it.
std::string row_tag(const StudyReport& report, const NetworkRow& row) {
    const bool broken = is_marked(report, row);
    if (!row.finetuned && !broken) return "<tr>";
    return fmt::format("<tr class=\"{}\"{}>",
                       row.finetuned ? (broken ? "finetuned broken" : "finetuned") : "broken",
                       broken ? fmt::format(" title=\"breaks {}\"",
                                            escaped(core::join(broken_bounds(report, row))))
                              : "");
}

std::string network_row(const StudyReport& report, std::span<const NetworkColumn> columns,
                        std::size_t network) {
    const NetworkRow& row = report.networks[network];
    std::string html = row_tag(report, row);
    html += fmt::format("<th scope=\"row\">{}</th>", escaped(row.id));
    for (const NetworkColumn& column : columns)
        html += number_cell(column.values[network], cell_text(column, network));
    return html + "</tr>\n";
}

std::string networks_section(const StudyReport& report) {
    const std::vector<NetworkColumn> columns = page_columns(report);
    std::vector<Heading> headings{{"Network", ""}};
    for (const NetworkColumn& column : columns)
        headings.push_back({column.heading, column.unit});
    std::string html =
        fmt::format("<section>\n<h2>Networks</h2>\n<p class=\"note\" id=\"networks-note\">{}</p>\n"
                    "<div class=\"table-frame tall\" tabindex=\"0\" role=\"region\" "
                    "aria-label=\"Networks\">\n<table class=\"sortable\" id=\"networks\" "
                    "aria-describedby=\"networks-note\">\n{}<tbody>\n",
                    networks_note(report), table_head(headings));
    for (std::size_t i = 0; i < report.networks.size(); ++i)
        html += network_row(report, columns, i);
    return html + "</tbody>\n</table>\n</div>\n</section>\n";
}

std::string cluster_table(const StudyReport& report) {
    std::string html =
        "<div class=\"table-frame\" tabindex=\"0\" role=\"region\" aria-label=\"Clusters\">\n"
        "<table id=\"clusters\" aria-describedby=\"clusters-note\">\n";
    const std::array headings{Heading{"Cluster", ""},
                              Heading{"Devices", ""},
                              Heading{"Weight", "%"},
                              Heading{"Unpruned latency", "ms"},
                              Heading{"Surrogate’s error", "MAPE, %"},
                              Heading{"Rank correlation", "Kendall’s τ"}};
    html += table_head(headings);
    html += "<tbody>\n";
    double largest = 0.0;
    for (const ClusterRow& row : report.clusters)
        if (std::isfinite(row.unpruned_latency_ms))
            largest = std::max(largest, row.unpruned_latency_ms);
    for (std::size_t k = 0; k < report.clusters.size(); ++k) {
        const ClusterRow& row = report.clusters[k];
        html += fmt::format(
            "<tr><th scope=\"row\"><span class=\"swatch\" data-cluster=\"{0}\"></span>{0}</th>", k);
        html += number_cell(static_cast<double>(row.devices), core::grouped(row.devices));
        html += number_cell(row.weight, fixed(100.0 * row.weight, 1));
        html += number_cell(row.unpruned_latency_ms,
                            fixed(row.unpruned_latency_ms, decimals_for(largest)));
        html += number_cell(row.surrogate_mape, fixed(100.0 * row.surrogate_mape, 2));
        html +=
            number_cell(row.surrogate_kendall_tau, fixed(row.surrogate_kendall_tau, 3)) + "</tr>\n";
    }
    return html +
           "</tbody>\n</table>\n</div>\n<p class=\"note\" id=\"clusters-note\">Weight: the share "
           "of the fleet that a cluster stands for. Unpruned latency: on its "
           "representatives. Error and rank correlation of its latency surrogate: "
           "cross-validated.</p>\n";
}

/// "On held-out benchmarks …"
std::string held_out_sentence(const StudyReport& report) {
    if (report.held_out.empty()) return "";
    std::string sentence = report.held_out + ".";
    sentence.front() = 'O';
    return sentence;
}

/// Whether the fleet matters, and what it costs to see less of it.
std::string regret_part(const StudyReport& report) {
    const FleetVerdict verdict = fleet_verdict(report.regrets);
    std::string html = fmt::format("<p class=\"beside\" id=\"fleet-verdict\">{} {}</p>\n",
                                   escaped(verdict.sentence), escaped(verdict.advice));
    html += "<div class=\"table-frame\" tabindex=\"0\" role=\"region\" aria-label=\"Regret\">\n"
            "<table id=\"regret\" aria-describedby=\"regret-note\">\n";
    std::vector<Heading> headings{{"A search that sees", ""}};
    for (const search::ObjectiveRegret& of : report.regrets)
        headings.push_back({of.objective, "% slower"});
    html += table_head(headings) + "<tbody>\n";
    for (std::size_t v = 0; v + 1 < report.regrets.front().views.size(); ++v) {
        const search::ViewRegret& view = report.regrets.front().views[v];
        html += fmt::format("<tr><th scope=\"row\">{}</th>",
                            escaped(search::text_of(view.kind, view.clusters)));
        for (const search::ObjectiveRegret& of : report.regrets) {
            const search::Regret& regret = of.views[v].regret;
            html +=
                number_cell(regret.mean, fmt::format("{} ({} – {})", fixed(100.0 * regret.mean, 2),
                                                     fixed(100.0 * regret.interval.lower, 2),
                                                     fixed(100.0 * regret.interval.upper, 2)));
        }
        html += "</tr>\n";
    }
    return html +
           "</tbody>\n</table>\n</div>\n<p class=\"note\" id=\"regret-note\">How much slower the "
           "fleet gets by networks of equal quality that are chosen by less of it, as the "
           "surrogates predict; their own errors are taken off. In brackets: 95 %, over halves of "
           "the profile.</p>\n";
}

std::string fleet_section(const StudyReport& report) {
    std::string html = fmt::format(
        "<section>\n<h2>Fleet</h2>\n<p>{} in {} by their benchmark "
        "latencies ({}), {}. {}</p>\n",
        core::counted(report.devices, "device"), clusters_text(report), escaped(report.grouping),
        core::counted(report.noise_devices, "noise device"), escaped(held_out_sentence(report)));
    if (!report.regrets.empty()) html += regret_part(report);
    html += "<div class=\"columns\">\n";
    if (!report.device_points.empty())
        html += chart("chart-clusters", "Scatter chart of devices, coloured by cluster",
                      "Each mark is a device: its latency on two of the benchmark networks, "
                      "relative to the fleet’s median." +
                          (static_cast<std::int64_t>(report.device_points.size()) < report.devices
                               ? fmt::format(" A sample of {} of the devices.",
                                             core::grouped(report.device_points.size()))
                               : std::string()));
    if (report.k_distance.size() > 1)
        html += chart("chart-k-distance",
                      "Line chart of the sorted distances between neighbouring devices",
                      fmt::format("DBSCAN joins devices nearer than eps = {}. It suits when the "
                                  "curve stays low up to the line and turns up sharply from there.",
                                  core::significant(report.eps, 3)));
    if (report.trials.size() > 1)
        html +=
            chart("chart-trials", "Line chart of errors against the number of clusters",
                  "What clusters of ever smaller radii make of the fleet’s figures, on benchmark "
                  "networks and devices that were held out. The fewest whose error is as wanted "
                  "are taken (clusters.error).");
    html += "</div>\n";
    if (!report.clusters.empty()) html += cluster_table(report);
    return html + "</section>\n";
}

std::string channels_section(const StudyReport& report) {
    if (echarts_js().empty() || report.group_names.empty()) return "";
    return "<section>\n<h2>Channels kept</h2>\n" +
           chart("chart-channels",
                 "Heat map of the share of channels kept, by network and pruning group",
                 "Share of the channels kept in each pruning group, in %. Shown are the "
                 "fine-tuned networks, or a selection of the front when there are none.") +
           "</section>\n";
}

std::string search_section(const StudyReport& report) {
    if (echarts_js().empty() || report.history.empty()) return "";
    return "<section>\n<h2>Search</h2>\n" +
           chart("chart-history", "Line chart of the hypervolume by evaluations",
                 "Hypervolume that the front dominates, one point per generation. A curve that "
                 "still climbs says that more generations would find better networks.") +
           "</section>\n";
}

std::string details(const std::string& name, const std::string& text) {
    if (text.empty()) return "";
    return fmt::format(
        "<details>\n<summary>{}</summary>\n<pre tabindex=\"0\">{}</pre>\n</details>\n", name,
        escaped(text));
}

std::string page_end(const StudyReport& report) {
    std::string html = "<section>\n<h2>How it was made</h2>\n" +
                       details("Provenance", report.provenance) +
                       details("Settings", report.settings_toml) + "</section>\n</main>\n";
    html += "<footer>Made by hdap.";
    if (!echarts_js().empty())
        html += " Charts drawn by Apache ECharts (Apache License 2.0), which this file contains.";
    html += "</footer>\n<script type=\"application/json\" id=\"report-data\">" +
            report_data(report) + "</script>\n";
    if (!echarts_js().empty()) {
        html += "<script id=\"echarts\">";
        html += echarts_js();
        html += "</script>\n";
    }
    html += "<script>\n";
    html += report_js();
    return html + "</script>\n</body>\n</html>\n";
}

} // namespace

std::string report_html(const StudyReport& report) {
    check(report);
    return page_head(report) + verdict_section(report) + rounds_section(report) +
           front_section(report) + networks_section(report) + fleet_section(report) +
           channels_section(report) + search_section(report) + page_end(report);
}

} // namespace hdap::report
