
#include "bench.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "hdap/network/zoo.hpp"
#include "stopwatch.hpp"
#include "surrogate/forest_kernel.hpp"
#include "surrogate/gbrt_fit.hpp"
#include "surrogate/layer_additive_surrogate.hpp"

#include <algorithm>
#include <functional>
#include <span>
#include <string>
#include <utility>

namespace hdap::bench {
namespace {

using namespace surrogate;

constexpr std::size_t training_rows = 500;
constexpr std::size_t rows = 10'000;
constexpr std::size_t genes = 16;
constexpr std::size_t clusters = 8;

/// [count][genes] keep ratios k/16.
std::vector<float> random_keep_ratios(std::size_t count, std::uint32_t draw) {
    constexpr std::uint64_t levels = 16;
    core::RandomStream stream(1, core::StreamId::testing, draw);
    std::vector<float> ratios(count * genes);
    for (float& ratio : ratios)
        ratio = static_cast<float>(1 + stream.below(levels)) / static_cast<float>(levels);
    return ratios;
}

/// Relative latencies of a network whose layers' costs grow with the product of neighbouring
/// genes, differently on each cluster.
std::vector<float> relative_latencies(const std::vector<float>& ratios, std::size_t cluster) {
    core::RandomStream stream(2, core::StreamId::testing, static_cast<std::uint32_t>(cluster));
    std::vector<float> cost(genes);
    for (float& layer : cost)
        layer = static_cast<float>(stream.uniform());
    std::vector<float> latencies(ratios.size() / genes);
    for (std::size_t i = 0; i < latencies.size(); ++i) {
        const float* const ratio = ratios.data() + i * genes;
        float sum = 0.1F;
        for (std::size_t g = 0; g + 1 < genes; ++g)
            sum += cost[g] * ratio[g] * ratio[g + 1] / static_cast<float>(genes);
        latencies[i] = sum;
    }
    return latencies;
}

struct Contenders {
    std::vector<XgboostBooster> boosters; ///< [cluster]
    ForestKernel kernel;                  ///< the same forests
    std::vector<double> scale = std::vector<double>(clusters, 1.0);
};

Contenders fit(std::int64_t depth) {
    const std::vector<float> features = random_keep_ratios(training_rows, 0);
    const GbrtParameters parameters{.depth = depth};
    std::vector<XgboostBooster> boosters;
    std::vector<Forest> forests;
    for (std::size_t k = 0; k < clusters; ++k) {
        const std::vector<float> targets = relative_latencies(features, k);
        boosters.push_back(train_gbrt(features, training_rows, genes, targets, parameters));
        forests.push_back(forest_of(boosters.back(), genes, gbrt_base_score(targets)));
    }
    return {std::move(boosters), ForestKernel(std::move(forests))};
}

void compare_bitwise(const Contenders& contenders, const std::vector<float>& features) {
    std::vector<double> ours(rows * clusters);
    contenders.kernel.predict(features, rows, contenders.scale, ours, 1);
    for (std::size_t k = 0; k < clusters; ++k) {
        const std::span<const float> theirs = contenders.boosters[k].predict(features, rows, genes);
        for (std::size_t i = 0; i < rows; ++i) {
            if (ours[i * clusters + k] != static_cast<double>(theirs[i]))
                throw core::InternalError("the surrogates' kernel differs from XGBoost in row " +
                                          std::to_string(i) + ", cluster " + std::to_string(k));
        }
    }
}

Result bench_depth(const std::string& name, std::int64_t depth, bool verify) {
    const Contenders contenders = fit(depth);
    const std::vector<float> features = random_keep_ratios(rows, 1);
    if (verify) compare_bitwise(contenders, features);
    std::vector<double> latency_ms(rows * clusters);
    const std::vector<std::function<void()>> work{
        [&] { contenders.kernel.predict(features, rows, contenders.scale, latency_ms, 1); },
        [&] {
            for (const XgboostBooster& booster : contenders.boosters)
                static_cast<void>(booster.predict(features, rows, genes));
        }};
    const std::vector<double> seconds = fastest_seconds(work, 7, 0.02, Clock::thread);
    const auto trees = static_cast<double>(clusters * contenders.kernel.forests()[0].trees());
    const double to_ns = 1e9 / (static_cast<double>(rows) * trees);
    return {.name = name,
            .value = seconds[0] * to_ns,
            .unit = "ns per row and tree",
            .baseline = "XGBoost " + xgboost_version() + ", 1 thread",
            .baseline_value = seconds[1] * to_ns,
            .ratio = seconds[1] / seconds[0],
            .target = 5.0};
}

/// ResNet50 whose layers keep multiples of 8 channels.
struct Resnet50 {
    network::Network network = network::make_network({.name = "resnet50"});
    network::SearchSpace space{network, {.divisor = 8}};
    network::CostModel costs{network, space.structure()};

    [[nodiscard]] std::vector<network::Genome> random_genomes(std::size_t count) const {
        core::RandomStream stream(3, core::StreamId::testing);
        std::vector<network::Genome> genomes(count);
        for (network::Genome& genome : genomes)
            for (std::size_t g = 0; g < space.groups().size(); ++g) {
                const auto counts = space.allowed_counts(g);
                genome.push_back(counts[stream.below(counts.size())]);
            }
        return genomes;
    }

    /// Rooflines of clusters that differ a little in every rate.
    [[nodiscard]] LayerAdditiveSurrogate sum_of_layers(std::size_t of_clusters) const {
        core::RandomStream stream(4, core::StreamId::testing);
        LayerAdditiveModel model;
        model.form = {.padding = 2, .overlap = Overlap::square};
        for (std::size_t k = 0; k < of_clusters; ++k) {
            LogRates& rates = model.log_rates.emplace_back();
            for (double& rate : rates)
                rate = 0.3 * stream.normal();
            rates[rate_launch] -= 4.0;
        }
        const auto layers = static_cast<Eigen::Index>(costs.layers(space.unpruned()).size());
        model.weights = roofline_weights().transpose().replicate(layers, 1);
        return {std::move(model), {}, std::vector<ErrorMetrics>(of_clusters), {space, costs}};
    }
};

void compare_with_plain(const LayerAdditiveSurrogate& surrogate,
                        std::span<const network::Genome> genomes,
                        std::span<const double> latency_ms) {
    std::vector<double> plain(surrogate.clusters());
    for (std::size_t i = 0; i < genomes.size(); i += 100) {
        surrogate.tables().sum_plainly(genomes[i], plain);
        if (!std::ranges::equal(plain, latency_ms.subspan(i * plain.size(), plain.size())))
            throw core::InternalError("tables of layers differ from plain sums in genome " +
                                      std::to_string(i));
    }
}

/// Latencies on all clusters, multiply-accumulates and parameters of random genomes.
std::vector<Result> bench_sums(const Resnet50& resnet, std::size_t of_clusters, double goal,
                               bool verify) {
    constexpr std::size_t count = 20'000;
    const LayerAdditiveSurrogate surrogate = resnet.sum_of_layers(of_clusters);
    const auto genomes = resnet.random_genomes(count);
    std::vector<double> latency_ms(count * of_clusters);
    std::vector<network::NetworkCosts> costs(count);
    const auto work = [&](int threads) {
        surrogate.predict(genomes, latency_ms, threads);
#pragma omp parallel for schedule(static) num_threads(threads)
        for (std::size_t i = 0; i < count; ++i)
            costs[i] = resnet.costs.total(genomes[i]);
    };
    work(2); // fills the tables
    if (verify) compare_with_plain(surrogate, genomes, latency_ms);
    const std::string name = "additive_k" + std::to_string(of_clusters);
    const std::vector<std::function<void()>> runs{[&] { work(1); }, [&] { work(2); }};
    const double one = fastest_seconds(std::span(runs).first(1), 7, 0.02, Clock::thread)[0];
    const std::vector<double> wall = fastest_seconds(runs, 7, 0.02, Clock::wall);
    const auto per_s = static_cast<double>(count) / one;
    return {{.name = name + "_genomes_per_s",
             .value = per_s,
             .unit = "genomes per second and thread",
             .baseline = "what is to be reached",
             .baseline_value = goal,
             .ratio = per_s / goal,
             .target = 1.0},
            {.name = name + "_two_threads",
             .value = static_cast<double>(count) / wall[1],
             .unit = "genomes per second",
             .baseline = "one thread",
             .baseline_value = static_cast<double>(count) / wall[0],
             .ratio = wall[0] / wall[1],
             .target = 1.9}};
}

} // namespace

std::vector<Result> bench_surrogate(bool verify) {
    std::vector<Result> results{bench_depth("surrogate_predict_vs_xgboost", 3, verify),
                                bench_depth("surrogate_predict_depth6_vs_xgboost", 6, verify)};
    const Resnet50 resnet;
    for (const auto& [of_clusters, goal] : {std::pair{16, 2e6}, std::pair{128, 3e5}})
        for (Result& result :
             bench_sums(resnet, static_cast<std::size_t>(of_clusters), goal, verify))
            results.push_back(std::move(result));
    return results;
}

} // namespace hdap::bench
