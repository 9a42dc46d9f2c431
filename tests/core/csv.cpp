#include "hdap/core/csv.hpp"

#include <catch2/catch.hpp>

using hdap::core::csv_field;

TEST_CASE("A CSV field is quoted only where it must be") {
    CHECK(csv_field("").empty());
    CHECK(csv_field("blocks.0.conv = 5") == "blocks.0.conv = 5");
    CHECK(csv_field("a,b") == "\"a,b\"");
    CHECK(csv_field("say \"yes\"") == "\"say \"\"yes\"\"\"");
    CHECK(csv_field("two\nlines\r") == "\"two\nlines\r\"");
}
