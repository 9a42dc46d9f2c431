#include "hdap/network/torchscript.hpp"

#include "hdap/core/library.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "torch_functions.hpp"

namespace hdap::network {
namespace {

const TorchFunctions& torch() {
    static const auto* const functions = static_cast<const TorchFunctions*>(
        core::library_symbol("torch", "hdap_network_torch_functions",
                             "TorchScript files need it and LibTorch: install hdap as a whole"));
    return *functions;
}

} // namespace

std::vector<std::byte> torchscript_bytes(const Network& network, const Weights& weights,
                                         const std::optional<Normalisation>& normalisation) {
    return torch().write(network, weights, normalisation);
}

void write_torchscript(const std::filesystem::path& path, const Network& network,
                       const Weights& weights, const std::optional<Normalisation>& normalisation) {
    storage::write_atomically(path, torchscript_bytes(network, weights, normalisation));
}

NetworkWithWeights parse_torchscript(std::span<const std::byte> bytes, const std::string& name,
                                     const std::optional<TensorShape>& input) {
    return torch().parse(bytes, name, input);
}

NetworkWithWeights read_torchscript(const std::filesystem::path& path,
                                    const std::optional<TensorShape>& input) {
    return parse_torchscript(storage::read_sealed(path, storage::Seal::optional), path.string(),
                             input);
}

TorchscriptWeights parse_torchscript_weights(std::span<const std::byte> bytes,
                                             const std::string& name) {
    return torch().parse_weights(bytes, name);
}

} // namespace hdap::network
