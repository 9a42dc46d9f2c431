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
