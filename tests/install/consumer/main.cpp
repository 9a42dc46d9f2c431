#include <cstdio>
#include <hdap/core/version.hpp>
#include <hdap/network/costs.hpp>
#include <hdap/network/search_space.hpp>
#include <hdap/network/zoo.hpp>
#include <hdap/search/hypervolume.hpp>
#include <hdap/surrogate/gbrt.hpp>
#include <vector>

int main() {
    const auto network = hdap::network::make_network({.name = "mobilenet_v1"});
    const hdap::network::SearchSpace space(network, {});
    const hdap::network::CostModel costs(network, space.structure());
    const std::vector<double> points{0.5, 0.5};
    const std::vector<double> reference{1.0, 1.0};
    const std::vector<float> features{0.0F, 1.0F};
    const std::vector<float> targets{1.0F, 2.0F};
    const auto forest = hdap::surrogate::fit_gbrt(features, 2, 1, targets, {.trees = 3});
    std::printf("hdap %s: %lld MACs, hypervolume %g, %zu trees\n", hdap::core::version.data(),
                static_cast<long long>(costs.total(space.unpruned()).macs),
                hdap::search::hypervolume(points, 2, reference), forest.trees());
    return costs.total(space.unpruned()).macs == 568'740'352 ? 0 : 1;
}
