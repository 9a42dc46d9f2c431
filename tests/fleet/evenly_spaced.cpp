#include "hdap/fleet/evenly_spaced.hpp"

#include <catch2/catch.hpp>

#include <numeric>

using hdap::fleet::evenly_spaced;

TEST_CASE("of no devices none is taken, of some at least one", "[evenly_spaced]") {
    CHECK(evenly_spaced(0, 5).empty());
    CHECK(evenly_spaced(std::vector<std::int32_t>{}, 5).empty());
    CHECK(evenly_spaced(7, 0) == std::vector<std::size_t>{0});
    CHECK(evenly_spaced(1, 5) == std::vector<std::size_t>{0});
}

TEST_CASE("all devices are taken where they are not too many", "[evenly_spaced]") {
    const std::vector<std::int32_t> devices{2, 3, 5, 7};
    CHECK(evenly_spaced(devices, 4) == devices);
    CHECK(evenly_spaced(devices, 100) == devices);
}

TEST_CASE("devices that are taken are as far apart as can be, in their order", "[evenly_spaced]") {
    CHECK(evenly_spaced(10, 4) == std::vector<std::size_t>{0, 2, 5, 7});
    const std::vector<std::int32_t> devices{1, 1, 2, 3, 5, 8};
    CHECK(evenly_spaced(devices, 3) == std::vector<std::int32_t>{1, 2, 5});
}
