// Surrogates on latencies that somebody measured: MobileNetV1 on one thread of a machine that
// others use, too.
#include "hdap/core/random.hpp"
#include "surrogate/forest.hpp"
#include "surrogate/gbrt_fit.hpp"
#include "surrogate/layer_additive_fit.hpp"
#include "surrogate/owned_network.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

using namespace hdap;
using network::Genome;

namespace {

struct Measured {
    std::vector<Genome> genomes;
    std::vector<double> latency_ms;
};

Measured read_measured(const std::filesystem::path& file) {
    std::ifstream stream(file);
    std::string line;
    std::getline(stream, line);
    Measured measured;
    while (std::getline(stream, line)) {
        std::istringstream cells(line);
        Genome genome;
        for (std::string cell; std::getline(cells, cell, ',');)
            if (genome.size() < 14)
                genome.push_back(std::stoi(cell));
            else
                measured.latency_ms.push_back(std::stod(cell));
        measured.genomes.push_back(std::move(genome));
    }
    return measured;
}

/// Candidates to learn from, and 200 others.
struct Split {
    std::vector<std::size_t> seen;
    std::vector<std::size_t> others;
};

Split split_of(const Measured& measured, std::uint32_t draw, std::size_t seen) {
    core::RandomStream random(17, core::StreamId::testing, draw);
    const auto order = random.permutation(measured.genomes.size());
    return {{order.begin(), order.begin() + static_cast<std::ptrdiff_t>(seen)},
            {order.end() - 200, order.end()}};
}

surrogate::ErrorMetrics compared(const Measured& measured, const Split& split,
                                 const std::vector<double>& predicted) {
    std::vector<double> latency_ms;
    for (const std::size_t i : split.others)
        latency_ms.push_back(measured.latency_ms[i]);
    return surrogate::error_metrics(latency_ms, predicted);
}

surrogate::ErrorMetrics error_of_layers(const Measured& measured, const test::OwnedNetwork& network,
                                        const Split& split) {
    const auto work = surrogate::work_table(network.costs, measured.genomes, 1);
    surrogate::ClusterMeasurements seen;
    for (const std::size_t i : split.seen) {
        seen.candidates.push_back(i);
        seen.latency_ms.push_back(measured.latency_ms[i]);
    }
    auto fit = surrogate::fit_layer_additive(work, {&seen, 1}, 5, 2);
    const surrogate::LayerFunction layers(
        std::make_shared<const surrogate::LayerAdditiveModel>(std::move(fit.model)));
    std::vector<double> predicted;
    for (const std::size_t i : split.others) {
        predicted.push_back(0.0);
        for (std::size_t l = 0; l < work.layers; ++l) {
            double of_layer = 0.0;
            layers.fill(l, work.of(i)[l], {&of_layer, 1});
            predicted.back() += of_layer;
        }
    }
    return compared(measured, split, predicted);
}

surrogate::ErrorMetrics error_of_forests(const Measured& measured,
                                         const test::OwnedNetwork& network, const Split& split) {
    const auto rows_of = [&](const std::vector<std::size_t>& candidates) {
        std::vector<float> rows;
        for (const std::size_t i : candidates)
            for (const double keep : network.space.keep_ratios(measured.genomes[i]))
                rows.push_back(static_cast<float>(keep));
        return rows;
    };
    std::vector<float> targets;
    for (const std::size_t i : split.seen)
        targets.push_back(static_cast<float>(measured.latency_ms[i]));
    const std::size_t genes = network.space.groups().size();
    const auto forest =
        surrogate::fit_gbrt(rows_of(split.seen), split.seen.size(), genes, targets, {});
    const std::vector<float> rows = rows_of(split.others);
    std::vector<double> predicted;
    for (std::size_t i = 0; i < split.others.size(); ++i)
        predicted.push_back(static_cast<double>(
            surrogate::predict_reference(forest, std::span(rows).subspan(i * genes, genes))));
    return compared(measured, split, predicted);
}

} // namespace

TEST_CASE("of measured latencies a sum of layers learns more from 100 than forests do from 500",
          "[shared]") {
    const char* const shared = std::getenv("HDAP_SHARED_DATA");
    const auto file = std::filesystem::path(shared == nullptr ? "" : shared) /
                      "latency/mobilenet_v1-128-cpu-1thread.csv";
    if (!std::filesystem::exists(file)) {
        WARN("skipped: HDAP_SHARED_DATA names no folder with latency/"
             "mobilenet_v1-128-cpu-1thread.csv");
        return;
    }
    const Measured measured = read_measured(file);
    const test::OwnedNetwork network("mobilenet_v1", 1, 1.0, 128);
    REQUIRE(measured.genomes.size() == 700);
    REQUIRE(measured.genomes.front().size() == network.space.groups().size());
    double additive_mape = 0.0;
    double forests_mape = 0.0;
    double additive_tau = 0.0;
    double forests_tau = 0.0;
    for (std::uint32_t draw = 0; draw < 6; ++draw) {
        const auto additive = error_of_layers(measured, network, split_of(measured, draw, 100));
        const auto forests = error_of_forests(measured, network, split_of(measured, draw, 500));
        additive_mape += additive.mape / 6;
        forests_mape += forests.mape / 6;
        additive_tau += additive.kendall_tau / 6;
        forests_tau += forests.kendall_tau / 6;
    }
    CAPTURE(additive_mape, forests_mape, additive_tau, forests_tau);
    CHECK(additive_mape < forests_mape);
    CHECK(additive_tau > forests_tau);
}
