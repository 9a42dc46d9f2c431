#include "hdap/fleet/random_networks.hpp"

#include "hdap/network/zoo.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace hdap;

TEST_CASE("random networks are of the search space, and the first is the unpruned one") {
    const network::SearchSpace space(network::make_network({.name = "mobilenet_v1"}), {});
    for (const auto& genomes :
         {fleet::benchmark_genomes(space, 3, 20), fleet::profile_genomes(space, 3, 20)}) {
        REQUIRE(genomes.size() == 20);
        CHECK(genomes.front() == space.unpruned());
        for (const network::Genome& genome : genomes)
            CHECK_NOTHROW(space.validate(genome));
        CHECK(std::count(genomes.begin(), genomes.end(), space.unpruned()) == 1);
    }
    CHECK(fleet::benchmark_genomes(space, 3, 1) == std::vector<network::Genome>{space.unpruned()});
}

TEST_CASE("a longer list of random networks begins with the shorter one of its purpose and seed") {
    const network::SearchSpace space(network::make_network({.name = "mobilenet_v1"}), {});
    const auto few = fleet::benchmark_genomes(space, 3, 5);
    auto many = fleet::benchmark_genomes(space, 3, 9);
    CHECK(std::equal(few.begin(), few.end(), many.begin()));
    CHECK(fleet::benchmark_genomes(space, 4, 5)[1] != few[1]);
    CHECK(fleet::profile_genomes(space, 3, 5)[1] != few[1]);
}

TEST_CASE("benchmark names tell the unpruned network from the pruned ones") {
    CHECK(fleet::benchmark_names(1) == std::vector<std::string>{"unpruned"});
    CHECK(fleet::benchmark_names(3) ==
          std::vector<std::string>{"unpruned", "pruned-1", "pruned-2"});
}
