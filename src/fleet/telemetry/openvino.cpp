#include "fleet/telemetry/column_names.hpp"
#include "fleet/telemetry/format.hpp"
#include "fleet/telemetry/json_records.hpp"
#include "fleet/telemetry/line_reader.hpp"
#include "fleet/telemetry/log_text.hpp"
#include "hdap/core/text.hpp"

#include <fmt/format.h>

#include <cmath>

namespace hdap::fleet {
namespace {

/// What benchmark_app tells of its inferences, in ms.
struct Report {
    std::optional<double> quantile; ///< the median, or the one that -latency_percentile asks for
    std::optional<double> percentile;
    std::optional<double> average;
    std::optional<double> min;
    std::optional<double> max;
    std::optional<double> iterations;
};

LatencySummary summary_of(const Report& report) {
    const auto checked = [](double value, const char* what) {
        return checked_latency_ms(value, LatencyUnit::milliseconds, what);
    };
    LatencySummary summary;
    constexpr double most_runs = 1e15;
    if (report.iterations && *report.iterations >= 1.0 && *report.iterations <= most_runs)
        summary.runs = static_cast<std::int64_t>(*report.iterations);
    if (report.average) summary.mean_ms = checked(*report.average, "average latency");
    if (report.min) summary.set_quantile(0.0, checked(*report.min, "min latency"));
    if (report.max) summary.set_quantile(1.0, checked(*report.max, "max latency"));
    if (report.quantile)
        summary.set_quantile(report.percentile.value_or(50.0) / 100.0,
                             checked(*report.quantile, "median latency"));
    if (!summary.median_ms && !summary.mean_ms)
        throw BadLine("neither median nor average latency", "neither median nor average latency");
    return summary;
}

/// Takes a report as the file's one row. Throws DataError without one.
void take_report(TelemetryFile& file, Samples& samples, std::int64_t line, const Report& report) {
    const std::string& benchmark = file.its_benchmark();
    file.take_row(line, [&] { add_summary(file, samples, benchmark, summary_of(report)); });
}

/// The cells of a line of a report.
std::vector<std::string> cells_of(std::string_view line) {
    std::vector<std::string> cells;
    while (true) {
        const std::size_t end = line.find(';');
        cells.emplace_back(trimmed(line.substr(0, end)));
        if (end == std::string_view::npos) return cells;
        line.remove_prefix(end + 1);
    }
}

/// A line of the section of results: "Median latency (ms);11.6". Versions differ in case and words.
void take_result(const std::vector<std::string>& cells, Report& report) {
    struct Entry {
        std::string_view name;
        std::optional<double> Report::*value;
    };
    constexpr Entry entries[] = {
        {"latency (ms)", &Report::quantile},
        {"median latency (ms)", &Report::quantile},
        {"percentile boundary", &Report::percentile},
        {"average latency (ms)", &Report::average},
        {"min latency (ms)", &Report::min},
        {"max latency (ms)", &Report::max},
        {"total number of iterations", &Report::iterations},
    };
    if (cells.size() < 2) return;
    const std::string name = in_lower_case(cells[0]);
    for (const Entry& entry : entries)
        if (name == entry.name) report.*entry.value = plain_number(cells[1]);
}

} // namespace

bool is_openvino_csv(std::string_view beginning) {
    beginning = from_first_text(beginning);
    constexpr std::string_view sections[] = {"Execution results", "Command line parameters",
                                             "Configuration setup", "Runtime configuration"};
    for (const std::string_view section : sections)
        if (beginning.starts_with(section)) return true;
    return false;
}

void read_openvino_csv(TelemetryFile& file, Samples& samples) {
    Report report;
    bool in_results = false;
    std::int64_t last_line = 1;
    LineReader lines(file.input, file.name);
    for (std::string line; lines.next(line);) {
        const std::vector<std::string> cells = cells_of(from_first_text(line));
        if (cells[0] == "Execution results") in_results = true;
        if (cells[0] == "Group Latencies") {
            in_results = false;
            file.remarks.push_back(file.name + ": latencies of all shapes together are taken");
        }
        if (!in_results || !lines.has_end()) continue;
        take_result(cells, report);
        last_line = lines.line();
    }
    if (!report.quantile && !report.average)
        file.fail("no latency in a section 'Execution results'; expected benchmark_app's "
                  "benchmark_report.csv");
    take_report(file, samples, last_line, report);
}

bool is_openvino_json(std::string_view beginning) {
    beginning = from_first_text(beginning);
    return beginning.starts_with('{') &&
           beginning.find("\"execution_results\"") != std::string_view::npos;
}

void read_openvino_json(TelemetryFile& file, Samples& samples) {
    const JsonRecord object = read_json_object(file.input, file.name, 2);
    try {
        const auto number = [&](const char* key) {
            return object.number(fmt::format("execution_results.{}", key));
        };
        Report report{.quantile = number("latency_median"),
                      .percentile = number("percentile_boundary"),
                      .average = number("latency_avg"),
                      .min = number("latency_min"),
                      .max = number("latency_max"),
                      .iterations = number("iterations_num")};
        if (!report.average) report.average = number("latency_average");
        if (!report.quantile && !report.average)
            file.fail("no latency_median and no latency_avg in execution_results; expected "
                      "benchmark_app's report of -json_stats");
        take_report(file, samples, object.line, report);
    } catch (const BadLine& bad) {
        file.fail(bad.what());
    }
}

bool is_openvino_counters(std::string_view beginning) {
    return from_first_text(beginning).starts_with("layerName;execStatus;");
}

void read_openvino_counters(TelemetryFile& file, Samples& samples) {
    const std::string& benchmark = file.its_benchmark();
    LatencyAccumulator log;
    LineReader lines(file.input, file.name);
    for (std::string line; lines.next(line);) {
        const std::vector<std::string> cells = cells_of(line);
        constexpr std::size_t real_time = 4;
        if (cells[0] != "Total" || cells.size() <= real_time || !lines.has_end()) continue;
        file.take_row(lines.line(), [&] {
            const auto total_ms = plain_number(cells[real_time]);
            if (!total_ms)
                throw BadLine("realTime is no number", "the total of realTime is no number");
            log.add(checked_latency_ms(*total_ms, LatencyUnit::milliseconds, "realTime"));
        });
    }
    if (file.rows == 0) file.fail("no line 'Total'; was the file of counters cut?");
    file.statistic = "median of the sums of the layers' times";
    add_log(file, samples, benchmark, log);
}

} // namespace hdap::fleet
