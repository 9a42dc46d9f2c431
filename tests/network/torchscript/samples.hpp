#pragma once

#include "hdap/core/random.hpp"
#include "hdap/network/importance.hpp"
#include "hdap/network/prunable.hpp"
#include "network/random_network.hpp"
#include "network/reference_forward.hpp"

// LibTorch has a macro CHECK, too.
#pragma push_macro("CHECK")
#include <torch/script.h>
#pragma pop_macro("CHECK")

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <sstream>
#include <string>
#include <vector>

namespace hdap::network::testing {

/// `count` images for `network`, one after the other.
inline std::vector<float> random_images(const Network& network, std::int64_t count,
                                        std::uint32_t seed) {
    const TensorShape shape = infer_shapes(network).front();
    core::RandomStream random(seed, core::StreamId::testing, 4);
    std::vector<float> images;
    for (std::int64_t i = 0; i < count * shape.channels * shape.extent.height * shape.extent.width;
         ++i)
        images.push_back(static_cast<float>(random.normal()));
    return images;
}

/// The network with random channels of every group dropped; itself where it has no group.
inline PrunedNetwork randomly_pruned(const Network& network, const Weights& weights,
                                     std::uint32_t seed) {
    if (find_pruning_structure(network).groups.empty()) return {network, weights};
    const Prunable prunable = with_weights(make_prunable(network, {}), weights);
    core::RandomStream random(seed, core::StreamId::testing, 5);
    Genome genome;
    for (std::size_t g = 0; g < prunable.space.groups().size(); ++g) {
        const std::vector<std::int32_t> allowed = prunable.space.allowed_counts(g);
        genome.push_back(allowed[random.below(allowed.size())]);
    }
    return prunable.prune(genome);
}

inline torch::jit::Module load_torchscript(std::span<const std::byte> bytes) {
    std::istringstream stream(
        std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    return torch::jit::load(stream);
}

/// The outputs of `module` for `images` of `shape`, one after the other.
inline std::vector<at::Tensor> run_torchscript(torch::jit::Module& module,
                                               const std::vector<float>& images,
                                               const TensorShape& shape) {
    const at::NoGradGuard no_gradients;
    const at::Tensor input = torch::tensor(images).reshape(
        {-1, shape.channels, shape.extent.height, shape.extent.width});
    const c10::IValue result = module.forward({input});
    if (result.isTensor()) return {result.toTensor()};
    std::vector<at::Tensor> outputs;
    for (const c10::IValue& element : result.toTupleRef().elements())
        if (element.isTensor()) outputs.push_back(element.toTensor());
    return outputs;
}

inline std::vector<float> values_of(const at::Tensor& tensor) {
    const at::Tensor values = tensor.contiguous();
    return {values.data_ptr<float>(), values.data_ptr<float>() + values.numel()};
}

/// All outputs of `module` for images of `shape`, one after the other.
inline std::vector<float> torchscript_values(torch::jit::Module& module,
                                             const std::vector<float>& images,
                                             const TensorShape& shape) {
    std::vector<float> result;
    for (const at::Tensor& output : run_torchscript(module, images, shape)) {
        const std::vector<float> values = values_of(output);
        result.insert(result.end(), values.begin(), values.end());
    }
    return result;
}

inline std::vector<std::byte> saved(const torch::jit::Module& module) {
    std::ostringstream stream;
    module.save(stream);
    const std::string text = std::move(stream).str();
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

/// The largest difference, relative to 1 + the value; infinite where the counts differ.
template <class A, class B>
double worst_difference(const std::vector<A>& values, const std::vector<B>& expected) {
    if (values.size() != expected.size()) return INFINITY;
    double worst = 0.0;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto reference = static_cast<double>(expected[i]);
        const double difference = std::abs(static_cast<double>(values[i]) - reference);
        if (std::isnan(difference)) return INFINITY;
        worst = std::max(worst, difference / (1.0 + std::abs(reference)));
    }
    return worst;
}

} // namespace hdap::network::testing
