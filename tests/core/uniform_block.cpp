#include "hdap/core/uniform_block.hpp"

#include <catch2/catch.hpp>

#include <vector>

using namespace hdap::core;

TEST_CASE("a block of uniform numbers has the bits of the stream's, however many they are") {
    for (const std::uint64_t seed : {0ULL, 7ULL, 0xfedcba9876543210ULL})
        for (const std::size_t count : {0, 1, 2, 15, 16, 17, 40, 1000}) {
            std::vector<double> values(count, -1.0);
            fill_uniform(seed, StreamId::testing, 3, 0xffffffffU, values);
            RandomStream stream(seed, StreamId::testing, 3, 0xffffffffU);
            for (const double value : values)
                REQUIRE(value == stream.uniform());
        }
}
