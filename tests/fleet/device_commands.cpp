#include "fleet/sources/device_commands.hpp"

#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <cmath>

using namespace hdap;
using namespace hdap::fleet;

namespace {

CandidateMeasurement printed(const std::string& output) {
    CandidateMeasurement measurement;
    read_printed_latency(output, measurement);
    return measurement;
}

} // namespace

TEST_CASE("a latency is read from the last line that a program prints, with its unit") {
    for (const char* text : {"", "\n\n", "12.5", "done", "latency: fast ms", "ms", "12,5 ms",
                             "12.5 mb", "0 ms", "-3 ms", "nan ms", "1e999 ms", "12.5 ms\nbye"})
        CHECK_THROWS_AS(printed(text), core::DataError);
    CHECK(printed("12.5 ms").latency_ms == 12.5);
    CHECK(printed("warming up\nmean latency: 12.5ms\n\n").latency_ms == 12.5);
    CHECK(printed("1.5e3 us\r\n").latency_ms == 1.5);
    CHECK(printed("x=0.5 s").latency_ms == 500.0);
    const CandidateMeasurement table = printed("run,latency_us\n0,1\n1,3\n2,9\n");
    CHECK(table.latency_ms == 0.003);
    CHECK(table.runs == 3);
    CHECK_THROWS_WITH(printed("12.5"), Catch::Contains("'12.5' last"));
}

TEST_CASE("a command for continuous load gets its seconds, and a call takes as much longer") {
    const LatencyCommand usual{.command = "measure {network}", .timeout_seconds = 20};
    for (const char* command : {"", "measure", "measure {networks}", "{network} {networks}"})
        CHECK_THROWS_WITH(sustained_command(usual, {.seconds = 60, .command = command}),
                          Catch::Contains("latency.sustained_command is '" + std::string(command)));
    const LatencyCommand command = sustained_command(
        usual, {.seconds = 0.5, .command = "ssh {device} time {network} --sustained {seconds}s"});
    CHECK(command.command == "ssh {device} time {network} --sustained '0.5's");
    CHECK(command.timeout_seconds == 20.5);
    CHECK(command.setting == "latency.sustained_command");
}

TEST_CASE("a table has the latencies of several candidates, and what it lacks has failed") {
    std::array<CandidateMeasurement, 3> measurements;
    measurements[0].candidate = "c-00000000000a";
    measurements[1].candidate = "c-00000000000b";
    measurements[2].candidate = "c-00000000000c";
    read_printed_table("benchmark,latency_us\nc-00000000000b,3\nnets/c-00000000000a.onnx,1\n"
                       "c-00000000000b,5\n",
                       measurements);
    CHECK(measurements[0].latency_ms == 0.001);
    CHECK(measurements[1].latency_ms == 0.004);
    CHECK(measurements[1].runs == 2);
    CHECK(std::isnan(measurements[2].latency_ms));
    CHECK_THAT(measurements[2].failure, Catch::Contains("not in the table"));
    for (const char* text : {"", "12.5 ms", "benchmark,latency\nc-00000000000a,3\n"})
        CHECK_THROWS_AS(read_printed_table(text, measurements), core::DataError);
}
