#pragma once

#include "hdap/report/study_report.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hdap::report {

/// How tables and charts speak of a metric.
struct MetricText {
    std::string noun;            ///< within a sentence: "95th-percentile latency"
    std::string heading;         ///< of a column on the page: "95th percentile"
    std::string brief;           ///< of a column on a terminal: "p95 latency"
    std::string unit;            ///< of what is shown: "ms", "M", "%"; may be empty
    double factor = 1.0;         ///< what is shown ÷ the metric's value
    std::optional<int> decimals; ///< of what is shown; none: as many as the column needs
    bool predicted = false;      ///< by the surrogates, rather than counted or measured
};

/// The text of a metric that the report knows; one made of its name and unit for any other.
MetricText text_of(const MetricColumn& metric);

/// Of the metric `name` of the study, or of one without a unit where the study has none such.
MetricText text_of(const StudyReport& report, std::string_view name);

/// "Mean latency" from "mean latency"
std::string capitalised(std::string text);

/// `value` of a metric with four significant digits and its unit: "12.35 ms", "41.2 M"; "–" when it
/// is not finite.
std::string value_text(const MetricText& text, double value);

/// The metrics that tables show besides latency.mean and accuracy_drop, which have their places:
/// latencies first. All but the quantiles that the study is not judged by, which front.csv has.
std::vector<MetricColumn> shown_metrics(const StudyReport& report);

} // namespace hdap::report
