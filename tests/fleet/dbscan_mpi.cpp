#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "hdap/fleet/dbscan_team.hpp"

#include <catch2/catch.hpp>

using namespace hdap;

TEST_CASE("DBSCAN on several ranks gives every rank the labels of one") {
    const auto world = parallel::Communicator::world();
    std::vector<double> coordinates;
    if (world.is_root()) {
        core::RandomStream random(41, core::StreamId::testing);
        for (std::size_t i = 0; i < 20'000; ++i) {
            // Groups in a row, with stragglers between them and all around.
            const bool stray = random.below(20) == 0;
            const double centre = static_cast<double>(random.below(6));
            for (std::size_t d = 0; d < 3; ++d)
                coordinates.push_back(stray ? 6.0 * random.uniform()
                                            : (d == 0 ? centre : 3.0) + 0.15 * random.normal());
        }
    }
    world.broadcast(coordinates);
    const fleet::PointView points{coordinates, 3};
    for (const double eps : {0.05, 0.12, 0.4}) {
        const auto alone = fleet::dbscan(points, eps, 20);
        const auto together = fleet::dbscan(points, eps, 20, world);
        CHECK(alone.clusters > 0);
        CHECK(together.clusters == alone.clusters);
        CHECK(together.label == alone.label);
    }
    // Ranks without a share, and nothing at all.
    const fleet::PointView one{std::span(coordinates).first(3), 3};
    CHECK(fleet::dbscan(one, 0.1, 1, world).label == std::vector<std::int32_t>{0});
    CHECK(fleet::dbscan({{}, 3}, 0.1, 1, world).clusters == 0);
}

TEST_CASE("ranks that serve help the root with each DBSCAN, until it is done or fails") {
    const auto world = parallel::Communicator::world();
    const auto root_clusters = [&](bool fails) {
        world.on_every_rank([&] {
            const fleet::DbscanTeam team(world);
            if (!world.is_root()) return team.serve();
            core::RandomStream random(43, core::StreamId::testing);
            std::vector<double> coordinates;
            for (std::size_t i = 0; i < 3'000; ++i)
                coordinates.push_back(static_cast<double>(random.below(4)) + 0.1 * random.normal());
            const fleet::PointView points{coordinates, 1};
            for (const std::size_t fewest : {0U, 5'000U}) { // with the others, and alone
                const auto alone = fleet::dbscan(points, 0.02, 20);
                const auto found = team.dbscan(fewest)(points, 0.02, 20);
                CHECK(alone.clusters == 4);
                CHECK(found.label == alone.label);
            }
            if (fails) throw core::DataError("the fleet is damaged");
        });
    };
    root_clusters(false);
    CHECK_THROWS_WITH(root_clusters(true), "the fleet is damaged");
}
