#include "hdap/surrogate/bench.hpp"

#include <catch2/catch.hpp>

using namespace hdap;

TEST_CASE("bench_surrogate finds the kernel equal to XGBoost, and faster", "[.bench]") {
    for (const core::BenchmarkResult& row : surrogate::bench_surrogate(true)) {
        INFO(row.name << ": " << row.value << " against " << row.baseline_value << " " << row.unit
                      << " of " << row.baseline);
        CHECK(row.value > 0);
        CHECK(row.ratio == Approx(row.baseline_value / row.value));
        REQUIRE(row.target.has_value());
        CHECK(row.ratio > 1.0);
    }
}
