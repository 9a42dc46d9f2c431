#include "fleet/telemetry/format.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/format.h>

namespace hdap::fleet {

const std::string& TelemetryFile::its_device() const {
    if (device) return *device;
    fail("does not tell its device; name it by {device} in the path, "
         "'logs/{device}/{benchmark}.json', or by --device");
}

const std::string& TelemetryFile::its_benchmark() const {
    if (benchmark) return *benchmark;
    fail("does not tell its benchmark; name it by {benchmark} in the path, "
         "'logs/{device}/{benchmark}.json', or by --benchmark");
}

void TelemetryFile::take_row(std::int64_t line, const std::function<void()>& use) {
    ++rows;
    try {
        use();
    } catch (const BadLine& bad) {
        rejected.add(line, bad);
    }
}

void TelemetryFile::use_unit(LatencyUnit used) {
    const std::string text(name_of(used));
    if ((", " + unit_used + ",").find(", " + text + ",") != std::string::npos) return;
    unit_used += (unit_used.empty() ? "" : ", ") + text;
}

void TelemetryFile::fail(const std::string& message) const {
    throw core::DataError(fmt::format("{}: {}", name, message));
}

void add_log(const TelemetryFile& file, Samples& samples, const std::string& benchmark,
             const LatencyAccumulator& log) {
    const std::string& device = file.its_device();
    if (log.runs() == 0 || !samples.wants(benchmark)) return;
    samples.add_log(samples.device(device), samples.benchmark(benchmark), log, file.name);
}

void add_summary(TelemetryFile& file, Samples& samples, const std::string& benchmark,
                 const LatencySummary& summary) {
    const std::string& device = file.its_device();
    file.statistic = summary.median_ms ? "median that the tool tells" : "mean that the tool tells";
    if (!samples.wants(benchmark)) return;
    samples.add_summary(samples.device(device), samples.benchmark(benchmark), summary, file.name);
}

WarmUpRule warm_up_rule(TelemetryFile& file, const WarmUpRule& usual) {
    if (file.warm_up.ms) {
        file.warm_up_used =
            fmt::format("inferences that began before {} ms", core::shortest(*file.warm_up.ms));
        return {.ms = *file.warm_up.ms};
    }
    if (file.warm_up.runs) {
        file.warm_up_used =
            *file.warm_up.runs == 0
                ? "nothing"
                : fmt::format("the first {}", core::counted(*file.warm_up.runs, "inference"));
        return {.runs = *file.warm_up.runs};
    }
    return usual;
}

} // namespace hdap::fleet
