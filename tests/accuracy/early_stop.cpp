#include "hdap/accuracy/early_stop.hpp"

#include "hdap/core/random.hpp"

#include <catch2/catch.hpp>

#include <vector>

using namespace hdap;
using namespace hdap::accuracy;

TEST_CASE("the bound of an accuracy tightens to the exact value", "[early_stop]") {
    // Serfling's margin for 100 of 1000 draws at 5 %: √((1 − 99/1000)·ln 20/200).
    CHECK(accuracy_upper_bound(50, 100, 1000, 0.05) ==
          Approx(0.5 + std::sqrt(0.901 * std::log(20.0) / 200.0)));
    CHECK(accuracy_upper_bound(500, 1000, 1000, 0.05) == 0.5);
    // All others right is the most there can be.
    CHECK(accuracy_upper_bound(0, 990, 1000, 1e-12) == Approx(0.01));
}

TEST_CASE("of candidates at the needed accuracy hardly any is given up, of worse ones nearly all",
          "[early_stop]") {
    constexpr std::int64_t images = 1000;
    constexpr std::int64_t batch = 100;
    const auto given_up_after = [&](std::int64_t right_images, std::uint32_t draw) {
        const auto order = core::RandomStream(1, core::StreamId::testing, draw).permutation(images);
        std::int64_t right = 0;
        for (std::int64_t i = 0; i < images; ++i) {
            if (i > 0 && i % batch == 0 &&
                is_hopeless({.needed = 0.8, .confidence = 0.9}, right, i, images, images / batch))
                return i;
            right += static_cast<std::int64_t>(order[static_cast<std::size_t>(i)]) < right_images;
        }
        return images;
    };
    int wrong = 0;
    int right = 0;
    std::int64_t classified = 0;
    constexpr int candidates = 1000;
    for (std::uint32_t draw = 0; draw < candidates; ++draw) {
        wrong += given_up_after(800, draw) < images;
        const std::int64_t after = given_up_after(650, draw);
        right += after < images;
        classified += after;
    }
    CHECK(wrong <= candidates / 10);
    CHECK(right > candidates * 95 / 100);
    CHECK(classified < candidates * images / 2);
}

TEST_CASE("without a confidence nothing is given up", "[early_stop]") {
    CHECK_FALSE(is_hopeless({.needed = 1.0, .confidence = 0.0}, 0, 900, 1000, 10));
    CHECK(is_hopeless({.needed = 1.0, .confidence = 0.9}, 0, 900, 1000, 10));
    CHECK_FALSE(is_hopeless({.needed = 1.0, .confidence = 0.9}, 0, 1000, 1000, 10));
}
