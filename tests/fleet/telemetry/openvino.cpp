#include "imported.hpp"

#include <catch2/catch.hpp>

using namespace hdap;
using namespace hdap::fleet;
using namespace hdap::fleet::test;

namespace {

const std::string report = "Command line parameters\nm;model.xml\n\nConfiguration setup\n"
                           "target device;CPU\n\nExecution results\nread model time (ms);5.000000\n"
                           "total number of iterations;1200\ntotal execution time (ms);6000.5\n"
                           "Median latency (ms);4.500000\nPercentile boundary;50\n"
                           "Average latency (ms);4.75\nMin latency (ms);4.000000\n"
                           "Max latency (ms);9.000000\nthroughput;200.000000\n\n";

std::string json(const std::string& results) {
    return "{\n \"cmd_options\": {\"m\": \"model.xml\"},\n \"execution_results\": {" + results +
           "}\n}\n";
}

} // namespace

TEST_CASE("OpenVINO: reports without a latency are refused") {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"Command line parameters\nm;model.xml\n", "no latency in a section"},
        {"Command line parameters\nMedian latency (ms);4\n", "no latency in a section"},
        {"Execution results\nMedian latency (ms);fast\n", "no latency in a section"},
        {"Execution results\nMedian latency (ms);-4\n", "median latency is -4"},
        {"Execution results\nMedian latency (ms);4", "no latency in a section"}, // perhaps cut
        {json(""), "no latency_median and no latency_avg"},
        {json("\"latency_median\": \"fast\""), "'execution_results.latency_median' is no number"},
        {json("\"latency_median\": 0"), "median latency is 0"},
        {json("\"latency_median\": 1e999"), "is no JSON here"},
        {json("\"latency_median\": 4").substr(0, 70), "the file ends in the middle"},
        {"layerName;execStatus;layerType;execType;realTime (ms);cpuTime (ms)\na;b;c;d;1;1\n",
         "no line 'Total'"},
    };
    for (const auto& [text, message] : cases) {
        CHECK_THROWS_AS(imported(text), core::DataError);
        CHECK_THROWS_WITH(imported(text), Catch::Contains(message));
    }
    CHECK_THROWS_AS(imported(report, with_warm_up("1")), core::UsageError);
}

TEST_CASE("OpenVINO: the median of benchmark_report.csv") {
    const Imported csv = imported(report + "Group Latencies\nData shape;Median;Average;Min;Max\n"
                                           "[1,3,224,224];1.00;2.00;1.00;3.00\n");
    CHECK(csv.latency_ms() == 4.5);
    CHECK(csv.report.runs == 1200);
    CHECK(csv.fleet.spreads[0].quantile_ms[0] == 4.0F);
    CHECK(csv.fleet.spreads[0].quantile_ms[2] == 4.5F);
    CHECK(csv.fleet.spreads[0].quantile_ms[6] == 9.0F);
    CHECK(csv.fleet.origins[0].tool == "OpenVINO benchmark_app, benchmark_report.csv");
    // An older version.
    CHECK(imported("Execution results\nlatency (ms);3.25\nthroughput;9\n").latency_ms() == 3.25);
}

TEST_CASE("OpenVINO: with another percentile than the median, the mean is the latency") {
    std::string text = report;
    text.replace(text.find("boundary;50"), 11, "boundary;90");
    const Imported csv = imported(text);
    CHECK(csv.latency_ms() == 4.75);
    CHECK(csv.fleet.spreads[0].quantile_ms[4] == 4.5F);
    CHECK(csv.fleet.origins[0].statistic == "mean that the tool tells");
}

TEST_CASE("OpenVINO: the report of -json_stats") {
    const Imported stats =
        imported(json("\"iterations_num\": 64, \"latency_avg\": 7, \"latency_max\": 9, "
                      "\"latency_median\": 6.5, \"latency_min\": 6, \"percentile_boundary\": 50, "
                      "\"group_latencies\": [{\"latency_median\": 1}], \"throughput\": 3"));
    CHECK(stats.latency_ms() == 6.5);
    CHECK(stats.report.runs == 64);
    CHECK(imported(json("\"latency_average\": 7")).latency_ms() == 7.0);
}

TEST_CASE("OpenVINO: the sums of counters") {
    const Imported counters =
        imported("layerName;execStatus;layerType;execType;realTime (ms);cpuTime (ms)\n"
                 "conv;EXECUTED;Convolution;jit_avx2;1.5;1.5\nTotal;;;;2.5;2.5\n\n"
                 "layerName;execStatus;layerType;execType;realTime (ms);cpuTime (ms)\n"
                 "conv;EXECUTED;Convolution;jit_avx2;3;3\nTotal;;;;3.5;3.5\n");
    CHECK(counters.latency_ms() == 3.0);
    CHECK(counters.fleet.origins[0].statistic == "median of the sums of the layers' times");
}
