#include "imported.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <fstream>

using namespace hdap;
using namespace hdap::fleet;
using namespace hdap::fleet::test;

namespace {

std::string pair(const std::string& labels, double time_us, double count) {
    return fmt::format("nv_inference_request_success{{{0}}} {2}\n"
                       "nv_inference_exec_count{{{0}}} 1\n"
                       "nv_inference_compute_infer_duration_us{{{0}}} {1}\n",
                       labels, time_us, count);
}

const std::string resnet = "model=\"resnet\",version=\"1\"";

ImportRequest of_device() {
    ImportRequest request;
    request.device = "node-1";
    return request;
}

} // namespace

TEST_CASE("Prometheus: text without usable counters is refused") {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"# HELP x y\n", "neither counters of Triton"},
        {"# TYPE x counter\nx{a=\"b\"} 5\ny_seconds_sum 5\n", "perhaps y_seconds"},
        {pair(resnet, -1, NAN), "success is nan, expected a number that is at least 0"},
        {pair(resnet, NAN, -5), "success is -5, expected a number that is at least 0"},
        {pair(resnet, 0, 0), "no measurements"},
        {"x{a=\"b\"} 5\nx{a=\"b} 5\nx{a=b} 5\n{} 5\nx{a=\"b\"}\nx{a=\"b\"} 1e999\n",
         "neither counters of Triton"},
        {"# TYPE x counter\n" + std::string(70'000, 'x') + "\n", "file:2: the line is longer"},
        {pair(resnet + ",instance=\"a\"", 5, 5) + pair(resnet + ",instance=\"b\"", 5, 5),
         "leave {device} out"},
    };
    for (const auto& [text, message] : cases) {
        CHECK_THROWS_AS(imported(text, of_device()), core::DataError);
        CHECK_THROWS_WITH(imported(text, of_device()), Catch::Contains(message));
    }
    CHECK_THROWS_WITH(imported(pair(resnet, 5, 5), {}), Catch::Contains("{device}"));
    CHECK_THROWS_AS(imported(pair(resnet, 5, 5), with_warm_up("1")), core::UsageError);
}

TEST_CASE("Prometheus: a single scrape of Triton is the mean since the server began") {
    const Imported single = imported(pair(resnet, 12'000, 6), of_device());
    CHECK(single.latency_ms() == 2.0);
    CHECK(single.report.runs == 6);
    CHECK(single.fleet.benchmark_names[0] == "resnet");
    CHECK(single.fleet.origins[0].statistic == "mean, from counters");
    CHECK(single.fleet.origins[0].unit == "us");
}

TEST_CASE("Prometheus: between scrapes the growth counts, over versions and restarts") {
    const std::string second = "model=\"resnet\",version=\"2\"";
    const std::string scrapes = pair(resnet, 1e9, 10) + pair(second, 0, 0) + // slow, before
                                pair(resnet, 1e9 + 10'000, 15) + pair(second, 3000, 1) +
                                pair(resnet, 8'000, 4) + pair(second, 3000, 1); // began again
    const Imported result = imported(scrapes, of_device());
    CHECK(result.latency_ms() == Approx((10.0 + 3.0 + 8.0) / (5 + 1 + 4)));
    CHECK(result.report.runs == 10);
    CHECK_THAT(result.all_doubts(), Catch::Contains("counters went back 1 time"));
}

TEST_CASE("Prometheus: a file per scrape, in the order of the names") {
    const hdap::test::TemporaryFolder folder;
    std::ofstream(folder / "a-1.prom") << pair(resnet, 1e9, 1000);
    std::ofstream(folder / "a-2.prom") << pair(resnet, 1e9 + 40'000, 1010);
    std::ofstream(folder / "b-1.prom") << pair(resnet, 70'000, 10);
    const Fleet fleet = import_telemetry({.source = folder / "{device}-*.prom", .sku = "board"});
    CHECK(fleet.device_ids == std::vector<std::string>{"a", "b"});
    CHECK(fleet.latency_ms == std::vector<double>{4.0, 7.0});
}

TEST_CASE("Prometheus: instances are devices, models benchmarks") {
    const Imported both = imported(pair(resnet + ",instance=\"a:8002\"", 4000, 1) +
                                       pair("instance=\"b:8002\",model=\"net \\\"2\\\"\"", 6000, 1),
                                   {});
    CHECK(both.fleet.device_ids == std::vector<std::string>{"a:8002", "b:8002"});
    CHECK(both.fleet.benchmark_names == std::vector<std::string>{"resnet", "net \"2\""});
    CHECK(both.fleet.latency_ms[0] == 4.0);
    CHECK(both.fleet.latency_ms[3] == 6.0);
}

TEST_CASE("Prometheus: a histogram that --metric names") {
    const std::string text = "# TYPE request_latency_seconds histogram\n"
                             "request_latency_seconds_bucket{model=\"m\",le=\"+Inf\"} 4\n"
                             "request_latency_seconds_sum{model=\"m\"} 0.02 1700000000000\n"
                             "request_latency_seconds_count{model=\"m\"} 4 1700000000000\n";
    CHECK_THROWS_WITH(imported(text, of_device()),
                      Catch::Contains("perhaps request_latency_seconds"));
    ImportRequest request = of_device();
    request.metric = "request_latency_seconds";
    CHECK(imported(text, request).latency_ms() == 5.0);
    CHECK_THROWS_AS(imported("device_id,benchmark,latency_ms\na,b,1\n", request), core::UsageError);
    request.metric = "request_latency";
    CHECK_THROWS_WITH(imported(text, request), Catch::Contains("does not tell its unit"));
}

TEST_CASE("Prometheus: gauges of DCGM are attributes, but for those that it does not know") {
    const Imported result =
        imported(pair(resnet, 4000, 1) + "DCGM_FI_DEV_SM_CLOCK{gpu=\"0\"} 1350\n"
                                         "DCGM_FI_DEV_SM_CLOCK{gpu=\"1\"} 1450\n"
                                         "DCGM_FI_DEV_MEMORY_TEMP{gpu=\"0\"} 9223372036854775794\n",
                 of_device());
    REQUIRE(result.fleet.attributes.size() == 1);
    CHECK(result.fleet.attributes[0].name == "gpu_mhz");
    CHECK(result.fleet.attributes[0].values[0] == 1400.0);
}

TEST_CASE("Prometheus: a last line that was cut is not used") {
    const std::string text = pair(resnet, 4000, 2);
    const Imported cut = imported(text + pair(resnet, 400'000, 20).substr(0, 70), of_device());
    CHECK(cut.latency_ms() == 2.0);
    REQUIRE(cut.report.rejected.size() == 1);
    CHECK(cut.report.rejected[0].reason == "a line that is cut");
}
