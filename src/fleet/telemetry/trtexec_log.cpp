#include "fleet/telemetry/format.hpp"
#include "fleet/telemetry/line_reader.hpp"
#include "fleet/telemetry/log_text.hpp"
#include "hdap/core/text.hpp"

#include <fmt/format.h>

namespace hdap::fleet {
namespace {

/// "mean = 2.5 ms" of such a list; nothing where the unit was cut off.
std::optional<double> told_ms(std::string_view list, std::string_view statistic) {
    auto rest = text_behind(list, fmt::format("{} = ", statistic));
    if (!rest) return std::nullopt;
    *rest = rest->substr(0, rest->find(','));
    if (rest->find(" ms") == std::string_view::npos) return std::nullopt;
    const auto value = leading_number(*rest);
    return value ? std::optional(checked_latency_ms(*value, LatencyUnit::milliseconds, statistic))
                 : std::nullopt;
}

LatencySummary summary_of(std::string_view list) {
    constexpr std::pair<std::string_view, double> quantiles[] = {
        {"min", 0.0}, {"median", 0.5},           {"percentile(90%)", 0.9},
        {"max", 1.0}, {"percentile(99%)", 0.99},
    };
    LatencySummary summary{.mean_ms = told_ms(list, "mean")};
    for (const auto& [statistic, q] : quantiles)
        if (const auto value = told_ms(list, statistic)) summary.set_quantile(q, *value);
    if (!summary.mean_ms && !summary.median_ms)
        throw BadLine("neither mean nor median", "neither mean nor median of the latency");
    return summary;
}

/// A number of TensorRT 7, on a line of its own: "median: 2.5 ms (end to end 2.6 ms)".
bool take_old_line(std::string_view message, LatencySummary& summary) {
    constexpr std::pair<std::string_view, double> quantiles[] = {
        {"min: ", 0.0}, {"median: ", 0.5}, {"max: ", 1.0}, {"percentile: ", 0.99}};
    const auto number = [&](std::string_view mark) -> std::optional<double> {
        if (!message.starts_with(mark) || message.find(" ms") == std::string_view::npos)
            return std::nullopt;
        const auto value = number_behind(message, mark);
        return value ? std::optional(checked_latency_ms(*value, LatencyUnit::milliseconds,
                                                        mark.substr(0, mark.size() - 2)))
                     : std::nullopt;
    };
    if (const auto mean = number("mean: ")) summary.mean_ms = mean;
    for (const auto& [mark, q] : quantiles)
        if (const auto value = number(mark))
            if (q != 0.99 || message.find("at 99%") != std::string_view::npos)
                summary.set_quantile(q, *value);
    return summary.mean_ms || summary.median_ms;
}

class LogReader {
  public:
    LogReader(TelemetryFile& file, Samples& samples)
        : file_(file), samples_(samples), benchmark_(file.its_benchmark()) {}

    void take(std::int64_t line, std::string_view text) {
        if (text.find("=== Performance summary ===") != std::string_view::npos) finish();
        if (text.find("Timing trace has ") != std::string_view::npos) {
            finish();
            const auto runs = number_behind(text, "Timing trace has ");
            constexpr double most = 1e15;
            if (runs && *runs >= 1.0 && *runs <= most) runs_ = static_cast<std::int64_t>(*runs);
        }
        take_label(text, "Precision: ", "precision");
        take_label(text, "TensorRT version: ", "tensorrt");
        if (text.find("GPU compute time is unstable") != std::string_view::npos)
            file_.doubts.push_back(
                file_.name + ": trtexec says that the GPU's compute time is unstable; lock its "
                             "clocks or measure for longer");
        take_old(line, text);
        if (const auto list = list_of(text, "Latency: ")) take_summary(line, *list, latency_);
        if (const auto list = list_of(text, "GPU Compute Time: ")) take_summary(line, *list, gpu_);
    }

    /// Adds the summary that was read last.
    void finish() {
        if (!latency_ && gpu_)
            file_.remarks.push_back(file_.name + ": has no line of latencies; the GPU's compute "
                                                 "time is taken");
        auto& told = latency_ ? latency_ : gpu_;
        if (!told) return;
        told->runs = runs_;
        add_summary(file_, samples_, benchmark_, *told);
        latency_.reset();
        gpu_.reset();
        runs_ = 1;
    }

  private:
    /// What follows `name`, if it is a name of its own: "Latency", not "H2D Latency".
    static std::optional<std::string_view> list_of(std::string_view text, std::string_view name) {
        const std::size_t at = text.find(name);
        if (at == std::string_view::npos) return std::nullopt;
        const std::string_view before = trimmed(text.substr(0, at));
        if (!before.empty() && !before.ends_with(']')) return std::nullopt;
        const std::string_view list = text.substr(at + name.size());
        return list.find("min = ") == std::string_view::npos ? std::nullopt : std::optional(list);
    }

    /// TensorRT 7 and before: a line names what the lines behind it are of.
    void take_old(std::int64_t line, std::string_view text) {
        const std::size_t prefix = text.find("] ");
        const std::size_t last = text.rfind("] ");
        const std::string_view message =
            trimmed(prefix == std::string_view::npos ? text : text.substr(last + 2));
        if (message == "Host Latency") finish();
        if (message.find(':') == std::string_view::npos) {
            of_old_ = message == "Host Latency"  ? &latency_
                      : message == "GPU Compute" ? &gpu_
                                                 : nullptr;
            old_ = {};
            return;
        }
        if (of_old_ == nullptr) return;
        try {
            const bool is_new = !*of_old_;
            if (!take_old_line(message, old_)) return;
            *of_old_ = old_;
            if (is_new) ++file_.rows;
        } catch (const BadLine& bad) {
            ++file_.rows;
            file_.rejected.add(line, bad);
            of_old_ = nullptr;
        }
    }

    void take_summary(std::int64_t line, std::string_view list,
                      std::optional<LatencySummary>& summary) {
        file_.take_row(line, [&] { summary = summary_of(list); });
    }

    void take_label(std::string_view text, std::string_view mark, const char* label) {
        const auto value = text_behind(text, mark);
        if (!value) return;
        const std::string told(trimmed(*value));
        if (is_name(told)) samples_.add_label(samples_.device(file_.its_device()), label, told);
    }

    TelemetryFile& file_;
    Samples& samples_;
    std::string benchmark_;
    std::optional<LatencySummary> latency_;
    std::optional<LatencySummary> gpu_;
    std::optional<LatencySummary>* of_old_ = nullptr; ///< what old lines are of
    LatencySummary old_;                              ///< what they told so far
    std::int64_t runs_ = 1;
};

} // namespace

bool is_trtexec_log(std::string_view beginning) {
    constexpr std::string_view marks[] = {"TensorRT.trtexec",
                                          "=== Performance summary ===", "GPU Compute Time: min = ",
                                          " Latency: min = ", "[I] Host Latency"};
    return has_any(beginning, marks);
}

void read_trtexec_log(TelemetryFile& file, Samples& samples) {
    LogReader reader(file, samples);
    LineReader lines(file.input, file.name);
    for (std::string line; lines.next(line);)
        reader.take(lines.line(), lines.has_end() ? line : without_last_word(line));
    reader.finish();
    if (file.rows == 0)
        file.fail("no performance summary of trtexec; expected a line such as 'Latency: min = 1 "
                  "ms, …, median = 2 ms'; was the log cut, or did the run fail?");
}

} // namespace hdap::fleet
