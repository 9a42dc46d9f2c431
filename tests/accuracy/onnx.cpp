#include "hdap/network/onnx.hpp"

#include "hdap/accuracy/inference.hpp"
#include "hdap/core/random.hpp"
#include "hdap/network/prunable.hpp"
#include "hdap/network/zoo.hpp"
#include "network/onnx/networks.hpp"
#include "network/onnx/operators.hpp"
#include "network/onnxruntime.hpp"
#include "network/random_network.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <string>

using namespace hdap;
using network::Network;
using network::PrunedNetwork;
using network::Weights;

namespace {

struct Sample {
    std::string name;
    PrunedNetwork model;
};

/// Every network of the zoo, small.
std::vector<Sample> zoo_samples() {
    std::vector<Sample> samples;
    for (const std::string& name : network::zoo_names()) {
        const bool large = name == "yolov8n" || name == "vgg16";
        const Network network = network::make_network({.name = name,
                                                       .width = 0.25,
                                                       .classes = 7,
                                                       .input_channels = 3,
                                                       .input_extent = {large ? 64 : 33, 40}});
        samples.push_back({name, {network, network::testing::random_weights(network, 3)}});
    }
    return samples;
}

std::vector<Sample> random_samples(std::uint32_t count) {
    std::vector<Sample> samples;
    for (std::uint32_t seed = 0; seed < count; ++seed) {
        const Network network = network::testing::random_network(seed);
        samples.push_back({"random network " + std::to_string(seed),
                           {network, network::testing::random_weights(network, seed)}});
    }
    return samples;
}

/// The network with a random number of channels left in every group; itself where it has none.
PrunedNetwork pruned(const PrunedNetwork& model, std::uint32_t seed) {
    if (network::find_pruning_structure(model.network).groups.empty()) return model;
    const network::Prunable prunable = network::with_weights(
        network::make_prunable(model.network, {.min_keep = 0.3}), model.weights);
    const network::SearchSpace& space = prunable.space;
    core::RandomStream random(seed, core::StreamId::testing, 5);
    network::Genome genome;
    for (std::size_t g = 0; g < space.groups().size(); ++g) {
        const auto allowed = space.allowed_counts(g);
        genome.push_back(allowed[random.below(allowed.size())]);
    }
    return prunable.prune(genome);
}

std::vector<Sample> with_pruned(std::vector<Sample> samples) {
    const std::size_t count = samples.size();
    for (std::size_t i = 0; i < count; ++i)
        samples.push_back({samples[i].name + ", pruned",
                           pruned(samples[i].model, static_cast<std::uint32_t>(i))});
    return samples;
}

std::vector<std::int64_t> batch_shape(const Network& network, std::int64_t batch) {
    const auto [channels, extent] = network::infer_shapes(network).front();
    return {batch, channels, extent.height, extent.width};
}

/// The shape of images as the model takes them: Keras' have their channel last.
std::vector<std::int64_t> batch_shape(network::testing::OnnxGraph& graph, std::int64_t batch) {
    std::vector<std::int64_t> shape;
    for (const auto& dim : graph.proto().graph().input(0).type().tensor_type().shape().dim())
        shape.push_back(dim.dim_value());
    shape[0] = batch;
    return shape;
}

std::vector<float> random_images(const Network& network, std::int64_t batch) {
    std::int64_t count = 1;
    for (const std::int64_t size : batch_shape(network, batch))
        count *= size;
    core::RandomStream random(static_cast<std::uint64_t>(count), core::StreamId::testing, 6);
    std::vector<float> images;
    for (std::int64_t i = 0; i < count; ++i)
        images.push_back(static_cast<float>(random.normal()));
    return images;
}

std::vector<float> outputs_of(const PrunedNetwork& model, const std::vector<float>& images) {
    std::vector<float> values;
    for (const auto& output : accuracy::run_network(model.network, model.weights, images))
        values.insert(values.end(), output.begin(), output.end());
    return values;
}

/// The largest difference, relative to the largest value.
double difference(const std::vector<float>& a, const std::vector<float>& b) {
    CHECK(a.size() == b.size());
    if (a.size() != b.size()) return INFINITY;
    double largest = 1e-6;
    double worst = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        largest = std::max(largest, std::abs(static_cast<double>(a[i])));
        const double apart = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
        worst = std::max(worst, std::isfinite(apart) ? apart : INFINITY);
    }
    return worst / largest;
}

} // namespace

TEST_CASE("a network is the same after it was written as ONNX and read again") {
    std::vector<Sample> samples = zoo_samples();
    for (Sample& sample : random_samples(100))
        samples.push_back(std::move(sample));
    for (const auto& [name, model] : with_pruned(std::move(samples))) {
        CAPTURE(name);
        const auto bytes = network::encode_onnx(model.network, model.weights);
        const PrunedNetwork again = network::decode_onnx(bytes, name);
        const std::vector<float> images = random_images(model.network, 2);
        CHECK(difference(outputs_of(model, images), outputs_of(again, images)) < 1e-4);
    }
}

TEST_CASE("ONNX Runtime computes what LibTorch does of every network that is written") {
    std::vector<Sample> samples = zoo_samples();
    for (Sample& sample : random_samples(100))
        samples.push_back(std::move(sample));
    samples = with_pruned(std::move(samples));
    network::testing::OnnxRuntime runtime;
    struct Run {
        std::string name;
        std::vector<float> expected;
    };
    std::vector<Run> runs;
    for (const auto& [name, model] : samples)
        for (const std::int64_t opset : {13, 17}) {
            // Batches and folding vary with the opset, so that each runs with both.
            const bool other = (runs.size() / 2 + (opset == 17)) % 2 == 0;
            const std::int64_t batch = other ? 3 : 1;
            const std::vector<float> images = random_images(model.network, batch);
            runtime.add(network::encode_onnx(model.network, model.weights,
                                             {.opset = opset, .fold_batch_norm = other}),
                        batch_shape(model.network, batch), images);
            runs.push_back({name + ", opset " + std::to_string(opset), outputs_of(model, images)});
        }
    const auto results = runtime.run();
    if (!results) {
        WARN("skipped: node or onnxruntime-node is not installed");
        return;
    }
    for (std::size_t i = 0; i < runs.size(); ++i) {
        CAPTURE(runs[i].name);
        CHECK((*results)[i].error.empty());
        INFO((*results)[i].error);
        CHECK(difference(runs[i].expected, (*results)[i].values) < 1e-3);
    }
}

namespace {

/// The sample's model, which returns what the sample stops at.
std::vector<std::byte> model_of(network::testing::OnnxSample& sample) {
    if (!sample.outputs.empty()) sample.graph.proto().mutable_graph()->clear_output();
    for (const std::string& output : sample.outputs)
        sample.graph.output(output);
    return sample.graph.bytes();
}

/// The weights with zeros wherever a convolution or linear layer reads channels that are not kept.
Weights without_dropped(const PrunedNetwork& model, const network::SearchSpace& space,
                        const std::vector<std::vector<std::int32_t>>& ranked,
                        const network::Genome& genome) {
    Weights weights = model.weights;
    for (const network::Node& node : model.network.nodes) {
        const bool reads_all = node.op == network::Operator::linear ||
                               (node.op == network::Operator::conv2d && node.groups == 1);
        if (!reads_all) continue;
        network::Tensor& weight = weights.at(node.name + ".weight");
        const auto& channels = space.structure().channel_of[node.inputs[0]];
        const std::size_t row = weight.values.size() / static_cast<std::size_t>(weight.shape[0]);
        const std::size_t cell = row / channels.size();
        for (std::size_t c = 0; c < channels.size(); ++c) {
            if (channels[c].group < 0) continue;
            const auto g = static_cast<std::size_t>(channels[c].group);
            const auto rank = std::find(ranked[g].begin(), ranked[g].end(), channels[c].channel);
            if (rank - ranked[g].begin() < genome[g]) continue;
            for (std::size_t first = c * cell; first < weight.values.size(); first += row)
                std::fill_n(weight.values.begin() + static_cast<std::ptrdiff_t>(first), cell, 0.0F);
        }
    }
    return weights;
}

} // namespace

TEST_CASE("networks of exporters compute, after import, what ONNX Runtime computes of them") {
    network::testing::OnnxRuntime runtime;
    struct Run {
        std::string name;
        std::vector<float> expected;
    };
    std::vector<Run> runs;
    for (network::testing::OnnxSample& sample : network::testing::onnx_samples()) {
        const auto bytes = model_of(sample);
        const PrunedNetwork model = network::decode_onnx(
            bytes, sample.name, {.input_extent = {}, .outputs = sample.outputs});
        const std::int64_t fixed =
            sample.graph.proto().graph().input(0).type().tensor_type().shape().dim(0).dim_value();
        const std::int64_t batch = fixed > 0 ? fixed : 3;
        const std::vector<float> images = random_images(model.network, batch);
        const auto shape = batch_shape(model.network, batch);
        runs.push_back({sample.name, outputs_of(model, images)});
        runtime.add(bytes, batch_shape(sample.graph, batch), images);
        const PrunedNetwork smaller = pruned(model, 1);
        runs.push_back({sample.name + ", pruned and written", outputs_of(smaller, images)});
        runtime.add(network::encode_onnx(smaller.network, smaller.weights), shape, images);
    }
    const auto results = runtime.run();
    if (!results) {
        WARN("skipped: node or onnxruntime-node is not installed");
        return;
    }
    for (std::size_t i = 0; i < runs.size(); ++i) {
        CAPTURE(runs[i].name);
        CHECK((*results)[i].error == "");
        CHECK(difference(runs[i].expected, (*results)[i].values) < 1e-3);
    }
}

TEST_CASE(
    "operators in all their forms compute, after import, what ONNX Runtime computes of them") {
    network::testing::OnnxRuntime runtime;
    std::vector<std::pair<std::string, std::vector<float>>> expected;
    for (const network::testing::OperatorSample& sample : network::testing::operator_samples()) {
        CAPTURE(sample.name);
        const auto bytes = sample.graph.bytes();
        const PrunedNetwork model = network::decode_onnx(bytes, sample.name);
        const std::vector<float> images = random_images(model.network, 1);
        expected.emplace_back(sample.name, outputs_of(model, images));
        runtime.add(bytes, batch_shape(model.network, 1), images);
    }
    const auto results = runtime.run();
    if (!results) {
        WARN("skipped: node or onnxruntime-node is not installed");
        return;
    }
    for (std::size_t i = 0; i < expected.size(); ++i) {
        CAPTURE(expected[i].first);
        CHECK((*results)[i].error == "");
        CHECK(difference(expected[i].second, (*results)[i].values) < 1e-4);
    }
}

TEST_CASE("pruning channels that are not read does not change an imported network") {
    for (network::testing::OnnxSample& sample : network::testing::onnx_samples()) {
        CAPTURE(sample.name);
        const PrunedNetwork model = network::decode_onnx(
            model_of(sample), sample.name, {.input_extent = {}, .outputs = sample.outputs});
        for (const std::string& layer : sample.layers)
            CHECK_NOTHROW(network::node_named(model.network, layer));
        network::Prunable prunable =
            network::with_weights(network::make_prunable(model.network, {}), model.weights);
        const network::Genome genome = prunable.space.uniform(0.5);
        REQUIRE(genome != prunable.space.unpruned());
        const Weights silent =
            without_dropped(model, prunable.space, prunable.ranked_channels, genome);
        prunable.weights = silent;
        const PrunedNetwork smaller = prunable.prune(genome);
        const std::vector<float> images = random_images(model.network, 2);
        CHECK(difference(outputs_of({model.network, silent}, images), outputs_of(smaller, images)) <
              1e-4);
    }
}
