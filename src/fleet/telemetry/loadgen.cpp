#include "fleet/telemetry/format.hpp"
#include "fleet/telemetry/json_records.hpp"
#include "fleet/telemetry/line_reader.hpp"
#include "fleet/telemetry/log_text.hpp"
#include "hdap/core/text.hpp"

#include <fmt/format.h>

namespace hdap::fleet {
namespace {

constexpr std::string_view mark = ":::MLLOG ";

struct QuantileKey {
    std::string_view key;
    double q;
};
constexpr QuantileKey quantile_keys[] = {
    {"result_min_latency_ns", 0.0},
    {"result_50.00_percentile_latency_ns", 0.5},
    {"result_90.00_percentile_latency_ns", 0.9},
    {"result_99.00_percentile_latency_ns", 0.99},
    {"result_max_latency_ns", 1.0},
};

class LogReader {
  public:
    explicit LogReader(TelemetryFile& file) : file_(file) {}

    void take(std::int64_t line, std::string_view text) {
        const auto json = text_behind(text, mark);
        if (!json) return;
        file_.take_row(line, [&] { take_entry(parse_json_object(*json, 1)); });
    }

    [[nodiscard]] const LatencySummary& summary() const { return summary_; }

  private:
    void take_entry(const JsonRecord& entry) {
        entry.check();
        const auto key = entry.text("key");
        if (!key) throw BadLine("no key", "an entry without a key");
        if (*key == "result_validity") take_validity(entry.text("value").value_or(""));
        if (*key == "requested_scenario" || *key == "effective_scenario")
            take_scenario(entry.text("value").value_or(""));
        if (*key == "result_query_count") take_count(entry.number("value"));
        if (*key == "result_mean_latency_ns") summary_.mean_ms = latency_ms(entry, *key);
        for (const QuantileKey& quantile : quantile_keys)
            if (*key == quantile.key) summary_.set_quantile(quantile.q, latency_ms(entry, *key));
    }

    static double latency_ms(const JsonRecord& entry, const std::string& key) {
        const auto value = entry.number("value");
        if (!value) throw BadLine("no value", fmt::format("{} has no value", shown(key)));
        return checked_latency_ms(*value, LatencyUnit::nanoseconds, key);
    }

    void take_validity(const std::string& validity) {
        if (validity == "VALID") return;
        file_.doubts.push_back(
            fmt::format("{}: LoadGen's result is {}, not VALID: too few queries, or too slow ones?",
                        file_.name, shown(validity)));
    }

    void take_scenario(const std::string& scenario) {
        if (scenario != "Offline" || is_offline_) return;
        is_offline_ = true;
        file_.doubts.push_back(
            file_.name + ": scenario Offline: latencies are of a whole batch of queries that begin "
                         "together, not of one inference");
    }

    void take_count(std::optional<double> count) {
        constexpr double most = 1e15;
        if (count && *count >= 1.0 && *count <= most)
            summary_.runs = static_cast<std::int64_t>(*count);
    }

    TelemetryFile& file_;
    LatencySummary summary_;
    bool is_offline_ = false;
};

} // namespace

bool is_loadgen(std::string_view beginning) {
    return from_first_text(beginning).starts_with(mark) ||
           beginning.find("\n:::MLLOG ") != std::string_view::npos;
}

void read_loadgen(TelemetryFile& file, Samples& samples) {
    const std::string& benchmark = file.its_benchmark();
    LogReader reader(file);
    LineReader lines(file.input, file.name);
    for (std::string line; lines.next(line);)
        reader.take(lines.line(), line);
    if (!reader.summary().mean_ms && !reader.summary().median_ms)
        file.fail("no result_mean_latency_ns and no result_50.00_percentile_latency_ns; expected "
                  "LoadGen's mlperf_log_detail.txt of a run that ended");
    add_summary(file, samples, benchmark, reader.summary());
}

} // namespace hdap::fleet
