
#include "bench.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "stopwatch.hpp"
#include "surrogate/forest_kernel.hpp"
#include "surrogate/gbrt_fit.hpp"

#include <functional>
#include <string>

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

} // namespace

std::vector<Result> bench_surrogate(bool verify) {
    return {bench_depth("surrogate_predict_vs_xgboost", 3, verify),
            bench_depth("surrogate_predict_depth6_vs_xgboost", 6, verify)};
}

} // namespace hdap::bench
