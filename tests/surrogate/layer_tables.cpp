#include "surrogate/layer_tables.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "hdap/network/zoo.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <vector>

using namespace hdap;
using network::Genome;
using surrogate::LayerTables;

namespace {

struct Case {
    network::Network network;
    network::SearchSpace space;
    network::CostModel costs;
};

Case of_zoo(const std::string& name, std::int64_t divisor) {
    network::Network network = network::make_network({.name = name, .width = 0.25});
    network::SearchSpace space(network, {.divisor = divisor});
    network::CostModel costs(network, space.structure());
    return {std::move(network), std::move(space), std::move(costs)};
}

/// Something that depends on the layer, its costs and the cluster, and adds up with rounding.
void values(std::size_t layer, const network::LayerCosts& costs, std::span<double> of_cluster) {
    for (std::size_t k = 0; k < of_cluster.size(); ++k)
        of_cluster[k] = std::sqrt(static_cast<double>(costs.macs + costs.input_elements) *
                                  (1.0 + static_cast<double>(k))) +
                        0.1 * static_cast<double>(layer);
}

std::vector<Genome> random_genomes(const network::SearchSpace& space, std::size_t count,
                                   bool allowed) {
    core::RandomStream random(5, core::StreamId::testing);
    std::vector<Genome> genomes{space.unpruned(), space.smallest()};
    while (genomes.size() < count) {
        Genome genome;
        for (std::size_t g = 0; g < space.groups().size(); ++g) {
            const std::int64_t channels =
                1 + static_cast<std::int64_t>(
                        random.below(static_cast<std::uint64_t>(space.groups()[g].channels)));
            genome.push_back(allowed ? space.nearest_allowed(g, static_cast<double>(channels))
                                     : static_cast<std::int32_t>(channels));
        }
        genomes.push_back(genome);
    }
    return genomes;
}

} // namespace

TEST_CASE("sums from tables have the bits of plain sums over the layers, on any threads") {
    for (const char* name : {"mobilenet_v1", "resnet20_b", "yolov8n"}) {
        const Case of = of_zoo(name, 4);
        for (const std::size_t clusters : {1, 3, 16, 21}) {
            INFO(name << " on " << clusters << " clusters");
            const LayerTables tables(of.costs, of.space, clusters, values);
            // Counts that the space does not allow, too.
            for (const bool allowed : {true, false}) {
                const auto genomes = random_genomes(of.space, 20, allowed);
                std::vector<double> one(genomes.size() * clusters);
                std::vector<double> three(one.size());
                tables.sum(genomes, three, 3);
                tables.sum(genomes, one, 1); // by now from tables
                CHECK(one == three);
                std::vector<double> plain(clusters);
                for (std::size_t i = 0; i < genomes.size(); ++i) {
                    tables.sum_plainly(genomes[i], plain);
                    CHECK(std::vector<double>(
                              one.begin() + static_cast<std::ptrdiff_t>(i * clusters),
                              one.begin() + static_cast<std::ptrdiff_t>((i + 1) * clusters)) ==
                          plain);
                    double sum = 0.0;
                    std::vector<double> of_layer(clusters);
                    const auto layers = of.costs.layers(genomes[i]);
                    for (std::size_t l = 0; l < layers.size(); ++l) {
                        values(l, layers[l], of_layer);
                        sum += of_layer.back();
                    }
                    CHECK(plain.back() == Approx(sum).epsilon(1e-6));
                }
            }
        }
    }
}

TEST_CASE("sums over layers refuse genomes of another network") {
    const Case of = of_zoo("mobilenet_v1", 1);
    const LayerTables tables(of.costs, of.space, 2, values);
    std::vector<double> sums(2);
    CHECK_THROWS_AS(tables.sum(std::vector<Genome>{{1, 2}}, sums, 1), core::DataError);
    CHECK_THROWS_AS(
        tables.sum(std::vector<Genome>{of.space.unpruned(), of.space.unpruned()}, sums, 1),
        core::DataError);
}
