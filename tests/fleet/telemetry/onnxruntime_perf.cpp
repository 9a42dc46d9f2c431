#include "imported.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

using namespace hdap;
using namespace hdap::fleet;
using namespace hdap::fleet::test;

namespace {

const std::string runs = "resnet18,0.004,93720576,52,0\nresnet18,0.002,93720576,52,1\n"
                         "resnet18,0.0025,93720576,52,2\n";

ImportRequest of_device() {
    ImportRequest request;
    request.device = "pi-4";
    return request;
}

} // namespace

TEST_CASE("onnxruntime_perf_test: files without usable runs are refused") {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"net,0,5,5,0\n", "seconds is 0"},
        {"net,-1,5,5,0\n", "seconds is -1"},
        {"net,nan,5,5,0\n", "seconds is nan"},
        {"net,0.1,5,5,0\nnet,1e999,5,5,1\nnet,0.1,5\nx\n", "3 × no line of model_name"},
        {"net,0.1,5,5,0\n" + std::string(70'000, 'x'), "file:2: the line is longer"},
        {fmt::format("{:x>300},0.1,5,5,0\n", ""), "names no benchmark"},
    };
    for (const auto& [text, message] : cases) {
        CHECK_THROWS_AS(imported(text, of_device()), core::DataError);
        CHECK_THROWS_WITH(imported(text, of_device()), Catch::Contains(message));
    }
    CHECK_THROWS_AS(imported(runs, with_warm_up("200ms")), core::UsageError);
    CHECK_THROWS_AS(imported(runs, with_unit(LatencyUnit::milliseconds)), core::UsageError);
}

TEST_CASE("onnxruntime_perf_test: the median of the runs, and the model's name") {
    const Imported result = imported(runs, of_device());
    CHECK(result.latency_ms() == 2.5);
    CHECK(result.fleet.benchmark_names[0] == "resnet18");
    CHECK(result.fleet.origins[0].unit == "s");
    CHECK(result.report.runs == 3);
    CHECK(imported(runs).fleet.benchmark_names[0] == "net");
    CHECK(imported(runs, with_warm_up("1")).latency_ms() == 2.25);
    CHECK(imported("a,b.onnx,0.001,5,5,0\r\n", of_device()).fleet.benchmark_names[0] == "a,b.onnx");
}

TEST_CASE("onnxruntime_perf_test: lines of statistics end a measurement") {
    const Imported twice = imported(runs + "P50 Latency is 0.0025sec\nMin Latency: 0.002 s\n" +
                                        "resnet18,0.009,9,5,0\nresnet18,0.009,9,5,1\n",
                                    of_device());
    CHECK(twice.report.runs == 5);
    CHECK(twice.report.rejected_rows == 0);
    CHECK_THAT(twice.all_doubts(), Catch::Contains("contradicts"));
}

TEST_CASE("onnxruntime_perf_test: measurements that were appended, of several models") {
    const std::string both = runs + "mobilenet,0.001,9,5,0\n" + runs;
    const Imported result = imported(both, of_device());
    CHECK(result.fleet.benchmark_names == std::vector<std::string>{"resnet18", "mobilenet"});
    CHECK(result.fleet.spreads[0].runs == 6);
    CHECK_THROWS_WITH(imported(both), Catch::Contains("leave {benchmark} out"));
}

TEST_CASE("onnxruntime_perf_test: a last line that was cut is not used") {
    const Imported cut = imported(runs + "resnet18,0.0", of_device());
    CHECK(cut.report.runs == 3);
    CHECK(cut.report.rejected_rows == 1);
    CHECK(imported(runs + "resnet18,0.003,9,5,3", of_device()).report.runs == 4);
    CHECK(imported(runs + "resnet18,0.003,9,5,1", of_device()).report.rejected_rows == 1);
}

TEST_CASE("onnxruntime_perf_test: tables with column names are read as such") {
    const Imported table = imported("device_id,benchmark,run,latency_ms,x\na,r,0,5,7\n");
    CHECK(table.fleet.device_ids[0] == "a");
}
