#include "hdap/search/non_dominated_sort.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <limits>
#include <utility>

using namespace hdap::search;
using hdap::core::InternalError;
using hdap::core::RandomStream;
using hdap::core::StreamId;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

/// Constraint domination, word for word.
bool dominates(const std::vector<double>& objectives, std::size_t m,
               const std::vector<double>& violations, std::size_t a, std::size_t b) {
    const double of_a = violations.empty() ? 0 : violations[a];
    const double of_b = violations.empty() ? 0 : violations[b];
    if (of_a > 0 || of_b > 0) return of_a < of_b;
    bool better = false;
    for (std::size_t k = 0; k < m; ++k) {
        if (objectives[a * m + k] > objectives[b * m + k]) return false;
        better = better || objectives[a * m + k] < objectives[b * m + k];
    }
    return better;
}

/// Peels off one front after the other.
std::vector<std::int32_t> reference_rank(const std::vector<double>& objectives, std::size_t m,
                                         const std::vector<double>& violations) {
    const std::size_t n = objectives.size() / m;
    std::vector<std::int32_t> ranks(n, -1);
    std::size_t ranked = 0;
    for (std::int32_t rank = 0; ranked < n; ++rank) {
        std::vector<std::size_t> front;
        for (std::size_t i = 0; i < n; ++i) {
            bool dominated = ranks[i] >= 0;
            for (std::size_t j = 0; j < n && !dominated; ++j)
                dominated = ranks[j] < 0 && dominates(objectives, m, violations, j, i);
            if (!dominated) front.push_back(i);
        }
        for (const std::size_t i : front)
            ranks[i] = rank;
        ranked += front.size();
    }
    return ranks;
}

/// Values 0 … levels − 1, so that ties and duplicates are common; levels 0: continuous.
std::vector<double> random_values(std::size_t count, std::uint64_t levels, RandomStream& random) {
    std::vector<double> values(count);
    for (double& value : values)
        value = levels == 0 ? random.uniform() : static_cast<double>(random.below(levels));
    return values;
}

} // namespace

TEST_CASE("ranking refuses NaN, negative violations and sizes that do not fit") {
    const std::vector<double> points{1, 2, 3, 4};
    CHECK_THROWS_AS(non_dominated_rank(points, 0, {}), InternalError);
    CHECK_THROWS_AS(non_dominated_rank(points, 3, {}), InternalError);
    CHECK_THROWS_AS(non_dominated_rank(points, 2, std::vector<double>{0}), InternalError);
    CHECK_THROWS_AS(non_dominated_rank(points, 2, std::vector<double>{0, -1}), InternalError);
    CHECK_THROWS_AS(non_dominated_rank(points, 2, std::vector<double>{0, not_a_number}),
                    InternalError);
    CHECK_THROWS_AS(non_dominated_rank(std::vector<double>{1, not_a_number}, 2, {}), InternalError);
    CHECK_THROWS_WITH(non_dominated_rank(std::vector<double>{1, 2, 3, not_a_number}, 2, {}),
                      "objective 1 of point 1 is not a number");
}

TEST_CASE("crowding refuses NaN, unknown points and sizes that do not fit") {
    const std::vector<double> points{1, 2, 3, 4};
    CHECK_THROWS_AS(crowding_distance(points, 0, std::vector<std::size_t>{0}), InternalError);
    CHECK_THROWS_AS(crowding_distance(points, 3, std::vector<std::size_t>{0}), InternalError);
    CHECK_THROWS_AS(crowding_distance(points, 2, std::vector<std::size_t>{2}), InternalError);
    CHECK_THROWS_AS(
        crowding_distance(std::vector<double>{not_a_number}, 1, std::vector<std::size_t>{0}),
        InternalError);
    CHECK_THROWS_AS(crowding_distance_by_rank(points, 2, std::vector<std::int32_t>{0}),
                    InternalError);
    CHECK_THROWS_AS(fronts_of(std::vector<std::int32_t>{-1}), InternalError);
    CHECK_THROWS_AS(fronts_of(std::vector<std::int32_t>{0, 2, 0}), InternalError);
    CHECK_THROWS_AS(fronts_of(std::vector<std::int32_t>{2000000000}), InternalError);
}

TEST_CASE("no points have no ranks") {
    for (const std::size_t m : {1U, 2U, 3U, 4U}) {
        CHECK(non_dominated_rank({}, m, {}).empty());
        CHECK(crowding_distance({}, m, {}).empty());
    }
    CHECK(fronts_of({}).empty());
}

TEST_CASE("a small set has the ranks that one sees") {
    const std::vector<double> points{1, 5, 2, 3, 4, 1, 2, 5, 4, 4, 1, 5};
    CHECK(non_dominated_rank(points, 2, {}) == std::vector<std::int32_t>{0, 0, 0, 1, 1, 0});
}

TEST_CASE("infinite objectives are ranked as any other") {
    const std::vector<double> points{-infinity, infinity, 0, 0, 0, infinity};
    CHECK(non_dominated_rank(points, 2, {}) == std::vector<std::int32_t>{0, 0, 1});
}

TEST_CASE("ranks equal those of the plain reference") {
    RandomStream random(7, StreamId::testing, 1);
    for (int round = 0; round < 1500; ++round) {
        const std::size_t m = 1 + random.below(5);
        const std::size_t n = random.below(60);
        const std::uint64_t levels = random.below(8);
        const std::vector<double> points = random_values(n * m, levels, random);
        std::vector<double> violations;
        if (random.below(2) == 1) violations = random_values(n, 1 + random.below(4), random);
        CAPTURE(m, n, levels, points, violations);
        REQUIRE(non_dominated_rank(points, m, violations) == reference_rank(points, m, violations));
    }
}

TEST_CASE("ranks equal those of the plain reference when all points form one front") {
    RandomStream random(7, StreamId::testing, 2);
    for (const std::size_t m : {2U, 3U, 4U}) {
        std::vector<double> points = random_values(300 * m, 0, random);
        for (std::size_t i = 0; i < points.size(); i += m) {
            points[i] = 0;
            for (std::size_t k = 1; k < m; ++k)
                points[i] -= points[i + k];
        }
        const std::vector<std::int32_t> ranks = non_dominated_rank(points, m, {});
        CHECK(ranks == std::vector<std::int32_t>(300, 0));
        CHECK(ranks == reference_rank(points, m, {}));
    }
}

TEST_CASE("a chain of points has as many ranks as points") {
    std::vector<double> points;
    for (std::int32_t i = 500; i-- > 0;)
        points.insert(points.end(), {double(i), double(i), double(i)});
    const std::vector<std::int32_t> ranks = non_dominated_rank(points, 3, {});
    for (std::size_t i = 0; i < ranks.size(); ++i)
        REQUIRE(ranks[i] == static_cast<std::int32_t>(499 - i));
}

TEST_CASE("feasible points come before infeasible ones, and these by their violation") {
    const std::vector<double> points{0, 0, 9, 9, 1, 1, 8, 8, 0, 0};
    const std::vector<double> violations{2, 0, 0.5, 0, 2};
    CHECK(non_dominated_rank(points, 2, violations) == std::vector<std::int32_t>{3, 1, 2, 0, 3});
    CHECK(non_dominated_rank(points, 2, std::vector<double>{1, 2, infinity, 1, 3}) ==
          std::vector<std::int32_t>{0, 1, 3, 0, 2});
}

TEST_CASE("fronts hold the points of each rank") {
    const std::vector<std::vector<std::size_t>> expected{{1, 3}, {0}, {2}};
    CHECK(fronts_of(std::vector<std::int32_t>{1, 0, 2, 0}) == expected);
}

TEST_CASE("crowding distances are sums of relative gaps") {
    const std::vector<double> points{0, 10, 1, 6, 4, 4, 10, 0};
    const std::vector<std::size_t> front{2, 0, 3, 1};
    const std::vector<double> distances = crowding_distance(points, 2, front);
    CHECK(distances[0] == Approx(0.9 + 0.6));
    CHECK(distances[1] == infinity);
    CHECK(distances[2] == infinity);
    CHECK(distances[3] == Approx(0.4 + 0.6));
}

TEST_CASE("crowding distances of small and flat fronts") {
    const std::vector<double> points{1, 2, 2, 1, 1, 2, 1, 2};
    CHECK(crowding_distance(points, 2, std::vector<std::size_t>{0, 1}) ==
          std::vector<double>{infinity, infinity});
    // Of equal points none is an end.
    CHECK(crowding_distance(points, 2, std::vector<std::size_t>{0, 2, 3}) ==
          std::vector<double>{0, 0, 0});
    // A range that no double holds.
    CHECK(crowding_distance(std::vector<double>{-infinity, 0, infinity}, 1,
                            std::vector<std::size_t>{0, 1, 2}) ==
          std::vector<double>{infinity, 0, infinity});
}

TEST_CASE("crowding distances do not depend on the order of the front") {
    RandomStream random(7, StreamId::testing, 3);
    for (int round = 0; round < 100; ++round) {
        const std::vector<double> points = random_values(3 * 40, 5, random);
        std::vector<std::size_t> ascending(40);
        for (std::size_t i = 0; i < 40; ++i)
            ascending[i] = i;
        const std::vector<std::size_t> shuffled = random.permutation(40);
        const std::vector<double> expected = crowding_distance(points, 3, ascending);
        const std::vector<double> distances = crowding_distance(points, 3, shuffled);
        for (std::size_t i = 0; i < 40; ++i)
            REQUIRE(distances[i] == expected[shuffled[i]]);
    }
}

TEST_CASE("crowding by rank is the crowding within every front") {
    RandomStream random(7, StreamId::testing, 4);
    const std::vector<double> points = random_values(2 * 50, 6, random);
    const std::vector<std::int32_t> ranks = non_dominated_rank(points, 2, {});
    const std::vector<double> distances = crowding_distance_by_rank(points, 2, ranks);
    for (const std::vector<std::size_t>& front : fronts_of(ranks)) {
        const std::vector<double> expected = crowding_distance(points, 2, front);
        for (std::size_t i = 0; i < front.size(); ++i)
            CHECK(distances[front[i]] == expected[i]);
    }
}
