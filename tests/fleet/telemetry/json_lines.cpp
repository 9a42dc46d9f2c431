#include "imported.hpp"

#include <catch2/catch.hpp>

using namespace hdap;
using namespace hdap::fleet;
using namespace hdap::fleet::test;

namespace {

const std::string line = "{\"device_id\": \"a\", \"benchmark\": \"r\", \"run\": 0, ";

} // namespace

TEST_CASE("JSON lines: objects that cannot be used are refused with line and value") {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"{}\n", "no latency"},
        {line + "\"latency_ms\": null}\n", "'latency_ms' is no number"},
        {line + "\"latency_ms\": \"5\"}\n", "'latency_ms' is no number"},
        {line + "\"latency_ms\": -5}\n", "latency_ms is -5"},
        {line + "\"latency_ms\": 1e999}\n", "file:1: no JSON object"},
        {line + "\"latency_ms\": NaN}\n", "file:1: no JSON object"},
        {line + "\"latencies_ms\": []}\n", "'latencies_ms' is no number"},
        {line + "\"latencies_ms\": [1, \"x\"]}\n", "'latencies_ms' is no number"},
        {line + "\"latencies_ms\": [1, [2]]}\n", "'latencies_ms' is no number"},
        {line + "\"latency_ms\": {\"p50\": 5}}\n", "no latency"},
        {line + "\"latency_ms\": 1, \"latency_us\": 2}\n", "are both latencies"},
        {line + "\"latency\": 1}\n", "give --unit"},
        {"{\"device_id\": \"a\", \"benchmark\": \"r\", \"run\": 0.5, \"latency_ms\": 1}",
         "run is 0.5, expected a whole number"},
        {"{\"device_id\": \"\", \"benchmark\": \"r\", \"latency_ms\": 1}", "device_id is ''"},
        {"[5]", "the value is no object"},
        {"{" + std::string(2'000'000, ' ') + "}", "file:1: the line is longer"},
        {line + "\"latency_ms\": 1, \"x\": " + std::string(100, '[') + "\n", "in each other"},
        {"[", "no JSON object"},
    };
    for (const auto& [text, message] : cases) {
        ImportRequest request = named_request();
        request.format = "json-lines";
        CHECK_THROWS_AS(imported(text, request), core::DataError);
        CHECK_THROWS_WITH(imported(text, request), Catch::Contains(message));
    }
    CHECK_THROWS_WITH(imported("{\"benchmark\": \"r\", \"latency_ms\": 1}", {}),
                      Catch::Contains("no device_id"));
    CHECK_THROWS_AS(imported(line + "\"latency_ms\": 1}", with_unit(LatencyUnit::seconds)),
                    core::UsageError);
    CHECK_THROWS_AS(imported(line + "\"latency_ms\": 1}", with_warm_up("3")), core::UsageError);
}

TEST_CASE("JSON lines: runs, units and names as in a table") {
    const Imported result =
        imported("\xEF\xBB\xBF\n" + line + "\"latency_us\": 2000}\r\n\n" +
                 "{\"device\": 17, \"benchmark\": \" r \", \"latency_s\": 0.25}\n" +
                 "{\"device\": \"a\", \"benchmark\": \"r\", \"run\": 1, \"latency_ns\": 4e6}");
    CHECK(result.fleet.device_ids == std::vector<std::string>{"a", "17"});
    CHECK(result.fleet.latency_ms == std::vector<double>{3.0, 250.0});
    CHECK(result.report.runs == 3);
    CHECK(result.fleet.origins.at(0).unit == "us, s, ns");
    CHECK(imported("{\"latency\": 5}", with_unit(LatencyUnit::microseconds)).latency_ms() == 0.005);
}

TEST_CASE("JSON lines: several latencies in one line, and a list of objects") {
    const Imported several = imported("{\"latencies_ms\": [1, 2, 6]}\n{\"latencies_ms\": [7]}\n");
    CHECK(several.latency_ms() == 4.0);
    CHECK(several.report.runs == 4);
    CHECK(imported("{\"latencies_ms\": [1, 2], \"run\": 7}").report.runs == 2);
    const Imported list = imported(" [{\"latency_ms\": 1},\n {\"latency_ms\": 4}, {\"late");
    CHECK(list.latency_ms() == 2.5);
    CHECK_THAT(list.all_doubts(), Catch::Contains("was the file cut?"));
}

TEST_CASE("JSON lines: lines that cannot be used are counted by reason, repeated runs among them") {
    const std::string good = line + "\"latency_ms\": 5}\n";
    const Imported result = imported(good + "{\"latency_ms\": 7}\n" + good + "{\"latency_m");
    CHECK(result.report.rows == 4);
    CHECK(result.report.rejected_rows == 2);
    CHECK(result.report.rejected[0].reason == "a run that is in a line before already");
    CHECK(result.report.rejected[1].reason == "no JSON object");
    CHECK(result.report.rejected[1].first_places[0] == "file:4");
}

TEST_CASE("JSON lines: other keys are attributes and labels") {
    const Imported result = imported(
        "{\"latency_ms\": 1, \"gpu_mhz\": 900, \"mode\": \"15W\", \"x\": {\"y\": 1}, \"z\": null}\n"
        "{\"latency_ms\": 1, \"gpu_mhz\": 1100, \"mode\": \"15W\", \"x\": \"text\", \"ok\": true}\n"
        "{\"latency_ms\": 1, \"gpu_mhz\": \"fast\", \"fw/version\": \"1.2\"}\n");
    REQUIRE(result.fleet.attributes.size() == 1);
    CHECK(result.fleet.attributes[0].name == "gpu_mhz");
    CHECK(result.fleet.attributes[0].unit == "MHz");
    CHECK(result.fleet.attributes[0].values[0] == 1000.0);
    REQUIRE(result.fleet.labels.size() == 3);
    CHECK(result.fleet.labels[0].values[0] == "15W");
    CHECK(result.fleet.labels[2].name == "fw_version");
}

TEST_CASE("JSON lines: a time of day beside the latency is none") {
    const Imported result =
        imported("{\"time\": \"12:00\", \"latency_ms\": 5, \"duration_s\": 60}");
    CHECK(result.latency_ms() == 5.0);
    CHECK(result.fleet.labels.at(0).name == "time");
    CHECK(result.fleet.attributes.at(0).name == "duration_s");
    CHECK(imported("{\"duration_s\": 0.5}").latency_ms() == 500.0);
}

TEST_CASE("JSON lines: only wanted benchmarks count") {
    ImportRequest request;
    request.benchmarks = {"r"};
    const Imported result =
        imported(line + "\"latency_ms\": 5}\n{\"device_id\": \"a\", \"benchmark\": \"s\", "
                        "\"latency_ms\": \"bad\"}\n",
                 request);
    CHECK(result.report.rows == 1);
    CHECK(result.fleet.benchmark_names == std::vector<std::string>{"r"});
}
