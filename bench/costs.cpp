
#include "hdap/network/costs.hpp"

#include "bench.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "hdap/network/search_space.hpp"
#include "hdap/network/zoo.hpp"
#include "stopwatch.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <functional>
#include <string>

namespace hdap::bench {
namespace {

using namespace network;

constexpr std::size_t genomes = 1000;

struct Subject {
    const char* name;
    std::int64_t classes;
    std::int64_t image_size;
};

std::vector<Genome> random_genomes(const SearchSpace& space) {
    std::vector<Genome> result;
    core::RandomStream random(1, core::StreamId::testing);
    for (std::size_t i = 0; i < genomes; ++i) {
        Genome& genome = result.emplace_back();
        for (std::size_t g = 0; g < space.groups().size(); ++g)
            genome.push_back(space.nearest_allowed(
                g, random.uniform() * static_cast<double>(space.groups()[g].channels)));
    }
    return result;
}

/// The same costs, summed over the layers.
NetworkCosts walk(const CostModel& model, const Genome& genome) {
    NetworkCosts sum;
    for (const LayerCosts& layer : model.layers(genome)) {
        sum.macs += layer.macs;
        sum.parameters += layer.parameters;
        sum.peak_activation_elements = std::max(sum.peak_activation_elements, layer.live_elements);
    }
    return sum;
}

Result measure(const Subject& subject, bool verify) {
    const Network network =
        make_network({.name = subject.name,
                      .width = 1.0,
                      .classes = subject.classes,
                      .input_channels = 3,
                      .input_extent = {subject.image_size, subject.image_size}});
    const SearchSpace space(network, {});
    const CostModel model(network, space.structure());
    const std::vector<Genome> candidates = random_genomes(space);
    if (verify)
        for (const Genome& genome : candidates)
            if (model.total(genome) != walk(model, genome))
                throw core::InternalError(
                    fmt::format("the costs of a {} differ from those of its layers", subject.name));
    std::int64_t sink = 0;
    const auto run = [&](const auto& cost) {
        return [&] {
            for (const Genome& genome : candidates)
                sink += cost(genome).macs;
        };
    };
    const auto ours = [&](const Genome& genome) { return model.total(genome); };
    const auto theirs = [&](const Genome& genome) { return walk(model, genome); };
    const std::vector<std::function<void()>> contenders{run(ours), run(theirs)};
    const auto seconds = fastest_seconds(contenders, 7, 0.02, Clock::thread);
    if (sink == 0) throw core::InternalError("networks without multiply-accumulates");
    const auto millions = [](double s) { return static_cast<double>(genomes) / s * 1e-6; };
    return {.name = std::string("costs_") + subject.name,
            .value = millions(seconds[0]),
            .unit = "M genomes/s",
            .baseline = "a walk over the layers",
            .baseline_value = millions(seconds[1]),
            .ratio = seconds[1] / seconds[0],
            .target = std::nullopt};
}

} // namespace

std::vector<Result> bench_costs(bool verify) {
    std::vector<Result> results;
    for (const Subject& subject :
         {Subject{"resnet50", 1000, 224}, {"mobilenet_v1", 1000, 224}, {"yolov8n", 80, 640}})
        results.push_back(measure(subject, verify));
    Result target = results.front();
    target.name = "costs_resnet50_vs_target";
    target.baseline = "what is to be reached";
    target.baseline_value = 1.0;
    target.ratio = target.value;
    target.target = 1.0;
    results.push_back(target);
    return results;
}

} // namespace hdap::bench
