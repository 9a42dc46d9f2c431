#include <cstdio>
#include <hdap/core/version.hpp>
#include <hdap/network/costs.hpp>
#include <hdap/network/search_space.hpp>
#include <hdap/network/zoo.hpp>
#include <hdap/search/hypervolume.hpp>
#include <hdap/surrogate/surrogate.hpp>
#include <vector>

int main() {
    const auto network = hdap::network::make_network({.name = "mobilenet_v1"});
    const hdap::network::SearchSpace space(network, {});
    const hdap::network::CostModel costs(network, space.structure());
    const std::vector<double> points{0.5, 0.5};
    const std::vector<double> reference{1.0, 1.0};
    const hdap::fleet::Profile profile{.group_names = {"conv"},
                                       .genomes = {{8}, {4}, {2}},
                                       .clusters = 1,
                                       .latency_ms = {1.0, 0.6, 0.4}};
    const auto surrogate = hdap::surrogate::fit_surrogate(profile, {.kind = "gbrt", .gbrt = {}}, {space, costs}, 1);
    std::printf("hdap %s: %lld MACs, hypervolume %g, surrogates for %zu cluster\n",
                hdap::core::version.data(),
                static_cast<long long>(costs.total(space.unpruned()).macs),
                hdap::search::hypervolume(points, 2, reference), surrogate->clusters());
    return costs.total(space.unpruned()).macs == 568'740'352 ? 0 : 1;
}
