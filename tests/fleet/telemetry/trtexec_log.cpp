#include "imported.hpp"

#include <catch2/catch.hpp>

using namespace hdap;
using namespace hdap::fleet;
using namespace hdap::fleet::test;

namespace {

const std::string summary =
    "[02/03/2024-10:11:12] [I] === Performance summary ===\n"
    "[02/03/2024-10:11:12] [I] Throughput: 400 qps\n"
    "[02/03/2024-10:11:12] [I] Latency: min = 2.25 ms, max = 9 ms, mean = 2.75 ms, median = 2.5 "
    "ms, percentile(90%) = 3 ms, percentile(95%) = 4 ms, percentile(99%) = 5 ms\n"
    "[02/03/2024-10:11:12] [I] Enqueue Time: min = 1 ms, max = 2 ms, mean = 1 ms, median = 1 ms\n"
    "[02/03/2024-10:11:12] [I] H2D Latency: min = 0.1 ms, max = 0.2 ms, mean = 0.1 ms, median = "
    "0.1 ms, percentile(99%) = 0.2 ms\n"
    "[02/03/2024-10:11:12] [I] GPU Compute Time: min = 2 ms, max = 8 ms, mean = 2.5 ms, median = "
    "2.25 ms, percentile(99%) = 4 ms\n";

} // namespace

TEST_CASE("trtexec: logs without a summary are refused") {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"&&&& RUNNING TensorRT.trtexec [TensorRT v8401] # trtexec --onnx=a.onnx\n",
         "no performance summary of trtexec"},
        {"[I] Latency: min = 0 ms, max = 0 ms, mean = 0 ms, median = 0 ms\n", "is 0"},
        {"[I] Latency: min = 1e999 ms, max = x\n", "neither mean nor median"},
        {"[I] GPU Compute Time: min = -1 ms, mean = -1 ms\n", "is -1"},
        {summary.substr(0, 130), "no performance summary of trtexec"},
        {"TensorRT.trtexec " + std::string(70'000, 'x'), "file:1: the line is longer"},
    };
    for (const auto& [text, message] : cases) {
        CHECK_THROWS_AS(imported(text), core::DataError);
        CHECK_THROWS_WITH(imported(text), Catch::Contains(message));
    }
    CHECK_THROWS_AS(imported(summary, with_warm_up("200ms")), core::UsageError);
}

TEST_CASE("trtexec: the log's median and quantiles, without those of copies and of the GPU") {
    const Imported log = imported("[I] TensorRT version: 8.4.0\n[I] Precision: FP32+FP16\n"
                                  "[I] Timing trace has 1200 queries over 3.0 s\n" +
                                  summary);
    CHECK(log.latency_ms() == 2.5);
    CHECK(log.report.runs == 1200);
    const LatencySpread& spread = log.fleet.spreads[0];
    CHECK(spread.quantile_ms[0] == 2.25F);
    CHECK(std::isnan(spread.quantile_ms[1]));
    CHECK(spread.quantile_ms[2] == 2.5F);
    CHECK(spread.quantile_ms[4] == 3.0F);
    CHECK(spread.quantile_ms[5] == 5.0F);
    CHECK(spread.quantile_ms[6] == 9.0F);
    CHECK(log.fleet.origins[0].statistic == "median that the tool tells");
    REQUIRE(log.fleet.labels.size() == 2);
    CHECK(log.fleet.labels[0].values[0] == "8.4.0");
    CHECK(log.fleet.labels[1].values[0] == "FP32+FP16");
}

TEST_CASE("trtexec: a value whose unit was cut off is not taken") {
    const std::string line = "[I] Latency: min = 1 ms, max = 4 ms, mean = 2 ms, median = 1.";
    const Imported cut = imported(line);
    CHECK(cut.latency_ms() == 2.0);
    CHECK(cut.fleet.origins[0].statistic == "mean that the tool tells");
}

TEST_CASE("trtexec: older logs, instability and the GPU's time where there is no other") {
    const Imported old =
        imported("[I] Latency: min = 1 ms, max = 4 ms, mean = 2 ms, median = 1.5 ms, "
                 "percentile(99%) = 3 ms\n[W] * GPU compute time is unstable, with coefficient of "
                 "variance = 5.26%.\n");
    CHECK(old.latency_ms() == 1.5);
    CHECK_THAT(old.all_doubts(), Catch::Contains("the GPU's compute time is unstable"));
    const Imported gpu = imported("[I] GPU Compute Time: min = 1 ms, max = 4 ms, mean = 2 ms, "
                                  "median = 3 ms\n");
    CHECK(gpu.latency_ms() == 3.0);
    CHECK(gpu.report.remarks.size() == 1);
}

TEST_CASE("trtexec: a log of TensorRT 7, a number per line") {
    const std::string log = "[01/02/2021-03:04:05] [I] Timing trace has 204 queries over 3.0 s\n"
                            "[01/02/2021-03:04:05] [I] Host Latency\n"
                            "[01/02/2021-03:04:05] [I] min: 4 ms (end to end 8 ms)\n"
                            "[01/02/2021-03:04:05] [I] max: 7 ms (end to end 8 ms)\n"
                            "[01/02/2021-03:04:05] [I] mean: 5 ms (end to end 8 ms)\n"
                            "[01/02/2021-03:04:05] [I] median: 4.5 ms (end to end 8 ms)\n"
                            "[01/02/2021-03:04:05] [I] percentile: 6 ms at 99% (end to end 8 ms)\n"
                            "[01/02/2021-03:04:05] [I] throughput: 0 qps\n"
                            "[01/02/2021-03:04:05] [I] Enqueue Time\n"
                            "[01/02/2021-03:04:05] [I] median: 1 ms\n"
                            "[01/02/2021-03:04:05] [I] GPU Compute\n"
                            "[01/02/2021-03:04:05] [I] median: 2 ms\n";
    const Imported old = imported(log);
    CHECK(old.latency_ms() == 4.5);
    CHECK(old.report.runs == 204);
    CHECK(old.fleet.spreads[0].quantile_ms[0] == 4.0F);
    CHECK(old.fleet.spreads[0].quantile_ms[5] == 6.0F);
    CHECK(old.fleet.spreads[0].quantile_ms[6] == 7.0F);
    CHECK(imported(log + log).report.runs == 408);
    std::string bad = log;
    bad.replace(bad.find("4.5 ms"), 3, "nan");
    const Imported mean = imported(bad);
    CHECK(mean.latency_ms() == 5.0);
    CHECK(mean.report.rejected[0].reason == "median is not positive, or out of range");
}

TEST_CASE("trtexec: several summaries in a log are several measurements") {
    const Imported both = imported(summary + "[I] === Performance summary ===\n[I] Latency: min = "
                                             "1 ms, max = 9 ms, mean = 3 ms, median = 3.5 ms\n");
    CHECK(both.latency_ms() == 3.0);
    CHECK(both.report.runs == 2);
}
