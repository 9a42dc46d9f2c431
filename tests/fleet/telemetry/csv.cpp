#include "fleet/by_density.hpp"
#include "hdap/core/error.hpp"
#include "hdap/fleet/clustering.hpp"
#include "hdap/fleet/telemetry.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <span>
#include <sstream>

using namespace hdap;
using namespace hdap::fleet;

namespace {

const std::string header = "device_id,benchmark,run,latency_ms\n";

Fleet parsed(const std::string& text, const ImportRequest& request = {},
             ImportReport* report = nullptr) {
    std::istringstream input(text);
    ImportRequest named = request;
    named.source = "fleet.csv";
    named.sku = "board";
    return import_telemetry(input, named, report);
}

ImportRequest only(std::vector<std::string> benchmarks) {
    ImportRequest request;
    request.benchmarks = std::move(benchmarks);
    return request;
}

ImportRequest rejecting(const std::string& limit) {
    ImportRequest request;
    request.rejected = parse_reject_limit(limit);
    return request;
}

} // namespace

TEST_CASE("malformed CSV is refused with file, line and value") {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"", "fleet.csv: the file is empty"},
        {"\n\n", "empty"},
        {"dev,benchmark,run,latency_ms\n", "fleet.csv:1: no column 'device_id'"},
        {"device_id,benchmark,run,run,latency_ms\n", "fleet.csv:1: two columns 'run'"},
        {header, "no measurements"},
        {header + "a,r,0\n", "fleet.csv:2: 3 fields"},
        {header + "a,r,0,1,2\n", "fleet.csv:2: 5 fields"},
        {header + "a,r,0,1\n\na,r,1,fast\n", "fleet.csv:4: latency_ms is 'fast'"},
        {header + "a,r,0,1.5ms\n", "latency_ms is '1.5ms'"},
        {header + "a,r,0,\n", "latency_ms is ''"},
        {header + "a,r,0,nan\n", "latency_ms is nan, expected a positive"},
        {header + "a,r,0,inf\n", "latency_ms is inf, expected a positive"},
        {header + "a,r,0,-3\n", "latency_ms is -3, expected a positive"},
        {header + "a,r,0,0\n", "latency_ms is 0, expected a positive"},
        {header + "a,r,0,1e999\n", "latency_ms is '1e999'"},
        {header + "a,r,1.0,1\n", "run is '1.0', expected a whole number"},
        {header + "a,r,99999999999999999999,1\n", "run is"},
        {header + ",r,0,1\n", "device_id is ''"},
        {header + std::string(300, 'x') + ",r,0,1\n", "device_id is 'xxx"},
        {header + "\"a,r,0,1\n", "fleet.csv:2: a quoted field does not end"},
        {header + "\"a\"b,r,0,1\n", "text after the quoted field 'a'"},
        {header + "a,r,0,1\nb,r,0,2\na,r,0,3\n", "fleet.csv:4: run 0 of device 'a'"},
        {header + "a,r,0,1\n" + header + "b,r,0,1\n", "fleet.csv:3: the line of column names"},
        {header + std::string(100'000, 'x'), "fleet.csv:2: the line is longer"},
        {header + "a,r,0,1e400\n", "latency_ms is '1e400'"},
        {header + "a,r,0,0x1p3\n", "latency_ms is '0x1p3'"},
        {header + std::string("a,r,0,\0\n", 8), "the line holds zero bytes"},
        {header + "a,r,0,11,5\n", "a decimal comma is taken for a separator"},
        {header + "a,r,0,\"11,5\"\n", "expected a number with a decimal point"},
        {header + "a,r,0,1\nb,r,0,2\na,r,0,3\n", "leave them out with --max-rejected 1"},
        {"a,r,0,1\n", "is the line of column names missing?"},
        {"device_id,benchmark,run,latency\n", "give --unit"},
        {"device_id,benchmark,latency_us,latency_ms\n", "are both latencies"},
        {"device_id;benchmark;run;speed\n", "read with semicolons between the columns"},
        {"device_id,Run,benchmark,RUN ,run,run,latency_ms\n", "two columns 'run'"},
        {"device_id,Run,benchmark,RUN ,latency_ms\n", "two columns 'run'"},
        {"\xFF\xFE"
         "d",
         "fleet.csv: is text in UTF-16"},
        {std::string("d\0e\0v\0", 6), "is text in UTF-16"},
        {std::string("device\0_id", 10), "holds zero bytes"},
        {"PK\x03\x04", "zip archive"},
        {"\x1F\x8B\x08", "gzip"},
        {"a\nb\n", "it begins with 'a'"},
        {"sep=;\n", "no line of column names"},
    };
    for (const auto& [text, message] : cases) {
        CHECK_THROWS_AS(parsed(text), core::DataError);
        CHECK_THROWS_WITH(parsed(text), Catch::Contains(message));
    }
}

TEST_CASE("all lines that cannot be used are told at once, by reason and with the first of them") {
    std::string text = header;
    for (int i = 0; i < 400; ++i)
        text += "d" + std::to_string(i) + ",r,0,1.5\n";
    text += "x,r,0,\nx,r,0,0\nx,r,0,-1\nx,r,0,fast\nx,r\nx,r,0,1,\n,r,0,1\nx,r,one,1\nd7,r,0,1.5\n";
    CHECK_THROWS_WITH(parsed(text),
                      Catch::Contains("fleet.csv: 9 of 409 lines cannot be used") &&
                          Catch::Contains("2 × latency_ms is not positive, or out of range "
                                          "(lines 403, 404)") &&
                          Catch::Contains("1 × too few fields (line 406)") &&
                          Catch::Contains("line 402: latency_ms is ''") &&
                          Catch::Contains("--max-rejected 9"));
    ImportReport report;
    for (const char* limit : {"9", "2.3%", "100%"}) {
        const Fleet fleet = parsed(text, rejecting(limit), &report);
        CHECK(fleet.devices() == 400);
        CHECK(report.runs == 400);
        CHECK(report.rows == 409);
        CHECK(report.rejected_rows == 9);
    }
    for (const char* limit : {"8", "0", "2%", "0%"})
        CHECK_THROWS_AS(parsed(text, rejecting(limit)), core::DataError);
}

TEST_CASE("by default one line in a hundred may be unusable, and a file of nothing else has none") {
    std::string text = header;
    for (int i = 0; i < 99; ++i)
        text += "d" + std::to_string(i) + ",r,0,1.5\n";
    ImportReport report;
    CHECK(parsed(text + "x,r,0,-\n", {}, &report).devices() == 99);
    REQUIRE(report.rejected.size() == 1);
    CHECK(report.rejected[0].reason == "latency_ms is no number");
    CHECK(report.rejected[0].first_places == std::vector<std::string>{"fleet.csv:101"});
    CHECK_THROWS_AS(parsed(text + "x,r,0,-\ny,r,0,-\n"), core::DataError);
    CHECK_THROWS_WITH(parsed(header + "x,r,0,-\n", rejecting("100%")),
                      Catch::Contains("no measurements"));
}

TEST_CASE("a device whose lines are all unusable is told") {
    std::string text = header;
    for (int i = 0; i < 198; ++i)
        text += "d" + std::to_string(i) + ",r,0,1.5\n";
    ImportReport report;
    CHECK(parsed(text + "d1,r,1,0\nlost,r,0,0\n", rejecting("2"), &report).devices() == 198);
    REQUIRE(report.doubts.size() == 1);
    CHECK_THAT(report.doubts[0], Catch::Contains("1 device has no usable row ('lost')"));
}

TEST_CASE("repeated runs are counted, and the first of them stays") {
    const std::string once = "a,r,0,1\nb,r,0,2\na,r,1,3\nb,r,1,4\n";
    CHECK_THROWS_WITH(parsed(header + once + once),
                      Catch::Contains("4 of 8 lines") && Catch::Contains("run 0 of device 'a'"));
    ImportReport report;
    const ImportRequest half = rejecting("50%");
    CHECK(parsed(header + once + once, half, &report).latency_ms == std::vector<double>{2, 3});
    CHECK(parsed(header + "a,r,0,1\na,r,0,9\n", half).latency_ms == std::vector<double>{1});
}

TEST_CASE("a file that was appended to itself with other run numbers is remarked on") {
    std::string once = header;
    std::string twice = header;
    for (int i = 0; i < 30; ++i)
        for (int run = 0; run < 4; ++run) {
            const std::string start = "d" + std::to_string(i) + ",r," + std::to_string(run) + ",";
            once += start + std::to_string(1000 + 31 * i + run * run) + "\n";
            twice += start + std::to_string(1000 + 31 * i + run % 2) + "\n";
        }
    ImportReport report;
    parsed(once, {}, &report);
    CHECK(report.doubts.empty());
    parsed(twice, {}, &report);
    REQUIRE(report.doubts.size() == 1);
    CHECK_THAT(report.doubts[0], Catch::Contains("was the file appended to itself?"));
}

TEST_CASE("separators, decimal commas, line ends and the case of columns are read as they are") {
    const std::vector<double> expected{11.5, 12.25};
    for (const std::string text : {
             "device_id;benchmark;run;latency_ms\r\na;r;0;11,5\r\nb;r;0;12,25\r\n",
             "sep=;\r\nDevice_ID;Benchmark;Run;Latency_ms\r\na;r;0;11.5\r\nb;r;0;12.25\r\n",
             "device_id\tbenchmark\trun\tlatency_ms\na\tr\t0\t11.5\nb\tr\t0\t12.25\n",
             "device_id|benchmark|run|latency_ms\ra|r|0|11.5\rb|r|0|12.25\r",
             "\xEF\xBB\xBF device_id , benchmark,run,latency_ms\n a ,r,0 ,11.5\nb, r,0, 12.25 \n",
         }) {
        CAPTURE(text);
        ImportReport report;
        const Fleet fleet = parsed(text, {}, &report);
        CHECK(fleet.device_ids == std::vector<std::string>{"a", "b"});
        CHECK(fleet.latency_ms == expected);
        CHECK(report.remarks.size() == 1);
    }
    // One decimal mark for the file: this point separates thousands.
    CHECK_THROWS_WITH(parsed("device_id;benchmark;run;latency_ms\na;r;0;11,5\nb;r;0;1.234\n"),
                      Catch::Contains("latency_ms is '1.234'"));
    CHECK_THROWS_WITH(parsed("device_id\tbenchmark\trun\tlatency_ms\na\tr\t0\t11,5\n"),
                      Catch::Contains("decimal point"));
}

TEST_CASE("names lose the blanks around them, those of Unicode among them, and it is told") {
    ImportReport report;
    const Fleet fleet = parsed(header + "a,r,0,1\n\xC2\xA0"
                                        "a ,r,1,3\n\"a\t\" ,r ,2,8\n",
                               {}, &report);
    CHECK(fleet.device_ids == std::vector<std::string>{"a"});
    CHECK(fleet.latency_ms == std::vector<double>{3});
    REQUIRE(report.remarks.size() == 1);
    CHECK_THAT(report.remarks[0], Catch::Contains("in 2 lines, the first of them line 3"));
    CHECK_THROWS_WITH(parsed(header + "\xE3\x80\x80,r,0,1\n"), Catch::Contains("device_id is ''"));
}

TEST_CASE("one device that a spreadsheet made of all is refused") {
    CHECK_THROWS_WITH(parsed(header + "3.56938E+14,r,0,1\n3.56938E+14,r,0,2\n"),
                      Catch::Contains("device '3.56938E+14'") && Catch::Contains("as text"));
    CHECK(parsed(header + "3.56938E+14,r,0,1\n3.56939E+14,r,0,2\n").devices() == 2);
    CHECK(parsed(header + "356938035643809,r,0,1\n").devices() == 1);
}

TEST_CASE("bytes of a binary file never reach the terminal") {
    try {
        parsed(header + "a,r,0,\x1b[2J\n");
        FAIL("no error");
    } catch (const core::DataError& error) {
        CHECK(std::string(error.what()).find('\x1b') == std::string::npos);
    }
}

TEST_CASE("latencies are medians over runs, whatever the order of columns and rows") {
    const Fleet fleet = parsed("\xEF\xBB\xBFlatency_ms,note,benchmark,run,device_id\r\n"
                               "5,x,r,2,b\r\n"
                               "1,\"a,\"\"b\",r,0,\"b\"\r\n"
                               "2,,r,1,b\r\n"
                               "4,,s,0,b\r\n"
                               "7,,s,0,a\r\n"
                               "3,,r,0,a\r\n"
                               "4.5,,r,1,a"); // and no line break at the end
    CHECK(fleet.sku == "board");
    CHECK(fleet.device_ids == std::vector<std::string>{"b", "a"});
    CHECK(fleet.benchmark_names == std::vector<std::string>{"r", "s"});
    CHECK(fleet.latency_ms == std::vector<double>{2.0, 4.0, 3.75, 7.0});
}

TEST_CASE("devices that lack a benchmark are kept, and what is missing is counted") {
    ImportReport report;
    const Fleet fleet =
        parsed(header + "a,r,0,1\na,s,0,2\nb,r,0,1\nc,s,0,3\nc,r,0,4\n", {}, &report);
    CHECK(fleet.device_ids == std::vector<std::string>{"a", "b", "c"});
    CHECK(measured_latencies(fleet, 0) == std::vector<double>{1.0, 1.0, 4.0});
    CHECK(measured_latencies(fleet, 1) == std::vector<double>{2.0, 3.0});
    CHECK(std::isnan(fleet.latency_ms[3]));
    CHECK(report.runs == 5);
    CHECK(report.missing == 1);
    REQUIRE(report.remarks.size() == 1);
    CHECK_THAT(report.remarks[0], Catch::Contains("1 of 6 latencies are missing") &&
                                      Catch::Contains("fewest have benchmark 's': 2 of 3 devices"));
}

TEST_CASE("benchmarks are those that are selected, in that order") {
    const std::string text = header + "a,r,0,1\na,s,0,2\nc,s,0,3\nc,r,0,4\n";
    ImportReport report;
    const Fleet selected = parsed(text, only({"s"}), &report);
    CHECK(selected.device_ids == std::vector<std::string>{"a", "c"});
    CHECK(selected.latency_ms == std::vector<double>{2.0, 3.0});
    CHECK(report.rows == 2);
    CHECK(parsed(text, only({"s", "r"})).latency_ms == std::vector<double>{2, 1, 3, 4});
    CHECK_THROWS_WITH(parsed(text, only({"r", "t"})),
                      Catch::Contains("no measurement of benchmark 't'"));
    CHECK_THROWS_WITH(parsed(text, only({"r", "r"})), Catch::Contains("selected twice"));
}

TEST_CASE("a line per minute of a run under load: comments before the names, medians in a column") {
    const std::string text = "# device,Pixel 7\n# app,1.2\n\nminute,frames,fps,median_ms,p90_ms,"
                             "battery_temp_c\n0,900,30,11.5,12,31\n1,870,29,12.5,14,33\n";
    ImportRequest request;
    request.device = "pixel";
    request.benchmark = "net";
    ImportReport report;
    const Fleet fleet = parsed(text, request, &report);
    CHECK(fleet.latency_ms == std::vector<double>{12.0});
    CHECK(fleet.origins.at(0).statistic == "median of the medians in column median_ms");
    CHECK(fleet.origins.at(0).unit == "ms");
    REQUIRE(report.remarks.size() == 1);
    CHECK_THAT(report.remarks[0], Catch::Contains("2 lines that begin with # before the names"));
    REQUIRE(fleet.attributes.size() == 5);
    CHECK(fleet.attributes[3].name == "p90_ms");
    CHECK(fleet.attributes[3].unit == "ms");
    CHECK(fleet.attributes[4].values[0] == 32.0);
    request.format = "csv";
    CHECK_THROWS_WITH(parsed("# a,b\n# c,d\n", request),
                      Catch::Contains("no line of column names"));
    // Only before the names: this is a device.
    CHECK(parsed(header + "#7,r,0,1\n").device_ids[0] == "#7");
}

TEST_CASE("a file of distinct devices and benchmarks needs no table of their product") {
    std::string text = header;
    for (int i = 0; i < 20'000; ++i)
        text += "d" + std::to_string(i) + ",b" + std::to_string(i) + ",0,1\n";
    CHECK_THROWS_WITH(parsed(text), Catch::Contains("20,000 devices and 20,000 benchmarks, but "
                                                    "only 20,000 pairs"));
}

TEST_CASE("a file that cannot be read is a DataError that names it") {
    const test::TemporaryFolder folder;
    const auto import = [&](const std::string& source) {
        return import_telemetry({.source = source, .sku = "board"});
    };
    CHECK_THROWS_WITH(import(folder / "missing.csv"), Catch::Contains("missing.csv"));
    CHECK_THROWS_AS(import(folder.path()), core::DataError);
    std::ofstream(folder / "one.csv") << header << "a,r,0,1.25\n";
    CHECK(import(folder / "one.csv").latency_ms == std::vector<double>{1.25});
}

namespace {

/// The GPUs of a supercomputer, if they are there.
std::optional<std::filesystem::path> shared_fleet() {
    const char* const shared = std::getenv("HDAP_SHARED_DATA");
    const std::filesystem::path path =
        std::filesystem::path(shared == nullptr ? "" : shared) / "fleets" / "frontera-rtx5000.csv";
    if (shared == nullptr || !std::filesystem::exists(path)) return std::nullopt;
    return path;
}

/// The devices that were measured on all benchmarks.
Fleet fully_measured(const Fleet& all) {
    Fleet fleet;
    fleet.sku = all.sku;
    fleet.benchmark_names = all.benchmark_names;
    for (std::size_t i = 0; i < all.devices(); ++i) {
        const auto row = std::span(all.latency_ms).subspan(i * all.benchmarks(), all.benchmarks());
        if (std::any_of(row.begin(), row.end(), [](double value) { return std::isnan(value); }))
            continue;
        fleet.device_ids.push_back(all.device_ids[i]);
        fleet.latency_ms.insert(fleet.latency_ms.end(), row.begin(), row.end());
    }
    return fleet;
}

} // namespace

TEST_CASE("all 296 GPUs of a SKU are clustered, though a quarter lacks a benchmark") {
    const auto path = shared_fleet();
    if (!path) {
        WARN("skipped: HDAP_SHARED_DATA names no folder with fleets/frontera-rtx5000.csv");
        return;
    }
    ImportRequest request;
    request.source = *path;
    request.sku = "quadro-rtx-5000";
    ImportReport report;
    const Fleet fleet = import_telemetry(request, &report);
    CHECK(fleet.devices() == 296);
    CHECK(fleet.benchmarks() == 3);
    CHECK(report.missing == 68);
    REQUIRE(report.remarks.size() == 1);
    CHECK_THAT(report.remarks[0], Catch::Contains("'pagerank': 248 of 296 devices"));
    const Clustering clustering = cluster_devices(fleet, by_density());
    CHECK(clustering.clusters() >= 2);
    CHECK(clustering.clusters() <= 6);
    CHECK(clustering.cluster_weight[0] > 0.75);
    for (const auto& devices : clustering.representatives)
        for (const std::int32_t device : devices)
            CHECK(std::none_of(fleet.latency_ms.begin() + 3 * device,
                               fleet.latency_ms.begin() + 3 * device + 3,
                               [](double value) { return std::isnan(value); }));
}

TEST_CASE("DBSCAN finds the known groups among 276 GPUs of one SKU") {
    const auto path = shared_fleet();
    if (!path) {
        WARN("skipped: HDAP_SHARED_DATA names no folder with fleets/frontera-rtx5000.csv");
        return;
    }
    ImportRequest request = only({"resnet50_train_iter", "bert_train_iter"});
    request.source = *path;
    request.sku = "quadro-rtx-5000";
    ImportReport report;
    const Fleet all = import_telemetry(request, &report);
    CHECK(all.devices() == 296);
    CHECK(report.missing == 20);
    const Fleet fleet = fully_measured(all);
    REQUIRE(fleet.devices() == 276);
    ClusteringParameters parameters = by_density();
    parameters.eps = 0.01;
    parameters.min_points = 4;
    const Clustering clustering = cluster_devices(fleet, parameters);
    const auto& cluster = clustering.cluster_of_device;
    CHECK(std::count(cluster.begin(), cluster.end(), -1) == 5);
    REQUIRE(clustering.clusters() == 4);
    const std::vector<std::int64_t> sizes{248, 11, 6, 6};
    std::vector<std::vector<double>> centres{
        {1.00, 1.00}, {1.12, 1.00}, {1.06, 1.00}, {1.02, 1.06}};
    const std::vector<double> signature = latency_signatures(fleet, SignatureMetric::level);
    // The two clusters of six are told apart by their medoids, not by their numbers.
    const auto medoid = static_cast<std::size_t>(clustering.representatives[2].front());
    if (signature[2 * medoid + 1] > 0.03) std::swap(centres[2], centres[3]);
    for (std::size_t c = 0; c < 4; ++c) {
        CHECK(std::count(cluster.begin(), cluster.end(), static_cast<std::int32_t>(c)) == sizes[c]);
        const auto device = static_cast<std::size_t>(clustering.representatives[c].front());
        for (std::size_t b = 0; b < 2; ++b)
            CHECK(std::exp(signature[2 * device + b]) == Approx(centres[c][b]).margin(0.01));
    }
}
