#include "stopwatch.hpp"

#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

using namespace hdap;

TEST_CASE("fastest_seconds refuses rounds that cannot be run", "[stopwatch]") {
    const std::vector<std::function<void()>> contenders{[] {}};
    CHECK_THROWS_AS(bench::fastest_seconds(contenders, 0), core::ConfigError);
    CHECK_THROWS_AS(bench::fastest_seconds(contenders, 1, -1.0), core::ConfigError);
    CHECK_THROWS_AS(bench::fastest_seconds(contenders, 1, std::numeric_limits<double>::quiet_NaN()),
                    core::ConfigError);
}

TEST_CASE("fastest_seconds warms up, then runs every contender in every round", "[stopwatch]") {
    std::string order;
    const std::vector<std::function<void()>> contenders{[&] { order += 'a'; },
                                                        [&] { order += 'b'; }};
    const std::vector<double> seconds = bench::fastest_seconds(contenders, 3, 0.0);
    // Twice each to warm up and to calibrate, then rounds that begin with another one each.
    CHECK(order == "aabb"
                   "ab"
                   "ba"
                   "ab");
    REQUIRE(seconds.size() == 2);
    CHECK(seconds[0] >= 0);
    CHECK(std::isfinite(seconds[1]));
}

TEST_CASE("fastest_seconds tells slow work from fast work", "[stopwatch]") {
    const auto work = [](int steps) {
        return [steps] {
            volatile double sum = 0;
            for (int i = 0; i < steps; ++i)
                sum = sum + 1.0;
        };
    };
    const std::vector<std::function<void()>> contenders{work(1'000), work(100'000)};
    for (const bench::Clock clock : {bench::Clock::wall, bench::Clock::thread}) {
        const std::vector<double> seconds = bench::fastest_seconds(contenders, 5, 0.001, clock);
        CHECK(seconds[1] > 10 * seconds[0]);
    }
}
