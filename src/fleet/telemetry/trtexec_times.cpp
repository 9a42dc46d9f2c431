#include "fleet/telemetry/format.hpp"
#include "fleet/telemetry/json_records.hpp"
#include "fleet/telemetry/log_text.hpp"
#include "hdap/core/text.hpp"

#include <fmt/format.h>

namespace hdap::fleet {
namespace {

constexpr double usual_warm_up_ms = 200.0;

/// The number of the first of these keys that is there.
std::optional<double> first_number(const JsonRecord& record,
                                   std::initializer_list<std::string_view> keys) {
    for (const std::string_view key : keys)
        if (const auto value = record.number(key)) return value;
    return std::nullopt;
}

/// Copying in, computing, copying out. Versions differ in what they call it.
double latency_ms_of(const JsonRecord& record) {
    const auto compute = record.number("computeMs");
    auto latency = record.number("latencyMs");
    if (!latency && compute)
        latency = *compute + first_number(record, {"h2dMs", "inMs"}).value_or(0.0) +
                  first_number(record, {"d2hMs", "outMs"}).value_or(0.0);
    if (!latency)
        throw BadLine("neither latencyMs nor computeMs", "neither latencyMs nor computeMs");
    return checked_latency_ms(*latency, LatencyUnit::milliseconds, "latencyMs");
}

class TimesReader {
  public:
    TimesReader(TelemetryFile& file, const WarmUpRule& rule) : file_(file), rule_(rule) {}

    void take(const JsonRecord& record) {
        file_.take_row(record.line, [&] {
            record.check();
            const double latency_ms = latency_ms_of(record);
            const auto start = record.number("startComputeMs");
            check_clock(record, start);
            if (warming_up(start)) return;
            log_.add(latency_ms);
        });
    }

    [[nodiscard]] const LatencyAccumulator& log() const { return log_; }

  private:
    /// Rows are in the order in which inferences began to copy their input.
    void check_clock(const JsonRecord& record, std::optional<double> start) {
        const auto begin = first_number(record, {"startH2dMs", "startInMs", "startComputeMs"});
        const auto end = record.number("endComputeMs");
        const bool is_back = begin && before_ && *begin < *before_;
        before_ = begin;
        if (is_back || (start && end && *end < *start))
            throw BadLine("the clock goes backwards",
                          is_back ? "it begins before the inference in the row before"
                                  : "its computation ends before it begins");
    }

    bool warming_up(std::optional<double> start) {
        if (rule_.runs > 0) return seen_++ < rule_.runs;
        return start && *start < rule_.ms;
    }

    TelemetryFile& file_;
    WarmUpRule rule_;
    LatencyAccumulator log_;
    std::optional<double> before_;
    std::int64_t seen_ = 0; ///< inferences, warm-up among them
};

} // namespace

bool is_trtexec_times(std::string_view beginning) {
    beginning = from_first_text(beginning);
    constexpr std::size_t enough = 4096;
    constexpr std::string_view keys[] = {"\"startComputeMs\"", "\"computeMs\"", "\"latencyMs\""};
    return beginning.starts_with('[') && has_any(beginning.substr(0, enough), keys);
}

void read_trtexec_times(TelemetryFile& file, Samples& samples) {
    const std::string& benchmark = file.its_benchmark();
    const WarmUpRule rule = warm_up_rule(file, {.ms = usual_warm_up_ms});
    TimesReader reader(file, rule);
    const JsonEnd end = read_json_list(file.input, file.name, 1,
                                       [&](const JsonRecord& record) { reader.take(record); });
    if (file.rows == 0 && end != JsonEnd::within_element)
        file.fail("no inference in it; expected a list of objects with latencyMs");
    if (end != JsonEnd::closed) {
        ++file.rows;
        file.rejected.add(file.rows, BadLine("the file is cut", "the file ends in the middle"));
    }
    add_log(file, samples, benchmark, reader.log());
    if (reader.log().runs() == 0 && file.rejected.count() < file.rows)
        file.fail(fmt::format("all {} are left out as warm-up ({}); --warm-up 0 counts them",
                              core::counted(file.rows, "inference"),
                              file.warm_up_used.empty() ? "before 200 ms" : file.warm_up_used));
}

} // namespace hdap::fleet
