#include "export_torch.hpp"
#include "hdap/core/error.hpp"
#include "hdap/network/torchscript.hpp"
#include "load_torch.hpp"
#include "reader_torch.hpp"
#include "torch_functions.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace hdap::network {
namespace {

/// Layers may share tensors; each of them gets a copy. This many times the file are enough for
/// networks that people write.
constexpr std::size_t most_copies = 16;
constexpr std::size_t least_budget = std::size_t{1} << 24;

TensorShape input_of(const LoadedModule& loaded, const std::string& name,
                     const std::optional<TensorShape>& given) {
    if (given) return *given;
    if (loaded.input) return *loaded.input;
    throw core::DataError(name + ": a TorchScript file does not tell the shape of the images that "
                                 "its network takes; give their channels, height and width");
}

bool all_begin_with(const Weights& weights, std::string_view prefix) {
    return !weights.empty() && std::all_of(weights.begin(), weights.end(), [&](const auto& entry) {
        return entry.first.starts_with(prefix);
    });
}

NetworkWithWeights read_program(std::span<const std::byte> bytes, const std::string& name,
                                const std::optional<TensorShape>& input) {
    const LoadedModule loaded = load_module(bytes, name);
    NetworkAssembly assembly(std::filesystem::path(name).stem().string(),
                             input_of(loaded, name, input),
                             least_budget + most_copies * bytes.size());
    std::vector<std::size_t> outputs = as_data_error(name, "read the program", [&] {
        return torchscript::Reader(name, assembly).run(loaded.module);
    });
    PrunedNetwork network = std::move(assembly).finish(std::move(outputs));
    check_values(network.network, network.weights, name);
    return {std::move(network), loaded.normalisation};
}

TorchscriptWeights read_tensors(std::span<const std::byte> bytes, const std::string& name) {
    const LoadedModule loaded = load_module(bytes, name);
    return as_data_error(name, "read the tensors", [&] {
        Weights weights;
        for (const auto& attribute : loaded.module.named_attributes()) {
            if (!attribute.value.isTensor() || !attribute.value.toTensor().defined()) continue;
            const at::Tensor tensor = attribute.value.toTensor();
            if (!at::isFloatingType(tensor.scalar_type())) continue;
            check_tensor(tensor, fmt::format("{}: tensor '{}'", name, attribute.name));
            weights.emplace(attribute.name, to_floats(tensor));
        }
        constexpr std::string_view wrapper = "module.";
        while (all_begin_with(weights, wrapper)) {
            Weights unwrapped;
            for (auto& [key, tensor] : weights)
                unwrapped.emplace(key.substr(wrapper.size()), std::move(tensor));
            weights = std::move(unwrapped);
        }
        return TorchscriptWeights{std::move(weights), loaded.normalisation};
    });
}

} // namespace
} // namespace hdap::network

const hdap::network::TorchFunctions hdap_network_torch_functions{
    .write = &hdap::network::written_archive,
    .parse = &hdap::network::read_program,
    .parse_weights = &hdap::network::read_tensors};
