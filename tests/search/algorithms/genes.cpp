#include "search/algorithms/genes.hpp"

#include "hdap/core/error.hpp"
#include "search/small_space.hpp"

#include <catch2/catch.hpp>

#include <set>
#include <vector>

using namespace hdap::search;
using hdap::core::ConfigError;
using hdap::network::Genome;
using hdap::network::Network;
using hdap::network::SearchSpace;
using testing::bottleneck_network;
using testing::chain_network;
using testing::small_space;

namespace {

using Layout = std::vector<std::vector<std::size_t>>;

// Groups: the shortcuts' 32 channels; 48 and 64 in the first bottleneck, 48 and 64 in the second.
const Network network = bottleneck_network(2);
const SearchSpace space(network, {.min_keep = 0.25, .divisor = 8});

Genes genes_in(GeneLayout layout) {
    return genes_of({.genes = layout}, {network, space, {}, 0});
}

} // namespace

TEST_CASE("blocks as genes are refused where the network has none") {
    const Network chain = chain_network(1, 64);
    const SearchSpace without = small_space(1);
    CHECK_NOTHROW(genes_of({}, {chain, without, {}, 0}));
    CHECK_THROWS_AS(genes_of({.genes = GeneLayout::block}, {chain, without, {}, 0}), ConfigError);
}

TEST_CASE("a gene is a pruning group, or a block led by its largest group") {
    REQUIRE(space.unpruned() == Genome{32, 48, 64, 48, 64});
    const Genes groups = genes_in(GeneLayout::group);
    CHECK(groups.groups_of == Layout{{0}, {1}, {2}, {3}, {4}});
    CHECK(groups.lead == std::vector<std::size_t>{0, 1, 2, 3, 4});
    CHECK(groups.smallest == space.smallest());
    const Genes blocks = genes_in(GeneLayout::block);
    CHECK(blocks.groups_of == Layout{{1, 2}, {3, 4}});
    CHECK(blocks.lead == std::vector<std::size_t>{2, 4});
    CHECK(blocks.allowed[0] == space.allowed_counts(2));
    // What no gene prunes keeps all channels.
    CHECK(blocks.unpruned == space.unpruned());
    CHECK(blocks.smallest == Genome{32, 16, 16, 16, 16});
    CHECK(Genes(space, {{3, 1}}).lead == std::vector<std::size_t>{3});
}

TEST_CASE("the groups of a gene keep the same share, each rounded to its own counts") {
    const Genes blocks = genes_in(GeneLayout::block);
    Genome genome = space.unpruned();
    blocks.keep(genome, 0, 0.6);
    CHECK(genome == Genome{32, 32, 40, 48, 64}); // of 28.8 and 38.4
    CHECK(blocks.value(genome, 0) == 40);
    CHECK(blocks.value(genome, 1) == 64);
    blocks.set(genome, 1, 24);
    CHECK(genome == Genome{32, 32, 40, 16, 24}); // of 18
    CHECK(blocks.ratio(1, 24) == 0.375);
    CHECK(blocks.lowest_ratio(1) == 0.25);
    CHECK(blocks.nearest(1, 0.6) == 40);
    CHECK(blocks.neighbour(1, 24, true) == 32);
    CHECK(blocks.neighbour(1, 64, true) == 64);
    CHECK(blocks.neighbour(1, 16, false) == 16);
    CHECK(blocks.uniform(0.5) == Genome{32, 24, 32, 24, 32});
    CHECK(genes_in(GeneLayout::group).uniform(0.5) == space.uniform(0.5));
}

TEST_CASE("every value of a gene can be set") {
    for (const std::int64_t divisor : {1, 3, 8, 48, 64}) {
        const SearchSpace other(network, {.min_keep = 0.1, .divisor = divisor});
        const Genes genes(other, {{1, 2}, {0}, {3}});
        for (std::size_t gene = 0; gene < genes.count(); ++gene) {
            CHECK(genes.is_fixed(gene) == (genes.allowed[gene].size() == 1));
            for (const std::int32_t value : genes.allowed[gene]) {
                Genome genome = genes.unpruned;
                genes.set(genome, gene, value);
                CHECK(genes.value(genome, gene) == value);
                CHECK_NOTHROW(other.validate(genome));
            }
        }
    }
}

TEST_CASE("counting up reaches every genome that is free, and none when all are taken") {
    for (const GeneLayout layout : {GeneLayout::group, GeneLayout::block}) {
        const Genes genes = genes_in(layout);
        std::size_t all = 1;
        for (const auto& values : genes.allowed)
            all *= values.size();
        std::set<Genome> met{genes.unpruned};
        const Taken taken = [&](const Genome& genome) { return met.contains(genome); };
        while (const auto next = next_free(genes, genes.unpruned, taken, all + 1))
            met.insert(*next);
        CHECK(met.size() == all);
    }
}
