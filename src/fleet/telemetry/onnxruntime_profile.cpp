#include "fleet/telemetry/format.hpp"
#include "fleet/telemetry/json_records.hpp"
#include "fleet/telemetry/log_text.hpp"
#include "hdap/core/text.hpp"

#include <fmt/format.h>

namespace hdap::fleet {

bool is_onnxruntime_profile(std::string_view beginning) {
    beginning = from_first_text(beginning);
    const std::string_view first = beginning.substr(0, 4096);
    return beginning.starts_with('[') && first.find("\"ph\"") != std::string_view::npos &&
           first.find("\"dur\"") != std::string_view::npos;
}

void read_onnxruntime_profile(TelemetryFile& file, Samples& samples) {
    const std::string& benchmark = file.its_benchmark();
    const std::int64_t warm_up = warm_up_rule(file, {.runs = 1}).runs;
    LatencyAccumulator log;
    const auto take = [&](const JsonRecord& event) {
        if (event.text("name") != "model_run") return;
        file.take_row(event.line, [&] {
            event.check();
            const auto duration = event.number("dur");
            if (!duration) throw BadLine("no dur", "the event model_run has no dur");
            const double latency_ms =
                checked_latency_ms(*duration, LatencyUnit::microseconds, "dur");
            if (file.rows > warm_up) log.add(latency_ms);
        });
    };
    // ONNX Runtime closes the list when the session ends, if it comes to that.
    const JsonEnd end = read_json_list(file.input, file.name, 1, take);
    if (file.rows == 0)
        file.fail("no event model_run; expected ONNX Runtime's profile of a session that ran");
    if (end == JsonEnd::within_element)
        file.doubts.push_back(file.name + ": ends in the middle of an event, which was left out");
    add_log(file, samples, benchmark, log);
    if (log.runs() == 0 && file.rows <= warm_up)
        file.fail(fmt::format("all {} are left out as warm-up; --warm-up 0 counts them",
                              core::counted(file.rows, "inference")));
}

} // namespace hdap::fleet
