#include "hdap/fleet/telemetry.hpp"

#include "hdap/core/error.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

using namespace hdap;
using namespace hdap::fleet;

namespace {

/// A file of trtexec's times: three inferences, the middle one of which takes `latency_ms`.
std::string times(double latency_ms) {
    return fmt::format("[ {{\"startComputeMs\": 300, \"latencyMs\": {}}}\n, {{\"startComputeMs\": "
                       "310, \"latencyMs\": {}}}\n, {{\"startComputeMs\": 320, \"latencyMs\": {}}} "
                       "]\n",
                       latency_ms + 1, latency_ms, latency_ms - 0.5);
}

void write(const std::filesystem::path& path, const std::string& text) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
}

} // namespace

TEST_CASE("a limit of rejected rows is a number or a share") {
    for (const char* text : {"", "%", "-1", "101%", "-1%", "nan%", "1.5", "5 %", "many"})
        CHECK_THROWS_AS(parse_reject_limit(text), core::UsageError);
    CHECK(parse_reject_limit("37").of(10) == 37);
    CHECK(parse_reject_limit("2.5%").of(1000) == 25);
    CHECK(parse_reject_limit("29%").of(100) == 29);
    CHECK(RejectLimit{}.of(199) == 1);
}

TEST_CASE("a warm-up is a time or a number of inferences") {
    for (const char* text : {"", "ms", "s", "-1ms", "nanms", "infs", "1.5", "-3", "5 ms", "1e400s"})
        CHECK_THROWS_AS(parse_warm_up(text), core::UsageError);
    CHECK(parse_warm_up("200ms").ms == 200.0);
    CHECK(parse_warm_up("0.5s").ms == 500.0);
    CHECK(parse_warm_up("10").runs == 10);
    CHECK(!parse_warm_up("10").ms);
}

TEST_CASE("every format has a name of its own and says what it reads") {
    std::set<std::string> names;
    for (const TelemetryFormatInfo& format : telemetry_formats()) {
        CHECK(names.insert(format.name).second);
        CHECK(!format.what.empty());
        CHECK(!format.unit.empty());
        CHECK(!format.warm_up.empty());
    }
    CHECK(names.size() >= 15);
}

TEST_CASE("the page on telemetry has a row for every format") {
    std::ifstream page(std::filesystem::path(HDAP_SOURCE_DIR) / "docs/telemetry.md");
    const std::string text{std::istreambuf_iterator<char>(page), std::istreambuf_iterator<char>()};
    for (const std::string& format : telemetry_format_names())
        CHECK_THAT(text, Catch::Contains("\n| `" + format + "` | "));
}

TEST_CASE("files in no known format are refused, whatever they are") {
    const test::TemporaryFolder folder;
    const auto import = [&](const std::string& text, const std::string& format = "auto") {
        write(folder / "f", text);
        return import_telemetry({.source = folder / "f", .sku = "board", .format = format});
    };
    CHECK_THROWS_WITH(import(""), Catch::Contains("the file is empty"));
    CHECK_THROWS_WITH(import(" \n\n"), Catch::Contains("the file is empty"));
    CHECK_THROWS_WITH(import("some words\n"), Catch::Contains("in no known format (hdf5, trtexec"));
    CHECK_THROWS_WITH(import("\x1F\x8B\x08x"), Catch::Contains("gzip"));
    CHECK_THROWS_WITH(import(std::string("R\0A\0M\0", 6)), Catch::Contains("UTF-16"));
    CHECK_THROWS_AS(import("some words\n", "csvs"), core::UsageError);
    CHECK_THROWS_WITH(import("x", "csvs"), Catch::Contains("did you mean 'csv'?"));
    for (const std::string& format : telemetry_format_names())
        CHECK_THROWS_AS(import("some words\n", format), core::DataError);
}

TEST_CASE("a folder of 300 files is one import, and one that is broken is left out and named") {
    const test::TemporaryFolder folder;
    for (int device = 0; device < 100; ++device)
        for (int benchmark = 0; benchmark < 3; ++benchmark)
            write(folder / fmt::format("logs/d{:02}/b{}.json", device, benchmark),
                  times(10 + benchmark + 0.01 * device));
    const std::string broken = folder / "logs/d57/b1.json";
    write(broken, "[ {\"latencyMs\": oops} ]");
    ImportRequest request{.source = folder / "logs/{device}/{benchmark}.json", .sku = "board"};
    ImportReport report;
    std::int64_t bytes = 0;
    std::int64_t total = 0;
    const Fleet fleet =
        import_telemetry(request, &report, [&](std::int64_t done, std::int64_t all) {
            CHECK(done >= bytes);
            bytes = done;
            total = all;
        });
    CHECK(bytes == total);
    CHECK(report.files == 299);
    CHECK(report.runs == 897);
    CHECK(report.missing == 1);
    REQUIRE(report.doubts.size() == 1);
    CHECK_THAT(report.doubts[0], Catch::Contains(broken + ":1: "));
    REQUIRE(fleet.devices() == 100);
    REQUIRE(fleet.benchmark_names == std::vector<std::string>{"b0", "b1", "b2"});
    CHECK(fleet.device_ids[57] == "d57");
    for (std::size_t i = 0; i < fleet.latency_ms.size(); ++i)
        if (i == 57 * 3 + 1)
            CHECK(std::isnan(fleet.latency_ms[i]));
        else
            CHECK(fleet.latency_ms[i] ==
                  10 + static_cast<double>(i % 3) + 0.01 * static_cast<double>(i / 3));
    REQUIRE(fleet.origins.size() == 1);
    CHECK(fleet.origins[0].files == 299);
    request.rejected = parse_reject_limit("0");
    CHECK_THROWS_WITH(import_telemetry(request), Catch::Contains("1 of 300 files cannot be used") &&
                                                     Catch::Contains("--max-rejected 1"));
}

TEST_CASE("files of different formats become one fleet, with an origin for each") {
    const test::TemporaryFolder folder;
    write(folder / "nx/net.log", times(4));
    write(folder / "pi/net.log", "net,0.008,5,5,0\n");
    const Fleet fleet =
        import_telemetry({.source = folder / "{device}/{benchmark}.log", .sku = "boards"});
    CHECK(fleet.latency_ms == std::vector<double>{4.0, 8.0});
    REQUIRE(fleet.origins.size() == 2);
    CHECK(fleet.origins[0].tool == "trtexec --exportTimes");
    CHECK(fleet.origins[1].unit == "s");
}

TEST_CASE("two logs of one device that contradict each other are told") {
    const test::TemporaryFolder folder;
    write(folder / "nx/net-1.json", times(4));
    write(folder / "nx/net-2.json", times(9));
    ImportReport report;
    import_telemetry({.source = folder / "{device}/*.json", .sku = "board", .benchmark = "net"},
                     &report);
    REQUIRE(report.doubts.size() == 1);
    CHECK_THAT(report.doubts[0], Catch::Contains("1 measurement contradicts each other by a factor "
                                                 "of two or more"));
}

TEST_CASE("what is a number in one file and a text in another is told, and no label") {
    const test::TemporaryFolder folder;
    write(folder / "a.csv", "device_id,benchmark,latency_ms,mode\na,r,1,15\n");
    write(folder / "b.csv", "device_id,benchmark,latency_ms,mode\nb,r,1,max\n");
    ImportReport report;
    const Fleet fleet = import_telemetry({.source = folder / "*.csv", .sku = "board"}, &report);
    CHECK(fleet.attributes.size() == 1);
    CHECK(fleet.labels.empty());
    REQUIRE(report.doubts.size() == 1);
    CHECK_THAT(report.doubts[0], Catch::Contains("'mode' is a number in some places"));
}

TEST_CASE("options about latencies do not apply to conditions") {
    const test::TemporaryFolder folder;
    write(folder / "logs/nx.json", times(4));
    write(folder / "conditions/nx.log", "RAM 5/9MB EMC_FREQ 5%@160 GR3D_FREQ 9%@900\n");
    ImportRequest request{.source = folder / "logs/{device}.json",
                          .conditions = folder / "conditions/{device}.log",
                          .sku = "board"};
    request.format = "trtexec-times";
    request.unit = LatencyUnit::milliseconds;
    request.benchmark = "net";
    request.warm_up = parse_warm_up("1");
    const Fleet fleet = import_telemetry(request);
    CHECK(fleet.latency_ms == std::vector<double>{3.75});
    CHECK(fleet.attributes.size() == 3);
    CHECK(fleet.origins.size() == 2);
}
