#include "hdap/fleet/group_agreement.hpp"

#include "fleet/anatomy/made_fleets.hpp"
#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

using namespace hdap;
using namespace hdap::fleet;
using hdap::test::made_fleet;

TEST_CASE("groups of other devices than the fleet's are refused") {
    const Fleet fleet = made_fleet({.devices = 5});
    CHECK_THROWS_AS(group_agreement(fleet, std::vector<std::int32_t>(4)), core::InternalError);
    CHECK_THROWS_AS(group_agreement(fleet, std::vector<std::int32_t>(5, 5)), core::InternalError);
}

TEST_CASE("groups agree on the ranks of benchmarks until one slows half of them down enough") {
    Fleet fleet = made_fleet({.devices = 40});
    std::vector<std::int32_t> groups;
    for (std::int32_t i = 0; i < 40; ++i)
        groups.push_back(i % 2);
    const auto same = group_agreement(fleet, groups);
    REQUIRE(same);
    CHECK(same->lowest == 1.0);
    for (std::size_t i = 1; i < 40; i += 2)
        for (std::size_t b = 0; b < 4; ++b) // those of 10 to 40 ms behind those of 80
            fleet.latency_ms[8 * i + b] *= 10.0;
    const auto apart = group_agreement(fleet, groups);
    REQUIRE(apart);
    CHECK(apart->lowest == Approx(1.0 - 2.0 * 16.0 / 28.0));
    CHECK(apart->groups == 2);
    CHECK_FALSE(group_agreement(fleet, std::vector<std::int32_t>(40, -1)));
    CHECK_FALSE(group_agreement(fleet, std::vector<std::int32_t>(40, 0)));
}
