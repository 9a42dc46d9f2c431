#include "hdap/parallel/launch.hpp"

#include <catch2/catch.hpp>

using hdap::parallel::core_list;

TEST_CASE("a core list joins neighbours") {
    CHECK(core_list({}).empty());
    CHECK(core_list({3}) == "3");
    CHECK(core_list({0, 1, 2, 3, 8}) == "0-3,8");
    CHECK(core_list({0, 2, 3}) == "0,2-3");
}
