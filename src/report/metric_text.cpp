#include "metric_text.hpp"

#include "hdap/core/text.hpp"
#include "verdict.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>

namespace hdap::report {
namespace {

constexpr int as_needed = -1;

struct TextRow {
    std::string_view name;
    std::string_view noun;
    std::string_view heading;
    std::string_view brief;
    std::string_view unit;
    double factor;
    int decimals;
};

/// What reads better than a metric's own name and unit. One that is not here can be shown, too.
constexpr std::array text_rows{
    TextRow{"latency.mean", "mean latency", "Mean latency", "mean latency", "ms", 1, as_needed},
    TextRow{"latency.worst_cluster", "slowest cluster’s latency", "Slowest cluster",
            "slowest cluster", "ms", 1, as_needed},
    TextRow{"latency.p50", "median latency", "Median latency", "p50 latency", "ms", 1, as_needed},
    TextRow{"latency.p95", "95th-percentile latency", "95th percentile", "p95 latency", "ms", 1,
            as_needed},
    TextRow{"latency.p99", "99th-percentile latency", "99th percentile", "p99 latency", "ms", 1,
            as_needed},
    TextRow{"latency.sustained", "mean latency under continuous load", "Sustained latency",
            "sustained latency", "ms", 1, as_needed},
    TextRow{"energy.mean", "mean energy of an inference", "Energy", "energy", "mJ", 1, as_needed},
    TextRow{"flops", "MACs per image", "MACs", "MACs", "M", 1e-6, 1},
    TextRow{"params", "parameters", "Parameters", "parameters", "M", 1e-6, 3},
    TextRow{"memory.peak", "peak memory", "Peak memory", "peak memory", "k elements", 1e-3, 1},
    TextRow{"pruning_loss", "pruning loss", "Pruning loss", "pruning loss", "", 1, 3},
    TextRow{"accuracy_drop", "accuracy drop", "Drop", "accuracy drop", "points", 100, 2},
    TextRow{"accuracy_drop.relative", "relative accuracy drop", "Relative drop", "relative drop",
            "%", 100, 2},
};

/// "33 ms" of "latency.sla(33ms)"; empty for any other metric.
std::string tolerated_latency(std::string_view name) {
    constexpr std::string_view begin = "latency.sla(";
    constexpr std::string_view end = "ms)";
    if (!name.starts_with(begin) || !name.ends_with(end)) return "";
    name.remove_prefix(begin.size());
    name.remove_suffix(std::min(name.size(), end.size()));
    return fmt::format("{} ms", name);
}

MetricText named_after(const MetricColumn& metric) {
    MetricText text{.noun = metric.name,
                    .heading = metric.name,
                    .brief = metric.name,
                    .unit = metric.unit,
                    .factor = 1.0,
                    .decimals = {},
                    .predicted = false};
    if (metric.unit != "1") return text;
    text.unit = "%";
    text.factor = 100.0;
    text.decimals = 1;
    return text;
}

} // namespace

MetricText text_of(const MetricColumn& metric) {
    MetricText text = named_after(metric);
    const auto* const row = std::ranges::find(text_rows, metric.name, &TextRow::name);
    if (row != text_rows.end()) {
        text = {.noun = std::string(row->noun),
                .heading = std::string(row->heading),
                .brief = std::string(row->brief),
                .unit = std::string(row->unit),
                .factor = row->factor,
                .decimals = {},
                .predicted = false};
        if (row->decimals != as_needed) text.decimals = row->decimals;
    }
    if (const std::string latency = tolerated_latency(metric.name); !latency.empty()) {
        text.noun = "devices slower than " + latency;
        text.heading = capitalised(text.noun);
        text.brief = "devices > " + latency;
    }
    text.predicted = metric.name.starts_with("latency.") || metric.name.starts_with("energy.");
    return text;
}

MetricText text_of(const StudyReport& report, std::string_view name) {
    const auto found = std::ranges::find(report.metrics, name, &MetricColumn::name);
    if (found != report.metrics.end()) return text_of(*found);
    return text_of({.name = std::string(name), .column = {}, .unit = {}});
}

std::string capitalised(std::string text) {
    if (!text.empty())
        text.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(text.front())));
    return text;
}

std::string value_text(const MetricText& text, double value) {
    if (!std::isfinite(value)) return "–";
    const std::string number = value == 0.0 ? "0" : core::significant(text.factor * value, 4);
    return text.unit.empty() ? number : fmt::format("{} {}", number, text.unit);
}

std::vector<MetricColumn> shown_metrics(const StudyReport& report) {
    std::vector<MetricColumn> shown;
    for (const MetricColumn& metric : report.metrics) {
        if (metric.name == "latency.mean" || metric.name == "accuracy_drop") continue;
        const bool seldom = metric.name == "latency.p50" || metric.name == "latency.p99";
        if (!seldom || is_judged_by(report, metric.name)) shown.push_back(metric);
    }
    std::ranges::stable_partition(
        shown, [](const MetricColumn& metric) { return text_of(metric).predicted; });
    return shown;
}

} // namespace hdap::report
