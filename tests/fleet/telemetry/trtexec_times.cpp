#include "imported.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

using namespace hdap;
using namespace hdap::fleet;
using namespace hdap::fleet::test;

namespace {

/// A row as TensorRT 8.6 and later write it.
std::string row(double start_ms, double compute_ms) {
    return fmt::format("  {{ \"startEnqMs\" : {0}, \"endEnqMs\" : {0}, \"startH2dMs\" : {0}, "
                       "\"endH2dMs\" : {0}, \"startComputeMs\" : {0}, \"endComputeMs\" : {1}, "
                       "\"startD2hMs\" : {1}, \"endD2hMs\" : {1}, \"h2dMs\" : 0.25, "
                       "\"computeMs\" : {2}, \"d2hMs\" : 0.25, \"latencyMs\" : {3} }}\n",
                       start_ms, start_ms + compute_ms, compute_ms, compute_ms + 0.5);
}

/// A row as TensorRT 7 and before.
std::string old_row(double start_ms, double latency_ms) {
    return fmt::format("{{ \"startInMs\" : {0}, \"endInMs\" : {0}, \"startComputeMs\" : {0}, "
                       "\"endComputeMs\" : {1}, \"startOutMs\" : {1}, \"endOutMs\" : {1}, "
                       "\"inMs\" : 0, \"computeMs\" : {2}, \"outMs\" : 0, \"latencyMs\" : {2}, "
                       "\"endToEndMs\" : {2} }}\n",
                       start_ms, start_ms + latency_ms, latency_ms);
}

std::string list(const std::vector<std::string>& rows) {
    std::string text = "[\n";
    for (const std::string& row : rows)
        text += (&row == &rows.front() ? "" : ", ") + row;
    return text + "]\n";
}

} // namespace

TEST_CASE("trtexec: times that cannot be used are refused with what was expected") {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"[ {\"latencyMs\": ", "the file ends in the middle"},
        {"[ {\"latencyMs\": 1e999} ]", "file:1: "},
        {"[ {\"latencyMs\": -1}, {\"latencyMs\": 0} ]", "2 of 2 lines cannot be used"},
        {"[ {\"latencyMs\": \"fast\"} ]", "'latencyMs' is no number"},
        {"[ {\"latencyMs\": 1, \"latencyMs\": 2} ]", "key 'latencyMs' is there twice"},
        {"[ {\"startComputeMs\": 300} ]", "neither latencyMs nor computeMs"},
        {"[ 5, \"latencyMs\" ]", "the value is no object"},
        {"[ {\"latencyMs\": 1} ] x", "is no JSON here"},
        {"[ {\"latencyMs\"; 1} ]", "is no JSON here"},
        {"[ {\"latencyMs\": 1, \"x\": " + std::string(1000, '[') + "} ]", "in each other"},
        {"[ {\"latencyMs\": 1, \"x\": \"" + std::string(2'000'000, 'x') + "\"} ]", "1 MiB"},
        {list({row(10, 1), row(20, 1)}), "all 2 inferences are left out as warm-up"},
    };
    for (const auto& [text, message] : cases) {
        CHECK_THROWS_AS(imported(text), core::DataError);
        CHECK_THROWS_WITH(imported(text), Catch::Contains(message));
    }
    ImportRequest request = named_request();
    request.format = "trtexec-times";
    for (const char* text : {"[]", "[", " [\n"})
        CHECK_THROWS_WITH(imported(text, request), Catch::Contains("no inference in it"));
    ImportRequest unnamed;
    CHECK_THROWS_WITH(imported(list({row(300, 1)}), unnamed), Catch::Contains("{benchmark}"));
    unnamed.benchmark = "net";
    CHECK_THROWS_WITH(imported(list({row(300, 1)}), unnamed), Catch::Contains("{device}"));
    CHECK_THROWS_AS(imported(list({row(300, 1)}), with_unit(LatencyUnit::seconds)),
                    core::UsageError);
}

TEST_CASE("trtexec: the latency is the median of the times behind the warm-up") {
    const std::vector<std::string> rows{row(0, 90), row(199, 80), row(200, 2), row(210, 4),
                                        row(220, 3)};
    const Imported times = imported(list(rows));
    CHECK(times.latency_ms() == 3.5);
    CHECK(times.report.runs == 3);
    CHECK(times.report.rows == 5);
    CHECK(times.fleet.spreads[0].runs == 3);
    CHECK(times.fleet.spreads[0].quantile_ms[0] == 2.5F);
    REQUIRE(times.fleet.origins.size() == 1);
    CHECK(times.fleet.origins[0].tool == "trtexec --exportTimes");
    CHECK(times.fleet.origins[0].unit == "ms");
    CHECK(times.fleet.origins[0].warm_up == "inferences that began before 200 ms");
    CHECK(times.fleet.origins[0].statistic == "median of the runs");
    CHECK(imported(list(rows), with_warm_up("215ms")).latency_ms() == 3.5);
    CHECK(imported(list(rows), with_warm_up("0ms")).report.runs == 5);
    const Imported counted = imported(list(rows), with_warm_up("4"));
    CHECK(counted.report.runs == 1);
    CHECK(counted.fleet.origins[0].warm_up == "the first 4 inferences");
    CHECK(imported(list(rows), with_warm_up("0")).report.runs == 5);
}

TEST_CASE("trtexec: the shape of older versions, whose files begin with the warm-up") {
    CHECK(imported(list({old_row(1, 50), old_row(100, 40), old_row(201, 7), old_row(300, 9)}))
              .latency_ms() == 8.0);
    CHECK(imported("[{\"startComputeMs\":250,\"inMs\":1,\"computeMs\":5,\"outMs\":2}]")
              .latency_ms() == 8.0);
    CHECK(imported("\xEF\xBB\xBF[{\"latencyMs\":6}]").latency_ms() == 6.0);
}

TEST_CASE("trtexec: a clock that goes backwards is a row that cannot be used") {
    const Imported times =
        imported(list({row(300, 1), row(310, 2), row(5, 9), row(320, 3), row(330, -4)}));
    CHECK(times.latency_ms() == 2.5);
    CHECK(times.report.rejected_rows == 2);
    CHECK(times.report.rejected[0].reason == "the clock goes backwards");
    CHECK(times.report.rejected[0].first_places[0] == "file:4");
}

TEST_CASE("trtexec: of a file that is cut, the whole rows are used and the cut is counted") {
    const std::string whole = list({row(300, 1), row(310, 2), row(320, 3)});
    std::int64_t most = 0;
    for (std::size_t bytes = 12; bytes + 2 < whole.size(); ++bytes) {
        ImportReport report;
        try {
            const Imported cut = imported(whole.substr(0, bytes));
            CHECK(cut.report.rejected_rows == 1);
            CHECK(cut.report.rejected[0].reason == "the file is cut");
            CHECK(cut.report.runs == cut.report.rows - 1);
            most = std::max(most, cut.report.runs);
        } catch (const core::DataError&) {
            CHECK(bytes < whole.find("310")); // before the first row is whole
        }
    }
    CHECK(most == 3);
}
