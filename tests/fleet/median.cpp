#include "hdap/fleet/median.hpp"

#include <catch2/catch.hpp>

using hdap::fleet::median;

TEST_CASE("the median is the middle value, or the mean of the middle two") {
    CHECK(median({3.0}) == 3.0);
    CHECK(median({4.0, 1.0}) == 2.5);
    CHECK(median({9.0, 1.0, 5.0}) == 5.0);
    CHECK(median({9.0, 1.0, 5.0, 7.0}) == 6.0);
    CHECK(median({2.0, 2.0, 2.0, 2.0, 8.0}) == 2.0);
}
