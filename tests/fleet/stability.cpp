#include "fleet/stability.hpp"

#include "hdap/fleet/clustering.hpp"
#include "resource_fleet.hpp"

#include <catch2/catch.hpp>

#include <vector>

using namespace hdap;
using namespace hdap::fleet;
using testing::hostile_kinds;
using testing::ResourceFleet;

TEST_CASE("the adjusted Rand index is 1 for the same groups under other numbers, and worked out by "
          "hand for others") {
    const std::vector<std::int32_t> a{0, 0, 0, 1, 1, 1};
    CHECK(adjusted_rand_index(a, a) == 1.0);
    CHECK(adjusted_rand_index(a, std::vector<std::int32_t>{5, 5, 5, 2, 2, 2}) == 1.0);
    // Pairs together: 2; in a 6, in b 3; of 15: (2 − 1.2) ÷ (4.5 − 1.2).
    CHECK(adjusted_rand_index(a, std::vector<std::int32_t>{0, 0, 1, 1, 2, 2}) ==
          Approx((2.0 - 1.2) / (4.5 - 1.2)));
    CHECK(adjusted_rand_index(std::vector<std::int32_t>(5, 0), std::vector<std::int32_t>(5, 3)) ==
          1.0);
}

TEST_CASE("groups that a fleet has are found in both halves of it, groups of noise are not") {
    const Fleet grouped = ResourceFleet(hostile_kinds(), 0.005).fleet(1000, 6);
    CHECK(cluster_devices(grouped, {.radius = 0.1}).stability.value() > 0.98);
    const Fleet one_kind = ResourceFleet({{1.0, {1.0, 1.0, 1.0}}}, 0.01).fleet(1000, 6);
    CHECK(cluster_devices(one_kind, {.radius = 0.008}).stability.value() < 0.6);
    CHECK_FALSE(cluster_devices(ResourceFleet(hostile_kinds(), 0.005).fleet(39, 6), {})
                    .stability.has_value());
}
