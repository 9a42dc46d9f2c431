#include "hdap/parallel/communicator.hpp"

#include <catch2/catch.hpp>

#include <numeric>

using namespace hdap;
using parallel::Communicator;

TEST_CASE("an error of the root is thrown on every rank") {
    const auto world = Communicator::world();
    CHECK_THROWS_WITH(world.on_root([] { throw core::ConfigError("x = 3 is wrong"); }),
                      "x = 3 is wrong");
    int runs = 0;
    world.on_root([&] { ++runs; });
    CHECK(runs == (world.is_root() ? 1 : 0));
}

TEST_CASE("of several failing ranks, the lowest one's error is thrown everywhere") {
    const auto world = Communicator::world();
    const int lowest = world.size() > 1 ? 1 : 0;
    try {
        world.on_every_rank([&] {
            if (world.rank() >= lowest)
                throw core::DataError("rank " + std::to_string(world.rank()));
        });
        FAIL("no error");
    } catch (const parallel::AgreedError& error) {
        CHECK(std::string(error.what()) == "rank " + std::to_string(lowest));
        CHECK(error.exit_code() == core::ExitCode::bad_data);
    }
}

TEST_CASE("broadcast gives every rank the root's values") {
    const auto world = Communicator::world();
    std::vector<double> values;
    if (world.is_root()) values = {1.5, 2.5, -3.0};
    world.broadcast(values);
    CHECK(values == std::vector<double>{1.5, 2.5, -3.0});
    std::vector<std::uint8_t> longer(world.is_root() ? 3 : 70, 9);
    const std::uint8_t* const place = longer.data();
    world.broadcast(longer);
    CHECK(longer == std::vector<std::uint8_t>(3, 9));
    CHECK(longer.data() == place); // of large values there is no second copy
    std::vector<std::byte> none;
    world.broadcast(none);
    CHECK(none.empty());
}

TEST_CASE("sum_in_order gives every rank the bits of a plain sum in the items' order") {
    const auto world = Communicator::world();
    // Two million numbers take more than one piece; one number is less than there are ranks.
    for (const auto& [items, size] : std::vector<std::pair<std::size_t, std::size_t>>{
             {1, 5}, {2, 7}, {3, 1}, {5, 1000}, {16, 130'001}, {3, 2'000'003}}) {
        CAPTURE(items, size);
        const auto value = [size = size](std::size_t item, std::size_t i) {
            // Sums that rounding makes depend on their order.
            return static_cast<float>(static_cast<int>((item * size + i) * 2654435761U)) * 1.0e-3F;
        };
        const auto share = parallel::partition(items, world.size(), world.rank());
        std::vector<float> mine;
        for (std::size_t item = share.first; item < share.last; ++item)
            for (std::size_t i = 0; i < size; ++i)
                mine.push_back(value(item, i));
        std::vector<float> total(size);
        world.sum_in_order(items, mine, total);
        std::size_t wrong = 0;
        for (std::size_t i = 0; i < size; ++i) {
            float expected = value(0, i);
            for (std::size_t item = 1; item < items; ++item)
                expected += value(item, i);
            wrong += total[i] == expected ? 0 : 1;
        }
        CHECK(wrong == 0);
    }
    std::vector<float> total(3);
    CHECK_THROWS_AS(world.sum_in_order(0, {}, total), core::InternalError);
}

TEST_CASE("all_gather concatenates parts of different sizes in the order of the ranks") {
    const auto world = Communicator::world();
    const std::vector<double> mine(static_cast<std::size_t>(world.rank()), double(world.rank()));
    std::vector<double> expected;
    for (int rank = 0; rank < world.size(); ++rank)
        expected.insert(expected.end(), static_cast<std::size_t>(rank), double(rank));
    CHECK(world.all_gather(mine) == expected);
}

TEST_CASE("any is true when one rank says so") {
    const auto world = Communicator::world();
    CHECK(world.any(world.rank() == world.size() - 1));
    CHECK_FALSE(world.any(false));
}

TEST_CASE("texts of all ranks reach the root in order") {
    const auto world = Communicator::world();
    const auto texts = world.gather_texts(std::string(static_cast<std::size_t>(world.rank()), 'x'));
    if (!world.is_root()) return;
    REQUIRE(texts.size() == static_cast<std::size_t>(world.size()));
    for (std::size_t rank = 0; rank < texts.size(); ++rank)
        CHECK(texts[rank].size() == rank);
}

TEST_CASE("partition covers all items once with sizes that differ by one at most") {
    for (const std::size_t count : {0, 1, 7, 100}) {
        for (const int ranks : {1, 2, 3, 8}) {
            std::size_t next = 0;
            for (int rank = 0; rank < ranks; ++rank) {
                const auto part = parallel::partition(count, ranks, rank);
                REQUIRE(part.first == next);
                next = part.last;
                CHECK(part.size() >= count / static_cast<std::size_t>(ranks));
                CHECK(part.size() <= count / static_cast<std::size_t>(ranks) + 1);
            }
            CHECK(next == count);
        }
    }
}
