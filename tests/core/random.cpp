#include "hdap/core/random.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

using namespace hdap::core;

TEST_CASE("philox4x32-10 gives the published known answers") {
    // Random123's kat_vectors.
    CHECK(philox4x32_10({0, 0, 0, 0}, {0, 0}) ==
          std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    CHECK(
        philox4x32_10({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
        std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    CHECK(
        philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        std::array<std::uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("streams of different keys differ, those of equal keys are equal") {
    const auto first = [](RandomStream stream) { return stream(); };
    CHECK(first({1, StreamId::mating, 2, 3}) == first({1, StreamId::mating, 2, 3}));
    CHECK(first({1, StreamId::mating, 2, 3}) != first({2, StreamId::mating, 2, 3}));
    CHECK(first({1, StreamId::mating, 2, 3}) != first({1, StreamId::testing, 2, 3}));
    CHECK(first({1, StreamId::mating, 2, 3}) != first({1, StreamId::mating, 3, 3}));
    CHECK(first({1, StreamId::mating, 2, 3}) != first({1, StreamId::mating, 2, 4}));
}

TEST_CASE("uniform numbers lie from 0 to below 1 and have mean 1/2 and variance 1/12") {
    RandomStream stream(7, StreamId::testing);
    constexpr int count = 200'000;
    double sum = 0.0;
    double squares = 0.0;
    for (int i = 0; i < count; ++i) {
        const double value = stream.uniform();
        REQUIRE((value >= 0.0 && value < 1.0));
        sum += value;
        squares += (value - 0.5) * (value - 0.5);
    }
    CHECK(sum / count == Approx(0.5).margin(0.003));
    CHECK(squares / count == Approx(1.0 / 12.0).margin(0.001));
}

TEST_CASE("normal numbers have mean 0, variance 1 and 4.55 % beyond two deviations") {
    RandomStream stream(7, StreamId::testing, 1);
    constexpr int count = 200'000;
    double sum = 0.0;
    double squares = 0.0;
    int beyond = 0;
    for (int i = 0; i < count; ++i) {
        const double value = stream.normal();
        sum += value;
        squares += value * value;
        beyond += std::abs(value) > 2.0 ? 1 : 0;
    }
    CHECK(sum / count == Approx(0.0).margin(0.01));
    CHECK(squares / count == Approx(1.0).margin(0.02));
    CHECK(static_cast<double>(beyond) / count == Approx(0.0455).margin(0.003));
}

TEST_CASE("below(n) reaches every value about equally often") {
    RandomStream stream(7, StreamId::testing, 2);
    std::array<int, 7> seen{};
    for (int i = 0; i < 70'000; ++i)
        ++seen.at(stream.below(7));
    for (const int count : seen)
        CHECK(count == Approx(10'000).margin(500));
}

TEST_CASE("a permutation holds every index once") {
    auto order = RandomStream(7, StreamId::testing, 3).permutation(1000);
    CHECK_FALSE(std::is_sorted(order.begin(), order.end()));
    std::sort(order.begin(), order.end());
    for (std::size_t i = 0; i < order.size(); ++i)
        REQUIRE(order[i] == i);
    CHECK(RandomStream(7, StreamId::testing, 3).permutation(0).empty());
}
