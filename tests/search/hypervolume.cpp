#include "hdap/search/hypervolume.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

using namespace hdap::search;
using hdap::core::InternalError;
using hdap::core::RandomStream;
using hdap::core::StreamId;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

/// Counts the unit cells below (levels, …, levels) that a point with whole coordinates dominates.
double reference_volume(const std::vector<double>& points, std::size_t m, int levels) {
    double volume = 0;
    std::vector<int> cell(m, 0);
    for (;;) {
        for (std::size_t i = 0; i < points.size(); i += m) {
            bool dominates = true;
            for (std::size_t k = 0; k < m; ++k)
                dominates = dominates && points[i + k] <= cell[k];
            if (dominates) {
                volume += 1;
                break;
            }
        }
        std::size_t k = 0;
        while (k < m && ++cell[k] == levels)
            cell[k++] = 0;
        if (k == m) return volume;
    }
}

/// By inclusion and exclusion over all subsets of few points.
double reference_volume(const std::vector<double>& points, std::size_t m,
                        const std::vector<double>& reference) {
    const std::size_t n = points.size() / m;
    double volume = 0;
    for (unsigned subset = 1; subset < 1U << n; ++subset) {
        double common = -1;
        std::vector<double> sides(m, infinity);
        for (std::size_t i = 0; i < n; ++i) {
            if ((subset >> i & 1U) == 0) continue;
            common = -common;
            for (std::size_t k = 0; k < m; ++k)
                sides[k] = std::min(sides[k], std::max(0.0, reference[k] - points[i * m + k]));
        }
        for (const double side : sides)
            common *= side;
        volume += common;
    }
    return volume;
}

} // namespace

TEST_CASE("a hypervolume refuses NaN, unbounded points and sizes that do not fit") {
    const std::vector<double> reference{1, 1};
    CHECK_THROWS_AS(hypervolume({}, 0, {}), InternalError);
    CHECK_THROWS_AS(hypervolume(std::vector<double>{0}, 2, reference), InternalError);
    CHECK_THROWS_AS(hypervolume(std::vector<double>{0, 0, 0}, 3, reference), InternalError);
    CHECK_THROWS_AS(hypervolume(std::vector<double>{0, not_a_number}, 2, reference), InternalError);
    CHECK_THROWS_AS(hypervolume(std::vector<double>{0, -infinity}, 2, reference), InternalError);
    CHECK_THROWS_AS(hypervolume(std::vector<double>{0, 0}, 2, std::vector<double>{1, infinity}),
                    InternalError);
}

TEST_CASE("points that do not lie below the reference add nothing") {
    const std::vector<double> reference{1, 1};
    CHECK(hypervolume({}, 2, reference) == 0);
    CHECK(hypervolume(std::vector<double>{0, 1, 1, 0, 2, -5, 0, infinity}, 2, reference) == 0);
    CHECK(hypervolume(std::vector<double>{0, 1, 0.5, 0.5}, 2, reference) == 0.25);
}

TEST_CASE("a small set has the area that one sees") {
    CHECK(hypervolume(std::vector<double>{1, 3, 2, 2, 3, 1, 3, 3}, 2, std::vector<double>{4, 4}) ==
          6);
    CHECK(hypervolume(std::vector<double>{3, 1, 2}, 1, std::vector<double>{4}) == 3);
}

TEST_CASE("hypervolumes equal the count of the cells, with ties and duplicates") {
    RandomStream random(11, StreamId::testing, 1);
    for (int round = 0; round < 600; ++round) {
        const std::size_t m = 1 + random.below(5);
        const int levels = m < 5 ? 6 : 4;
        std::vector<double> points(m * random.below(20));
        for (double& value : points)
            value = static_cast<double>(random.below(static_cast<std::uint64_t>(levels) + 1));
        const std::vector<double> reference(m, levels);
        CAPTURE(m, points);
        REQUIRE(hypervolume(points, m, reference) == reference_volume(points, m, levels));
    }
}

TEST_CASE("hypervolumes equal inclusion and exclusion") {
    RandomStream random(11, StreamId::testing, 2);
    for (int round = 0; round < 300; ++round) {
        const std::size_t m = 1 + random.below(6);
        std::vector<double> points(m * random.below(9));
        for (double& value : points)
            value = random.uniform() * 1.1 - 3;
        const std::vector<double> reference(m, -2);
        CAPTURE(m, points);
        REQUIRE(hypervolume(points, m, reference) ==
                Approx(reference_volume(points, m, reference)).margin(1e-12));
    }
}

TEST_CASE("a hypervolume has the same bits for any order of the points") {
    RandomStream random(11, StreamId::testing, 3);
    for (std::size_t m = 1; m <= 5; ++m) {
        std::vector<double> points(m * 40);
        for (double& value : points)
            value = std::round(random.uniform() * 20) / 7;
        const std::vector<double> reference(m, 2.5);
        const double expected = hypervolume(points, m, reference);
        for (int round = 0; round < 10; ++round) {
            std::vector<double> shuffled;
            for (const std::size_t i : random.permutation(40)) {
                const auto row = points.begin() + static_cast<std::ptrdiff_t>(i * m);
                shuffled.insert(shuffled.end(), row, row + static_cast<std::ptrdiff_t>(m));
            }
            REQUIRE(hypervolume(shuffled, m, reference) == expected);
        }
    }
}
