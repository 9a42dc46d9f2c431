#include "fleet/telemetry/format.hpp"
#include "fleet/telemetry/line_reader.hpp"
#include "fleet/telemetry/log_text.hpp"
#include "hdap/core/text.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>

namespace hdap::fleet {
namespace {

/// A line of the file: model_name,seconds,peak_workingset,avg_cpu,run.
struct Run {
    std::string model;
    double seconds = 0.0;
    std::int64_t number = 0;
};

std::optional<std::int64_t> whole_number(std::string_view text) {
    std::int64_t value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
    return value;
}

/// The line as a run; the name may have commas in it.
std::optional<Run> run_in(std::string_view line) {
    std::array<std::string_view, 4> last; // seconds, peak_workingset, avg_cpu, run
    for (std::size_t i = last.size(); i-- > 0;) {
        const std::size_t comma = line.find_last_of(',');
        if (comma == std::string_view::npos) return std::nullopt;
        last[i] = trimmed(line.substr(comma + 1));
        line = line.substr(0, comma);
    }
    const auto seconds = plain_number(std::string(last[0]));
    const auto number = whole_number(last[3]);
    if (!seconds || !number || *number < 0 || !whole_number(last[1]) || !whole_number(last[2]))
        return std::nullopt;
    return Run{std::string(trimmed(line)), *seconds, *number};
}

/// Whether it is one of the lines of statistics behind the runs.
bool is_statistics(std::string_view line) {
    constexpr std::string_view marks[] = {"Latency", "Avg CPU usage", "Peak working set", "Runs:"};
    return has_any(line, marks);
}

class ResultReader {
  public:
    ResultReader(TelemetryFile& file, Samples& samples, std::int64_t warm_up)
        : file_(file), samples_(samples), warm_up_(warm_up) {}

    void take(std::int64_t line, std::string_view text, bool has_end) {
        if (is_statistics(text)) return finish();
        file_.take_row(line, [&] {
            const auto run = run_in(text);
            const bool may_be_cut = !has_end && run && run->number != last_run_ + 1;
            if (!run || may_be_cut)
                throw BadLine("no line of model_name,seconds,peak_workingset,avg_cpu,run",
                              fmt::format("{}, expected model_name,seconds,peak_workingset,"
                                          "avg_cpu,run",
                                          shown(text)));
            take_run(*run);
        });
    }

    /// Adds the measurement that was read last.
    void finish() {
        if (log_.runs() > 0) {
            const std::string& benchmark = file_.benchmark ? *file_.benchmark : model_;
            if (!is_name(benchmark)) file_.fail(shown(benchmark) + " names no benchmark");
            add_log(file_, samples_, benchmark, log_);
        }
        log_ = {};
        last_run_ = -1;
    }

  private:
    /// The file is appended to: runs that begin again are of another measurement.
    void take_run(const Run& run) {
        if (run.number <= last_run_ || run.model != model_) finish();
        if (file_.benchmark && !model_.empty() && run.model != model_)
            file_.fail(fmt::format("has runs of the models {} and {}, but the path or --benchmark "
                                   "names one benchmark; leave {{benchmark}} out",
                                   shown(model_), shown(run.model)));
        model_ = run.model;
        last_run_ = run.number;
        const double latency_ms = checked_latency_ms(run.seconds, LatencyUnit::seconds, "seconds");
        if (run.number >= warm_up_) log_.add(latency_ms);
    }

    TelemetryFile& file_;
    Samples& samples_;
    std::int64_t warm_up_;
    std::string model_;
    std::int64_t last_run_ = -1;
    LatencyAccumulator log_;
};

} // namespace

bool is_onnxruntime_perf(std::string_view beginning) {
    beginning = from_first_text(beginning);
    return run_in(beginning.substr(0, beginning.find_first_of("\r\n"))).has_value();
}

void read_onnxruntime_perf(TelemetryFile& file, Samples& samples) {
    const WarmUpRule rule = warm_up_rule(file, {});
    ResultReader reader(file, samples, rule.runs);
    LineReader lines(file.input, file.name);
    for (std::string line; lines.next(line);)
        if (!from_first_text(line).empty())
            reader.take(lines.line(), from_first_text(line), lines.has_end());
    reader.finish();
    if (file.rows == 0)
        file.fail("no run; expected lines of model_name,seconds,peak_workingset,avg_cpu,run");
}

} // namespace hdap::fleet
