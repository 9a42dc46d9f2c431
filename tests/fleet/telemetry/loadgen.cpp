#include "imported.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

using namespace hdap;
using namespace hdap::fleet;
using namespace hdap::fleet::test;

namespace {

std::string entry(const std::string& key, const std::string& value) {
    return fmt::format(":::MLLOG {{\"key\": \"{}\", \"value\": {}, \"time_ms\": 1.5, "
                       "\"namespace\": \"mlperf::logging\", \"event_type\": \"POINT_IN_TIME\", "
                       "\"metadata\": {{\"is_error\": false, \"line_no\": 5}}}}\n",
                       key, value);
}

std::string log(const std::string& scenario, const std::string& validity) {
    return entry("requested_scenario", '"' + scenario + '"') +
           entry("result_validity", '"' + validity + '"') +
           entry("result_min_latency_ns", "2000000") + entry("result_max_latency_ns", "9000000") +
           entry("result_mean_latency_ns", "4000000") +
           entry("result_50.00_percentile_latency_ns", "3500000") +
           entry("result_90.00_percentile_latency_ns", "5000000") +
           entry("result_97.00_percentile_latency_ns", "6000000") +
           entry("result_99.00_percentile_latency_ns", "7000000") +
           entry("result_query_count", "1024");
}

} // namespace

TEST_CASE("LoadGen: logs without a result are refused") {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {entry("requested_scenario", "\"Server\""), "no result_mean_latency_ns"},
        {entry("result_mean_latency_ns", "\"x\""), "no result_mean_latency_ns"},
        {entry("result_mean_latency_ns", "-5"), "no result_mean_latency_ns"},
        {":::MLLOG {\"key\": \"result_mean_late", "no result_mean_latency_ns"},
        {":::MLLOG " + std::string(70'000, '{'), "file:1: the line is longer"},
    };
    for (const auto& [text, message] : cases) {
        CHECK_THROWS_AS(imported(text), core::DataError);
        CHECK_THROWS_WITH(imported(text), Catch::Contains(message));
    }
    CHECK_THROWS_AS(imported(log("Server", "VALID"), with_warm_up("1")), core::UsageError);
}

TEST_CASE("LoadGen: the median and the quantiles, in ns") {
    const Imported result = imported("# a note\n" + log("SingleStream", "VALID"));
    CHECK(result.latency_ms() == 3.5);
    CHECK(result.report.runs == 1024);
    CHECK(result.fleet.spreads[0].quantile_ms[0] == 2.0F);
    CHECK(result.fleet.spreads[0].quantile_ms[4] == 5.0F);
    CHECK(result.fleet.spreads[0].quantile_ms[5] == 7.0F);
    CHECK(result.fleet.spreads[0].quantile_ms[6] == 9.0F);
    CHECK(result.fleet.origins[0].unit == "ns");
    CHECK(result.report.doubts.empty());
    CHECK(imported(entry("result_mean_latency_ns", "4000000")).latency_ms() == 4.0);
}

TEST_CASE("LoadGen: results that are not valid, or of a whole batch, are told") {
    CHECK_THAT(imported(log("SingleStream", "INVALID")).all_doubts(),
               Catch::Contains("LoadGen's result is 'INVALID'"));
    CHECK_THAT(imported(log("Offline", "VALID")).all_doubts(), Catch::Contains("scenario Offline"));
}

TEST_CASE("LoadGen: an entry that is cut is counted") {
    const Imported cut = imported(log("Server", "VALID") + ":::MLLOG {\"key\": \"res");
    CHECK(cut.latency_ms() == 3.5);
    CHECK(cut.report.rejected_rows == 1);
    CHECK(cut.report.rejected[0].reason == "no JSON object");
}
