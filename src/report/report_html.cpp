#include "assets.hpp"
#include "figures.hpp"
#include "hdap/core/text.hpp"
#include "number_text.hpp"
#include "report_data.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>

namespace hdap::report {
namespace {

/// Text as HTML shows it literally, in elements and in quoted attributes.
std::string escaped(std::string_view text) {
    std::string result;
    for (const char letter : text) {
        switch (letter) {
        case '&':
            result += "&amp;";
            break;
        case '<':
            result += "&lt;";
            break;
        case '>':
            result += "&gt;";
            break;
        case '"':
            result += "&quot;";
            break;
        case '\'':
            result += "&#39;";
            break;
        default:
            result += letter;
        }
    }
    return result;
}

std::string strong(const std::string& html) {
    return "<strong>" + html + "</strong>";
}

std::string percent(double share, int decimals) {
    return std::isfinite(share) ? fixed(100.0 * share, decimals) + " %" : "–";
}

/// "1.84× lower", "1.05× higher"
std::string times_lower(double speedup) {
    return speedup >= 1.0 ? fixed(speedup, 2) + "× lower" : fixed(1.0 / speedup, 2) + "× higher";
}

/// "0.60 points less test accuracy", "the same test accuracy"
std::string points_text(double change, const std::string& noun) {
    const std::string points = fixed(std::abs(100.0 * change), 2);
    if (points == "0.00") return "the same " + noun;
    return points + (points == "1.00" ? " point " : " points ") +
           (change < 0.0 ? "less " : "more ") + noun;
}

std::string clusters_text(const StudyReport& report) {
    return counted(static_cast<std::int64_t>(report.clusters.size()), "cluster");
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
    html += escaped(report.network_name) + " pruned for a fleet of " +
            counted(report.devices, "device") + " (" + escaped(report.sku) + ")";
    if (!report.data_name.empty()) html += " on " + escaped(report.data_name);
    return html + ", " + counted(report.batch, "image") + " an inference</p>\n</header>\n<main>\n";
}

std::string best_sentence(const StudyReport& report, const Verdict& verdict) {
    const std::string noun =
        verdict.best->finetuned ? "test accuracy" : "held-out accuracy, before fine-tuning";
    return strong(times_lower(verdict.best->speedup) + " mean latency") + " over " +
           counted(report.devices, "device") + " than the unpruned network, at " +
           strong(points_text(verdict.accuracy_change, noun)) + ".";
}

std::string uniform_sentence(const Verdict& verdict) {
    const std::string points =
        fixed(std::abs(100.0 * (verdict.accuracy_change - verdict.uniform_accuracy_change)), 2);
    const bool ahead = verdict.accuracy_change > verdict.uniform_accuracy_change;
    std::string html = "Uniform width at the nearest latency, " + escaped(verdict.uniform->id) +
                       ": " + times_lower(verdict.uniform->speedup) + ", at " +
                       points_text(verdict.uniform_accuracy_change, "accuracy") + ". " +
                       escaped(verdict.best->id) + " is ";
    if (points == "0.00") return html + "as accurate.";
    return html +
           strong(points + (points == "1.00" ? " point " : " points ") +
                  (ahead ? "more accurate" : "less accurate")) +
           ".";
}

std::string key_figure(const std::string& name, const std::string& value,
                       const std::string& reference) {
    return "<div><dt>" + name + "</dt><dd>" + value + "<small>" + reference +
           "</small></dd></div>\n";
}

std::string key_figures(const StudyReport& report, const NetworkRow& best) {
    const NetworkRow& unpruned = report.networks.front();
    const bool fleet_known = fleet_latency_known(report);
    const auto milliseconds = [](double value) {
        return std::isfinite(value) ? core::significant(value, 4) + " ms" : "–";
    };
    std::string html = "<dl class=\"figures\">\n";
    html += key_figure("Mean latency", milliseconds(shown_latency_ms(best, fleet_known)),
                       "unpruned " + milliseconds(shown_latency_ms(unpruned, fleet_known)));
    html += key_figure("Slowest cluster, predicted", milliseconds(best.latency_worst_cluster_ms),
                       "unpruned " + milliseconds(unpruned.latency_worst_cluster_ms));
    const double reference = best.finetuned ? judged_accuracy(unpruned) : unpruned.accuracy;
    html += key_figure(best.finetuned ? "Test accuracy" : "Held-out accuracy",
                       percent(best.finetuned ? best.test_accuracy : best.accuracy, 2),
                       "unpruned " + percent(reference, 2));
    html += key_figure("MACs an image", core::significant(best.flops / 1e6, 4) + " M",
                       percent(best.flops / unpruned.flops, 0) + " of the unpruned network");
    return html + "</dl>\n";
}

std::string verdict_section(const StudyReport& report) {
    std::string html = "<section class=\"verdict\" aria-label=\"Result\">\n";
    const Verdict result = verdict(report);
    if (result.best == nullptr)
        return html + "<p class=\"lead\">The search found no network to show beside the unpruned "
                      "one.</p>\n</section>\n";
    html += "<p class=\"lead\">" + escaped(result.best->id) + ": " + best_sentence(report, result) +
            "</p>\n";
    if (result.uniform != nullptr)
        html += "<p class=\"beside\">" + uniform_sentence(result) + "</p>\n";
    html += key_figures(report, *result.best);
    html += "<p class=\"note\">Mean latency: ";
    html += fleet_latency_known(report)
                ? "over all devices, " + how_simulated(report) + ". "
                : std::string("predicted by the surrogates, clusters weighted by the devices they "
                              "stand for. ");
    html += result.best->finetuned
                ? "Of the fine-tuned networks, the fastest that loses at most 1 point of "
                  "accuracy is named, or the most accurate where all lose more.</p>\n"
                : "No network was fine-tuned. Named is the fastest of the front that loses at "
                  "most 1 point of accuracy, or the most accurate where all lose more.</p>\n";
    return html + "</section>\n";
}

/// A chart that report.js draws, or nothing when there is no ECharts.
std::string chart(const std::string& id, const std::string& description,
                  const std::string& caption) {
    if (echarts_js().empty()) return "";
    return "<figure>\n<div class=\"chart-frame\"><div class=\"chart\" id=\"" + id +
           "\" role=\"img\" aria-label=\"" + escaped(description) + "\"></div></div>\n" +
           "<figcaption>" + caption + "</figcaption>\n</figure>\n";
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
        html += counted(report.history.back().evaluations, "candidate") + " evaluated. ";
    if (!report.objectives.empty()) html += "Minimised: " + code_list(report.objectives) + ". ";
    if (!report.constraints.empty()) html += "Constraints: " + code_list(report.constraints) + ".";
    return html.empty() ? "" : "<p>" + html + "</p>\n";
}

std::string front_section(const StudyReport& report) {
    std::string html = "<section>\n<h2>Accuracy against latency</h2>\n";
    if (echarts_js().empty())
        html += "<p class=\"no-charts\">This report has no charts, as hdap was built without "
                "ECharts. <code>npm ci --ignore-scripts</code> in hdap's source folder brings it; "
                "then build again and run the same command.</p>\n";
    html += chart(
        "chart-front",
        "Scatter chart of accuracy against mean latency; its networks are in the "
        "table below",
        "Up and to the left is better. Latency is predicted by the surrogates: the mean over the "
        "fleet, clusters weighted by the devices that they stand for. Hollow marks: accuracy on "
        "held-out images before fine-tuning. Full marks: accuracy on test images after it. A "
        "dotted "
        "line joins the two marks of a network.");
    return html + search_sentence(report) + "</section>\n";
}

/// A table cell; `value` is what report.js sorts by.
std::string number_cell(double value, const std::string& text) {
    std::string html = "<td class=\"number\"";
    if (std::isfinite(value)) html += " data-value=\"" + core::shortest(value) + "\"";
    return html + ">" + text + "</td>";
}

std::string network_row(const NetworkRow& row, const NetworkRow& unpruned, bool fleet_known,
                        int latency_decimals) {
    const double latency = shown_latency_ms(row, fleet_known);
    const double macs = row.flops / unpruned.flops;
    std::string html = row.finetuned ? "<tr class=\"finetuned\">" : "<tr>";
    html += "<th scope=\"row\">" + escaped(row.id) + "</th>";
    html += number_cell(latency, fixed(latency, latency_decimals));
    html +=
        number_cell(row.speedup, std::isfinite(row.speedup) ? fixed(row.speedup, 2) + "×" : "–");
    html += number_cell(row.latency_worst_cluster_ms,
                        fixed(row.latency_worst_cluster_ms, latency_decimals));
    html += number_cell(row.flops, fixed(row.flops / 1e6, 1));
    html += number_cell(macs, fixed(100.0 * macs, 0));
    html += number_cell(row.params, fixed(row.params / 1e6, 3));
    html += number_cell(row.memory_peak, fixed(row.memory_peak / 1e3, 1));
    html += number_cell(row.accuracy, fixed(100.0 * row.accuracy, 2));
    html += number_cell(row.accuracy_drop, fixed(100.0 * row.accuracy_drop, 2));
    html += number_cell(row.test_accuracy, fixed(100.0 * row.test_accuracy, 2));
    return html + "</tr>\n";
}

struct Column {
    std::string_view name;
    std::string_view unit;
};

std::string table_head(std::initializer_list<Column> columns, std::size_t text_columns) {
    std::string html = "<thead><tr>";
    std::size_t index = 0;
    for (const Column& column : columns) {
        html +=
            index++ < text_columns ? "<th scope=\"col\">" : "<th scope=\"col\" class=\"number\">";
        html += column.name;
        if (!column.unit.empty())
            html += "<span class=\"unit\">" + std::string(column.unit) + "</span>";
        html += "</th>";
    }
    return html + "</tr></thead>\n";
}

std::string networks_section(const StudyReport& report) {
    const bool fleet_known = fleet_latency_known(report);
    double largest = 0.0;
    for (const NetworkRow& row : report.networks)
        if (std::isfinite(row.latency_worst_cluster_ms))
            largest = std::max(largest, row.latency_worst_cluster_ms);
    std::string html = "<section>\n<h2>Networks</h2>\n<p class=\"note\" id=\"networks-note\">";
    html += "Click a heading to sort. Bold: fine-tuned. Mean latency and speed-up: ";
    html += fleet_known ? "over all devices, " + how_simulated(report)
                        : std::string("predicted by the surrogates");
    html += "; slowest cluster: predicted. <code>front.csv</code> holds the same with all digits, "
            "and the channels kept.</p>\n"
            "<div class=\"table-frame tall\" tabindex=\"0\" role=\"region\" "
            "aria-label=\"Networks\">\n<table class=\"sortable\" id=\"networks\" "
            "aria-describedby=\"networks-note\">\n";
    html += table_head({{"Network", ""},
                        {"Mean latency", "ms"},
                        {"Speed\u2011up", ""},
                        {"Slowest cluster", "ms"},
                        {"MACs", "M"},
                        {"MACs", "% of unpruned"},
                        {"Parameters", "M"},
                        {"Peak memory", "k elements"},
                        {"Held-out accuracy", "%"},
                        {"Drop", "points"},
                        {"Test accuracy", "%"}},
                       1);
    html += "<tbody>\n";
    for (const NetworkRow& row : report.networks)
        html += network_row(row, report.networks.front(), fleet_known, decimals_for(largest));
    return html + "</tbody>\n</table>\n</div>\n</section>\n";
}

std::string cluster_table(const StudyReport& report) {
    std::string html =
        "<div class=\"table-frame\" tabindex=\"0\" role=\"region\" aria-label=\"Clusters\">\n"
        "<table id=\"clusters\" aria-describedby=\"clusters-note\">\n";
    html += table_head({{"Cluster", ""},
                        {"Devices", ""},
                        {"Weight", "%"},
                        {"Unpruned latency", "ms"},
                        {"Surrogate’s error", "MAPE, %"},
                        {"Rank correlation", "Kendall’s τ"}},
                       1);
    html += "<tbody>\n";
    double largest = 0.0;
    for (const ClusterRow& row : report.clusters)
        if (std::isfinite(row.unpruned_latency_ms))
            largest = std::max(largest, row.unpruned_latency_ms);
    for (std::size_t k = 0; k < report.clusters.size(); ++k) {
        const ClusterRow& row = report.clusters[k];
        html += "<tr><th scope=\"row\"><span class=\"swatch\" data-cluster=\"" + std::to_string(k) +
                "\"></span>" + std::to_string(k) + "</th>";
        html += number_cell(static_cast<double>(row.devices), grouped(row.devices));
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

std::string fleet_section(const StudyReport& report) {
    std::string html = "<section>\n<h2>Fleet</h2>\n<p>" + counted(report.devices, "device") +
                       " in " + clusters_text(report) + " by their benchmark latencies; " +
                       counted(report.noise_devices, "noise device") + " in no dense group.</p>\n";
    html += "<div class=\"columns\">\n";
    if (!report.device_points.empty())
        html +=
            chart("chart-clusters", "Scatter chart of devices, coloured by cluster",
                  "Each mark is a device: its latency on two of the benchmark networks, "
                  "relative to the fleet’s median." +
                      (static_cast<std::int64_t>(report.device_points.size()) < report.devices
                           ? " A sample of " +
                                 grouped(static_cast<std::int64_t>(report.device_points.size())) +
                                 " of the devices."
                           : std::string()));
    if (report.k_distance.size() > 1)
        html += chart("chart-k-distance",
                      "Line chart of the sorted distances between neighbouring devices",
                      "DBSCAN joins devices nearer than eps = " + core::significant(report.eps, 3) +
                          ". It suits when the curve stays low up to the line and turns up sharply "
                          "from there.");
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
                 "Hypervolume that the front dominates, one point a generation. A curve that "
                 "still climbs says that more generations would find better networks.") +
           "</section>\n";
}

std::string details(const std::string& name, const std::string& text) {
    if (text.empty()) return "";
    return "<details>\n<summary>" + name + "</summary>\n<pre tabindex=\"0\">" + escaped(text) +
           "</pre>\n</details>\n";
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
    return page_head(report) + verdict_section(report) + front_section(report) +
           networks_section(report) + fleet_section(report) + channels_section(report) +
           search_section(report) + page_end(report);
}

} // namespace hdap::report
