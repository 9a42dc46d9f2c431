#include "imported.hpp"

#include <catch2/catch.hpp>

using namespace hdap;
using namespace hdap::fleet;
using namespace hdap::fleet::test;

namespace {

const std::string new_log =
    "INFO: STARTING!\nINFO: Graph: [/data/local/tmp/mobilenet_v2.tflite]\n"
    "INFO: Loaded model /data/local/tmp/mobilenet_v2.tflite\n"
    "INFO: Initialized session in 5.6ms.\n"
    "INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if "
    "exceeding 150 seconds.\n"
    "INFO: count=9 first=87112 curr=51629 min=51629 max=87112 avg=58147.4 std=11478 p5=51629 "
    "median=51962 p95=87112\n\n"
    "INFO: Running benchmark for at least 50 iterations and at least 1 seconds but terminate if "
    "exceeding 150 seconds.\n"
    "INFO: count=50 first=12500 curr=12000 min=11000 max=1.9e+04 avg=1.3e+04 std=400 p5=11000 "
    "median=12250 p95=15000\n\n"
    "INFO: Inference timings in us: Init: 5600, First inference: 87112, Warmup (avg): 58147.4, "
    "Inference (avg): 1.3e+04\n";

std::string without_median(std::string log) {
    for (const char* median : {"median=51962 ", "median=12250 "})
        log.erase(log.find(median), std::string(median).size());
    return log;
}

} // namespace

TEST_CASE("TensorFlow Lite: logs without a measurement are refused") {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"STARTING!\n", "no measurement"},
        {new_log.substr(0, new_log.find("INFO: count=50")), "the log ends behind the warm-up"},
        {"STARTING!\ncount=1 curr=5\ncount=0 avg=5\n", "count= has no number of runs"},
        {"STARTING!\ncount=1 curr=5\ncount=5 avg=-5\n", "avg is -5"},
        {"STARTING!\ncount=1 curr=5\ncount=5 avg=nan\n", "avg is nan"},
        {"STARTING!\ncount=1 curr=5\ncount=5 avg=1e999\n", "avg= has no number behind it"},
        {"Inference timings in us: Init: 5, Inference (avg): 0\n", "is 0"},
    };
    for (const auto& [text, message] : cases) {
        CHECK_THROWS_AS(imported(text), core::DataError);
        CHECK_THROWS_WITH(imported(text), Catch::Contains(message));
    }
    CHECK_THROWS_AS(imported(new_log, with_warm_up("1")), core::UsageError);
}

TEST_CASE("TensorFlow Lite: the second line of counts is the measurement, its median the latency") {
    const Imported log = imported(new_log);
    CHECK(log.latency_ms() == 12.25);
    CHECK(log.report.runs == 50);
    CHECK(log.fleet.spreads[0].quantile_ms[0] == 11.0F);
    CHECK(log.fleet.spreads[0].quantile_ms[6] == 19.0F);
    CHECK(log.fleet.origins[0].unit == "us");
    CHECK(log.fleet.origins[0].statistic == "median that the tool tells");
    const Imported mean = imported(without_median(new_log));
    CHECK(mean.latency_ms() == 13.0);
    CHECK(mean.fleet.origins[0].statistic == "mean that the tool tells");
}

TEST_CASE("TensorFlow Lite: the graph names the benchmark where the path does not") {
    ImportRequest request;
    request.device = "pixel";
    CHECK(imported(new_log, request).fleet.benchmark_names[0] == "mobilenet_v2");
    CHECK(imported(new_log).fleet.benchmark_names[0] == "net");
    CHECK_THROWS_WITH(imported("Inference timings in us: Inference (avg): 5\n", request),
                      Catch::Contains("does not tell its benchmark"));
}

TEST_CASE("TensorFlow Lite: summaries of all versions, behind any prefix") {
    for (const std::string line : {
             "Average inference timings in us: Warmup: 91471, Init: 4108, Inference: 80660.1",
             "01-02 03:04:05.678  123  456 I tflite  : Average inference timings in us: Warmup: 1, "
             "Init: 2, no stats: 8.06601e+04",
             "I/tflite: Inference timings in us: Init: 5579, First inference: 7, Warmup (avg): "
             "1.3e+06, Inference (avg): 80660.1",
         })
        CHECK(imported(line + "\n").latency_ms() == Approx(80.6601));
    CHECK(imported("STARTING!\ncount=4 curr=7000 (all same)\ncount=5 curr=6000 (all same)\n")
              .latency_ms() == 6.0);
}

TEST_CASE("TensorFlow Lite: what operators take is no measurement") {
    CHECK(imported("STARTING!\ncount=1 curr=9000\nTimings (microseconds): count=50 first=1 curr=2 "
                   "min=1 max=3 avg=2 std=0\nMemory (bytes): count=0\ncount=50 first=1 curr=5 "
                   "min=4000 max=6000 avg=5000 std=0\n")
              .latency_ms() == 5.0);
}

TEST_CASE("TensorFlow Lite: a number at the end of a log that was cut is not taken") {
    const std::size_t average = new_log.find("avg=1.3e+04") + std::string("avg=1.3e").size();
    CHECK_THROWS_WITH(imported(without_median(new_log).substr(0, average - 13)),
                      Catch::Contains("no number behind it") || Catch::Contains("no measurement") ||
                          Catch::Contains("the log ends"));
}

TEST_CASE("TensorFlow Lite: operators that fall back to the processor are told") {
    const std::string whole = "Replacing 64 out of 64 node(s) with delegate (TfLiteGpuDelegateV2) "
                              "node, yielding 1 partitions.\n";
    CHECK(imported(whole + new_log).report.doubts.empty());
    CHECK_THAT(imported("INFO: Replacing 60 out of 64 node(s) with delegate (TfLiteGpuDelegateV2) "
                        "node, yielding 2 partitions for the whole graph.\n" +
                        new_log)
                   .all_doubts(),
               Catch::Contains("60 of 64 operators run on the delegate"));
}

TEST_CASE("TensorFlow Lite: several runs in a log are several measurements") {
    std::string second = new_log;
    second.replace(second.find("mobilenet_v2"), 12, "resnet");
    ImportRequest request;
    request.device = "pixel";
    const Imported both = imported(new_log + second, request);
    CHECK(both.fleet.benchmark_names == std::vector<std::string>{"mobilenet_v2", "resnet"});
    CHECK(imported(new_log + new_log).report.runs == 100);
}
