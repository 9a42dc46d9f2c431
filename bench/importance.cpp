#include "hdap/network/importance.hpp"

#include "bench.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "hdap/core/text.hpp"
#include "hdap/network/zoo.hpp"
#include "network/filter_distances.hpp"
#include "stopwatch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>

namespace hdap::bench {
namespace {

using network::Criterion;
using network::Tensor;

Tensor random_layer() {
    core::RandomStream random(1, core::StreamId::testing, 0);
    Tensor layer{{256, 256, 3, 3}, {}};
    for (std::size_t i = 0; i < std::size_t{256} * 256 * 9; ++i)
        layer.values.push_back(static_cast<float>(0.02 * random.normal()));
    return layer;
}

std::vector<double> plain_distances(const Tensor& layer) {
    const auto count = static_cast<std::size_t>(layer.shape[0]);
    const std::size_t size = layer.values.size() / count;
    std::vector<double> sums(count, 0.0);
    for (std::size_t a = 0; a < count; ++a)
        for (std::size_t b = 0; b < count; ++b) {
            double square = 0.0;
            for (std::size_t w = 0; w < size; ++w) {
                const double apart = static_cast<double>(layer.values[a * size + w]) -
                                     static_cast<double>(layer.values[b * size + w]);
                square += apart * apart;
            }
            sums[a] += std::sqrt(square);
        }
    return sums;
}

void check_equal(const std::vector<double>& ours, const std::vector<double>& plain) {
    for (std::size_t i = 0; i < plain.size(); ++i)
        if (std::abs(ours[i] - plain[i]) > 1e-7 * plain[i])
            throw core::InternalError(fmt::format("filter {}: {} differs from the plain {}", i,
                                                  core::shortest(ours[i]),
                                                  core::shortest(plain[i])));
}

Result time_both(const std::string& name, const std::string& baseline,
                 const std::function<void()>& ours, const std::function<void()>& theirs) {
    const std::vector<double> seconds =
        fastest_seconds(std::vector{ours, theirs}, 3, 0.02, Clock::thread);
    Result result;
    result.name = name;
    result.value = seconds[0] * 1e3;
    result.unit = "ms";
    result.baseline = baseline;
    result.baseline_value = seconds[1] * 1e3;
    result.ratio = seconds[1] / seconds[0];
    return result;
}

Result bench_distances(bool verify) {
    const Tensor layer = random_layer();
    if (verify) check_equal(network::distances_to_others(layer, 1), plain_distances(layer));
    return time_both(
        "filter_distances", "the plain formula",
        [&] { static_cast<void>(network::distances_to_others(layer, 1)); },
        [&] { static_cast<void>(plain_distances(layer)); });
}

Result bench_criterion() {
    const network::Network resnet = network::make_network({.name = "resnet50"});
    const network::Weights weights = network::initial_weights(resnet, 1);
    const network::SearchSpace space(resnet, {});
    const auto rank = [&](Criterion criterion) {
        return [&, criterion] {
            static_cast<void>(network::rank_channels(resnet, weights, space,
                                                     {.criterion = criterion, .threads = 1}));
        };
    };
    return time_both("resnet50_geometric_median", "l2", rank(Criterion::geometric_median),
                     rank(Criterion::l2));
}

} // namespace

std::vector<Result> bench_importance(bool verify) {
    return {bench_distances(verify), bench_criterion()};
}

} // namespace hdap::bench
