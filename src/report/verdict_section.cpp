#include "verdict_section.hpp"

#include "hdap/core/text.hpp"
#include "hdap/report/holds.hpp"
#include "html_text.hpp"
#include "metric_text.hpp"
#include "number_text.hpp"
#include "verdict.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace hdap::report {
namespace {

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
    return fmt::format("{} {} {} {}", points, points == "1.00" ? "point" : "points",
                       change < 0.0 ? "less" : "more", noun);
}

/// How a network's mean latency is known; empty where each device of the fleet is simulated anyway.
std::string_view how_known(const StudyReport& report, const NetworkRow& row) {
    if (!is_found(report, row)) return "predicted";
    return report.found_latencies == DeviceLatencySource::simulated
               ? ""
               : name_of(report.found_latencies);
}

std::string best_sentence(const StudyReport& report, const Verdict& verdict) {
    const std::string_view how = how_known(report, *verdict.best);
    std::string html = fmt::format(
        "{}: {} over {} than the unpruned network, at ", escaped(verdict.best->id),
        strong(fmt::format("{} {}{}mean latency",
                           times_lower(judged_speedup(report, *verdict.best)), how,
                           how.empty() ? "" : " ")),
        core::counted(how == "measured" ? report.found_devices : report.devices, "device"));
    if (!verdict.by_accuracy)
        return html + strong(percent(macs_share(report, *verdict.best), 0) + " of its MACs") +
               (knows_accuracies(report) ? ". Its accuracy was not measured."
                                         : ". No accuracy was measured.");
    const std::string noun =
        verdict.best->finetuned ? "test accuracy" : "held-out accuracy, before fine-tuning";
    return html + strong(points_text(verdict.accuracy_change, noun)) + ".";
}

std::string uniform_sentence(const StudyReport& report, const Verdict& verdict) {
    const std::string points =
        fixed(std::abs(100.0 * (verdict.accuracy_change - verdict.uniform_accuracy_change)), 2);
    const bool ahead = verdict.accuracy_change > verdict.uniform_accuracy_change;
    const std::string html = fmt::format(
        "Uniform width at the nearest latency, {}: {}, at {}. {} is ", escaped(verdict.uniform->id),
        times_lower(judged_speedup(report, *verdict.uniform)),
        points_text(verdict.uniform_accuracy_change, "accuracy"), escaped(verdict.best->id));
    if (points == "0.00") return html + "as accurate.";
    return html +
           strong(fmt::format("{} {} {} accurate", points, points == "1.00" ? "point" : "points",
                              ahead ? "more" : "less")) +
           ".";
}

/// A number of `best` beside the unpruned network's; plain text.
std::string key_number(const std::string& name, const std::string& value,
                       const std::string& reference) {
    return fmt::format("<div><dt>{}</dt><dd>{}<small>{}</small></dd></div>\n", escaped(name),
                       escaped(value), escaped(reference));
}

std::string key_metric(const StudyReport& report, const NetworkRow& best, std::string_view name) {
    const MetricText text = text_of(report, name);
    return key_number(text.predicted ? text.heading + ", predicted" : text.heading,
                      value_text(text, metric(report, best, name)),
                      "unpruned " +
                          value_text(text, metric(report, report.networks.front(), name)));
}

/// The latencies beside the mean that the headline's numbers show: the slowest cluster's and those
/// that the study is judged by, or else p95 in the place of the accuracy.
std::vector<std::string> key_latencies(const StudyReport& report, bool has_accuracy) {
    std::vector<std::string> names{"latency.worst_cluster"};
    for (const MetricColumn& shown : shown_metrics(report))
        if (text_of(shown).predicted && shown.name != names.front() &&
            is_judged_by(report, shown.name))
            names.push_back(shown.name);
    if (names.size() == 1 && !has_accuracy) names.emplace_back("latency.p95");
    return names;
}

std::string key_mean_latency(const StudyReport& report, const NetworkRow& best) {
    const MetricText text = text_of(report, "latency.mean");
    const auto shown = [&](const NetworkRow& row) {
        return value_text(text, is_found(report, best) ? row.latency_fleet_ms
                                                       : metric(report, row, "latency.mean"));
    };
    const std::string_view how = how_known(report, best);
    return key_number(fmt::format("{}{}{}", text.heading, how.empty() ? "" : ", ", how),
                      shown(best), "unpruned " + shown(report.networks.front()));
}

std::string key_accuracy(const NetworkRow& best, const NetworkRow& unpruned) {
    const double reference = best.finetuned ? judged_accuracy(unpruned) : unpruned.accuracy;
    return key_number(best.finetuned ? "Test accuracy" : "Held-out accuracy",
                      percent(best.finetuned ? best.test_accuracy : best.accuracy, 2),
                      "unpruned " + percent(reference, 2));
}

std::string key_numbers(const StudyReport& report, const Verdict& verdict) {
    const NetworkRow& best = *verdict.best;
    std::string html = "<dl class=\"key-numbers\">\n" + key_mean_latency(report, best);
    for (const std::string& name : key_latencies(report, verdict.by_accuracy))
        html += key_metric(report, best, name);
    if (verdict.by_accuracy) html += key_accuracy(best, report.networks.front());
    html += key_number("MACs per image",
                       value_text(text_of(report, "flops"), metric(report, best, "flops")),
                       percent(macs_share(report, best), 0) + " of the unpruned network");
    return html + "</dl>\n";
}

/// How the numbers came to be, and why this network is named.
std::string verdict_note(const StudyReport& report, const Verdict& verdict) {
    std::string html =
        is_found(report, *verdict.best)
            ? fmt::format("Mean latency: over all devices, {}. ", found_devices_text(report))
            : std::string(
                  "Latencies: predicted by the surrogates, clusters weighted by the devices "
                  "they stand for. ");
    if (has_doubtful_bounds(report))
        html += "Networks that keep the constraints on the devices come before all others. ";
    if (!verdict.by_accuracy) return html + "Named is the fastest network of the front.";
    if (verdict.best->finetuned)
        return html + "Of the fine-tuned networks, the fastest that loses at most 1 point of "
                      "accuracy is named, or the most accurate where all lose more.";
    return html + "No network was fine-tuned. Named is the fastest of the front that loses at most "
                  "1 point of accuracy, or the most accurate where all lose more.";
}

/// What to know of the constraints; a warning where the search was wrong about one.
std::string holds_paragraph(const StudyReport& report) {
    const std::string text = holds_text(report);
    if (text.empty()) return "";
    const bool all_hold = count_of(report, Holds::no) + count_of(report, Holds::unknown) == 0;
    return fmt::format("<p class=\"{}\" id=\"holds\">{}</p>\n", all_hold ? "beside" : "warning",
                       escaped(text));
}

} // namespace

std::string verdict_section(const StudyReport& report) {
    std::string html = "<section class=\"verdict\" aria-label=\"Result\">\n";
    const Verdict result = verdict(report);
    if (result.best == nullptr)
        return html + "<p class=\"lead\">The search found no network to show beside the unpruned "
                      "one.</p>\n</section>\n";
    html += fmt::format("<p class=\"lead\">{}</p>\n", best_sentence(report, result));
    if (result.uniform != nullptr)
        html += fmt::format("<p class=\"beside\">{}</p>\n", uniform_sentence(report, result));
    html += holds_paragraph(report);
    html += key_numbers(report, result);
    html += fmt::format("<p class=\"note\">{}</p>\n", verdict_note(report, result));
    if (report.failed > 0) html += fmt::format("<p class=\"note\">{}</p>\n", failures_text(report));
    return html + "</section>\n";
}

} // namespace hdap::report
