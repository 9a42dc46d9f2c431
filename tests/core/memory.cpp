#include "hdap/core/memory.hpp"

#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

using namespace hdap::core;

TEST_CASE("memory that is not there is refused before anything is begun, and what is there is not") {
    const auto available = available_memory();
    REQUIRE(available.has_value());
    CHECK(*available > 50'000'000);
    CHECK_NOTHROW(require_memory(1'000'000, "a table"));
    CHECK_THROWS_AS(require_memory(std::size_t{1} << 60, "a table"), InternalError);
    CHECK_THROWS_WITH(require_memory(std::size_t{1} << 60, "a table"),
                      Catch::StartsWith("a table needs about 1152921504.6 GB of memory, and ") &&
                          Catch::Contains("are free here"));
}

TEST_CASE("memory is told in MB below a GB, and in GB above") {
    CHECK(memory_text(120'000'000) == "120 MB");
    CHECK(memory_text(3'420'000'000) == "3.4 GB");
}
