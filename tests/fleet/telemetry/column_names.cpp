#include "fleet/telemetry/column_names.hpp"

#include <catch2/catch.hpp>

#include <vector>

using namespace hdap::fleet;

namespace {

using Names = std::vector<std::string_view>;

} // namespace

TEST_CASE("columns that are no latencies are none") {
    for (const std::string_view name :
         {"", "ms", "latency_p50_ms", "my_latency_ms", "timestamp", "run_time_ms", "_ms", "(ms)"}) {
        const Names names{name};
        CHECK(!latency_among(names));
    }
    CHECK(!latency_among(Names{}));
}

TEST_CASE("latencies go before times, times before medians") {
    CHECK(latency_among(Names{"time", "median_ms", "Latency (us)"})->place == 2);
    CHECK(latency_among(Names{"median_ms", "duration_s"})->place == 1);
    CHECK(!latency_among(Names{"median_ms", "duration_s"})->is_median);
    CHECK(latency_among(Names{"x", "median_ms"})->is_median);
}

TEST_CASE("two of a kind are rivals, one of another kind is not") {
    CHECK(latency_among(Names{"latency_ms", "latencies_us"})->rival == 1U);
    CHECK(!latency_among(Names{"latency_ms", "time", "duration"})->rival);
    CHECK(!latency_among(Names{"time", "duration", "latency_ms"})->rival);
}

TEST_CASE("attributes tell their unit by how they end") {
    CHECK(attribute_unit("GPU_MHz") == "MHz");
    CHECK(attribute_unit("battery_temp_c") == "degC");
    CHECK(attribute_unit("silicon") == "1");
    CHECK(attribute_name("a/b") == "a_b");
    CHECK(attribute_name(".") == "_");
}
