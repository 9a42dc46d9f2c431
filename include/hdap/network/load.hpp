#pragma once

#include "hdap/network/pruned_network.hpp"
#include "hdap/network/weight_files.hpp"
#include "hdap/network/zoo.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace hdap::network {

/// A network as a user names it.
struct NetworkSource {
    /// A name of the zoo, or a file: ONNX (".onnx"), TorchScript (".pt") or HDF5 (".h5", see
    /// write_network). What a file is, is seen from its first bytes.
    std::string network;
    /// For a network of the zoo; its `name` is not looked at.
    ZooRequest zoo = {};
    /// For a file that does not say which images it takes; one that does must say the same.
    std::optional<TensorShape> input = std::nullopt;
    /// ONNX: names of the tensors to stop at, see OnnxImportParameters::outputs.
    std::vector<std::string> stop_at = {};
    /// A file of weights (see load_weights), or empty: those of the network's own file.
    std::string weights = {};
};

/// A network, with the weights that were found for it.
struct LoadedNetwork {
    Network network;
    std::optional<Weights> weights;
    std::optional<Normalisation> normalisation; ///< where a file tells it
};

/// Reads a network and its weights.
/// Throws ConfigError when `source.network` is neither a file nor a name of the zoo (says the
/// nearest), values are out of range or `stop_at` is not for such a file, DataError when a file
/// cannot be read or weights do not fit.
LoadedNetwork load_network(const NetworkSource& source);

/// The formats that save_network knows, by their file names' ends.
std::vector<std::string> network_file_formats();

/// Throws ConfigError when the name of `file` does not end in one of network_file_formats.
void check_network_file_name(const std::filesystem::path& file);

/// Writes a network in the format that the file's name asks for, atomically, with the
/// normalisation.
/// Throws ConfigError as check_network_file_name, InternalError when the file cannot be written.
void save_network(const std::filesystem::path& file, const PrunedNetwork& network,
                  const std::optional<Normalisation>& normalisation = std::nullopt);

} // namespace hdap::network
