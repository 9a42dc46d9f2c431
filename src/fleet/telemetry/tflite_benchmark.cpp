#include "fleet/telemetry/format.hpp"
#include "fleet/telemetry/line_reader.hpp"
#include "fleet/telemetry/log_text.hpp"
#include "hdap/core/text.hpp"

#include <fmt/format.h>

namespace hdap::fleet {
namespace {

constexpr double most_runs = 1e15;

/// "count=50 first=… avg=…" of a phase; nothing for lines about operators and memory.
std::optional<std::string_view> statistics_in(std::string_view text) {
    const std::size_t at = text.find("count=");
    if (at == std::string_view::npos) return std::nullopt;
    constexpr std::string_view others[] = {"Timings (", "Memory ("};
    if (has_any(text.substr(0, at), others)) return std::nullopt;
    const std::string_view rest = text.substr(at);
    constexpr std::string_view values[] = {" curr=", " avg="};
    return has_any(rest, values) ? std::optional(rest) : std::nullopt;
}

double checked_ms(double value_us, std::string_view what) {
    return checked_latency_ms(value_us, LatencyUnit::microseconds, what);
}

LatencySummary summary_of(std::string_view statistics) {
    LatencySummary summary;
    const auto runs = number_behind(statistics, "count=");
    if (!runs || !(*runs >= 1.0 && *runs <= most_runs))
        throw BadLine("no number of runs", "count= has no number of runs behind it");
    summary.runs = static_cast<std::int64_t>(*runs);
    auto mean = number_behind(statistics, " avg=");
    // Of runs that all took the same it tells one only.
    if (!mean && statistics.find(" first=") == std::string_view::npos)
        mean = number_behind(statistics, " curr=");
    if (!mean) throw BadLine("avg= is no number", "avg= has no number behind it");
    summary.mean_ms = checked_ms(*mean, "avg");
    constexpr std::pair<std::string_view, double> quantiles[] = {
        {" min=", 0.0}, {" median=", 0.5}, {" max=", 1.0}};
    for (const auto& [mark, q] : quantiles)
        if (const auto value = number_behind(statistics, mark))
            summary.set_quantile(q, checked_ms(*value, mark.substr(1, mark.size() - 2)));
    return summary;
}

/// The mean in the line that ends a run. Versions differ in its words.
std::optional<double> mean_us_in(std::string_view text) {
    const auto rest = text_behind(text, "nference timings in us: ");
    if (!rest) return std::nullopt;
    for (const std::string_view mark : {"Inference (avg): ", "no stats: ", "Inference: "})
        if (const auto value = number_behind(*rest, mark)) return value;
    return std::nullopt;
}

class LogReader {
  public:
    LogReader(TelemetryFile& file, Samples& samples) : file_(file), samples_(samples) {}

    void take(std::int64_t line, std::string_view text) {
        if (text.find("STARTING!") != std::string_view::npos) finish();
        take_graph(text);
        take_delegate(text);
        if (const auto statistics = statistics_in(text); statistics && ++phases_ == 2)
            file_.take_row(line, [&] { summary_ = summary_of(*statistics); });
        if (const auto mean = mean_us_in(text)) {
            if (!summary_)
                file_.take_row(line, [&] {
                    summary_ = LatencySummary{.mean_ms = checked_ms(*mean, "Inference (avg)")};
                });
            finish();
        }
    }

    /// Adds the measurement that was read last.
    void finish() {
        if (summary_) {
            const std::string& benchmark =
                file_.benchmark || graph_.empty() ? file_.its_benchmark() : graph_;
            add_summary(file_, samples_, benchmark, *summary_);
        }
        summary_.reset();
        phases_ = 0;
    }

    [[nodiscard]] bool saw_warm_up_only() const { return phases_ == 1; }

  private:
    void take_graph(std::string_view text) {
        const auto rest = text_behind(text, "Graph: [");
        if (!rest || rest->find(']') == std::string_view::npos) return;
        finish();
        const std::string stem(stem_of_path(rest->substr(0, rest->find(']'))));
        if (is_name(stem)) graph_ = stem;
    }

    void take_delegate(std::string_view text) {
        const auto some = number_behind(text, "Replacing ");
        const auto all = number_behind(text, " out of ");
        if (!some || !all || !(*some < *all) ||
            text.find("with delegate") == std::string_view::npos)
            return;
        file_.doubts.push_back(
            fmt::format("{}: {} of {} operators run on the delegate, the others on the processor",
                        file_.name, core::shortest(*some), core::shortest(*all)));
    }

    TelemetryFile& file_;
    Samples& samples_;
    std::string graph_;
    std::optional<LatencySummary> summary_;
    int phases_ = 0; ///< warm-up, measurement
};

} // namespace

bool is_tflite_benchmark(std::string_view beginning) {
    constexpr std::string_view marks[] = {
        "nference timings in us: ", "Running benchmark for at least ", "STARTING!", "Graph: ["};
    return has_any(beginning, marks);
}

void read_tflite_benchmark(TelemetryFile& file, Samples& samples) {
    LogReader reader(file, samples);
    LineReader lines(file.input, file.name);
    for (std::string line; lines.next(line);)
        reader.take(lines.line(), lines.has_end() ? line : without_last_word(line));
    const bool is_cut = reader.saw_warm_up_only();
    reader.finish();
    if (file.rows == 0)
        file.fail(fmt::format("{}; expected benchmark_model's line 'count=50 first=…' behind that "
                              "of the warm-up, or 'Inference timings in us: …'",
                              is_cut ? "the log ends behind the warm-up" : "no measurement"));
}

} // namespace hdap::fleet
