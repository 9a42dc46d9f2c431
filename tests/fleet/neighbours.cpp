#include "hdap/fleet/neighbours.hpp"

#include "hdap/core/random.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

using namespace hdap;
using namespace hdap::fleet;

namespace {

/// Points on a coarse lattice, so that many distances are equal, some of them zero.
std::vector<double> lattice_points(std::size_t count, std::size_t dimension, std::uint32_t number) {
    core::RandomStream random(21, core::StreamId::testing, number);
    std::vector<double> points(count * dimension);
    for (double& coordinate : points)
        coordinate = 0.1 * static_cast<double>(random.below(8));
    return points;
}

/// Components by plain relabelling until nothing changes.
std::vector<std::int32_t> reference_components(PointView points, double radius) {
    std::vector<std::int32_t> label(points.size(), -1);
    std::int32_t next = 0;
    for (std::size_t start = 0; start < points.size(); ++start) {
        if (label[start] >= 0) continue;
        std::vector<std::size_t> stack{start};
        label[start] = next;
        while (!stack.empty()) {
            const std::size_t at = stack.back();
            stack.pop_back();
            for (std::size_t i = 0; i < points.size(); ++i) {
                if (label[i] >= 0 ||
                    squared_distance(points[at], points[i], points.dimension) > radius * radius)
                    continue;
                label[i] = next;
                stack.push_back(i);
            }
        }
        ++next;
    }
    return label;
}

} // namespace

TEST_CASE("neighbour queries agree with a plain search, ties and bounds included") {
    for (std::uint32_t number = 0; number < 6; ++number) {
        const std::size_t dimension = 1 + number;
        const std::vector<double> coordinates = lattice_points(300, dimension, number);
        const PointView points{coordinates, dimension};
        const NeighbourIndex index(points);
        const std::vector<double> queries = lattice_points(40, dimension, 100 + number);
        const PointView query_view{queries, dimension};
        for (std::size_t q = 0; q < 40; ++q) {
            std::vector<std::pair<double, std::size_t>> ranked;
            for (std::size_t i = 0; i < points.size(); ++i)
                ranked.emplace_back(squared_distance(query_view[q], points[i], dimension), i);
            std::sort(ranked.begin(), ranked.end());
            CHECK(index.nearest(query_view[q], std::numeric_limits<double>::infinity()) ==
                  ranked[0].second);
            CHECK(index.kth_distance(query_view[q], 7) == std::sqrt(ranked[6].first));
            const double radius = 0.2;
            const auto within = static_cast<std::size_t>(
                std::count_if(ranked.begin(), ranked.end(),
                              [&](const auto& r) { return r.first <= radius * radius; }));
            CHECK(index.nearest(query_view[q], radius) ==
                  (within > 0 ? ranked[0].second : NeighbourIndex::none));
        }
    }
}

TEST_CASE("counts of neighbours agree with a plain search, bounds included") {
    for (std::uint32_t number = 0; number < 6; ++number) {
        const std::size_t dimension = 1 + number;
        const std::vector<double> coordinates = lattice_points(300, dimension, number);
        const PointView points{coordinates, dimension};
        for (const double radius : {0.1, 0.2, 0.5}) {
            for (const std::size_t wanted : {1U, 5U, 40U}) {
                std::vector<std::uint8_t> expected;
                for (std::size_t i = 0; i < points.size(); ++i) {
                    std::size_t within = 0;
                    for (std::size_t j = 0; j < points.size(); ++j)
                        within +=
                            squared_distance(points[i], points[j], dimension) <= radius * radius
                                ? 1
                                : 0;
                    expected.push_back(within >= wanted ? 1 : 0);
                }
                CHECK(has_neighbours(points, radius, wanted) == expected);
            }
        }
    }
    CHECK(has_neighbours({{}, 2}, 1.0, 1).empty());
}

TEST_CASE("components agree with a plain search") {
    for (std::uint32_t number = 0; number < 8; ++number) {
        const std::size_t dimension = 2 + number % 4;
        const std::vector<double> coordinates = lattice_points(250, dimension, 50 + number);
        const PointView points{coordinates, dimension};
        for (const double radius : {0.05, 0.1, 0.15, 0.2, 5.0})
            CHECK(radius_components(points, radius) == reference_components(points, radius));
    }
    CHECK(radius_components({{}, 3}, 1.0).empty());
}

TEST_CASE("many equal points are one component") {
    const std::vector<double> coordinates(40'000, 0.5);
    const PointView points{coordinates, 2};
    const auto component = radius_components(points, 1e-3);
    CHECK(std::all_of(component.begin(), component.end(), [](std::int32_t c) { return c == 0; }));
    CHECK(NeighbourIndex(points).nearest(points[7], 1.0) == 0);
}
