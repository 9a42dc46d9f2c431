#include "hdap/fleet/latency_unit.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace hdap::fleet;

TEST_CASE("units have names, in any case of letters, and nothing else is one") {
    for (const char* name : {"", "m", "min", "hz", "mss", "s ", "ms/inf", "us\n"})
        CHECK(!unit_named(name));
    for (const char* name : {"s", "sec", "Seconds", "SECOND"})
        CHECK(unit_named(name) == LatencyUnit::seconds);
    for (const char* name : {"ms", "MS", "msec", "millis", "milliseconds"})
        CHECK(unit_named(name) == LatencyUnit::milliseconds);
    for (const char* name : {"us", "usec", "micros", "microseconds", "\xC2\xB5s", "\xCE\xBCs"})
        CHECK(unit_named(name) == LatencyUnit::microseconds);
    for (const char* name : {"ns", "nanos", "Nanoseconds"})
        CHECK(unit_named(name) == LatencyUnit::nanoseconds);
}

TEST_CASE("every unit is called by a name that is its own") {
    for (const LatencyUnit unit : {LatencyUnit::seconds, LatencyUnit::milliseconds,
                                   LatencyUnit::microseconds, LatencyUnit::nanoseconds})
        CHECK(unit_named(name_of(unit)) == unit);
}

TEST_CASE("a latency is the same in every unit") {
    CHECK(in_ms(0.0025, LatencyUnit::seconds) == Approx(2.5));
    CHECK(in_ms(2.5, LatencyUnit::milliseconds) == 2.5);
    CHECK(in_ms(2500, LatencyUnit::microseconds) == 2.5);
    CHECK(in_ms(2.5e6, LatencyUnit::nanoseconds) == 2.5);
}

TEST_CASE("a column's unit is behind its last mark, or in brackets") {
    for (const char* column :
         {"", "ms", "latency", "latencyms", "latency_", "latency_hz", "latency)", "(ms) latency",
          "latency (per s, mean)", "latency_ms_p50"})
        CHECK(!unit_at_end_of(column));
    CHECK(unit_at_end_of("latency_us") == LatencyUnit::microseconds);
    CHECK(unit_at_end_of("Latency (MS)") == LatencyUnit::milliseconds);
    CHECK(unit_at_end_of("time [ns]") == LatencyUnit::nanoseconds);
    CHECK(unit_at_end_of("run time s") == LatencyUnit::seconds);
}
