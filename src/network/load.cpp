#include "hdap/network/load.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "hdap/network/network_file.hpp"
#include "hdap/network/onnx.hpp"
#include "hdap/network/torchscript.hpp"
#include "hdap/storage/schema.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "hdap/storage/user_file.hpp"
#include "network/torchscript/archive.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <fstream>

namespace hdap::network {
namespace {

namespace fs = std::filesystem;

enum class Format { hdf5, torchscript, onnx };

/// By the file's first bytes. Protobuf, and so ONNX, has no mark of its own.
Format format_of(const std::string& file) {
    constexpr std::size_t enough = 1024; // HDF5's signature is behind our seal
    std::vector<std::byte> start(enough);
    std::ifstream stream(file, std::ios::binary);
    stream.read(reinterpret_cast<char*>(start.data()), enough);
    start.resize(static_cast<std::size_t>(std::max<std::streamsize>(0, stream.gcount())));
    if (storage::is_hdf5(start)) return Format::hdf5;
    if (is_zip(start)) return Format::torchscript;
    if (fs::path(file).extension() == ".h5" || fs::path(file).extension() == ".pt")
        throw core::DataError(fmt::format("{}: is not what its name says, or truncated: "
                                          "neither HDF5 nor a TorchScript archive",
                                          file));
    return Format::onnx;
}

[[noreturn]] void refuse_stop(const NetworkSource& source) {
    throw core::ConfigError(fmt::format("'{}' is no ONNX file; only those can be stopped at '{}'",
                                        source.network, source.stop_at.front()));
}

LoadedNetwork read_hdf5(const std::string& name) {
    const auto read = [](const storage::Hdf5Reader& file) -> LoadedNetwork {
        PrunedNetwork network = read_network(file);
        return {std::move(network.network), std::move(network.weights), read_normalisation(file)};
    };
    return read(storage::open_user_file(name, read));
}

LoadedNetwork read_network_file(const NetworkSource& source) {
    const Format format = format_of(source.network);
    if (!source.stop_at.empty() && format != Format::onnx) refuse_stop(source);
    switch (format) {
    case Format::hdf5:
        return read_hdf5(source.network);
    case Format::torchscript: {
        NetworkWithWeights read = read_torchscript(source.network, source.input);
        return {std::move(read.network), std::move(read.weights), std::move(read.normalisation)};
    }
    case Format::onnx:
        break;
    }
    OnnxImportParameters parameters;
    if (source.input) parameters.input_extent = source.input->extent;
    parameters.outputs = source.stop_at;
    NetworkWithWeights read = read_onnx(source.network, parameters);
    return {std::move(read.network), std::move(read.weights), std::move(read.normalisation)};
}

/// Throws DataError when `source` asks for other images than the network's.
void check_input(const NetworkSource& source, const Network& network) {
    if (!source.input) return;
    const TensorShape found = infer_shapes(network).front();
    if (found != *source.input)
        throw core::DataError(fmt::format("{}: takes images with {}, not {}; pack images like that "
                                          "(`hdap data pack`), or export the network for others",
                                          source.network, text_of(found), text_of(*source.input)));
}

[[noreturn]] void refuse(const std::string& network) {
    const std::string shown = network.substr(0, 256);
    const std::vector<std::string> known = zoo_names();
    throw core::ConfigError(
        fmt::format("'{}' is neither a file nor a network of the zoo{}; the zoo has: {}", shown,
                    core::did_you_mean(shown.substr(0, 64), known), core::join(known)));
}

} // namespace

LoadedNetwork load_network(const NetworkSource& source) {
    LoadedNetwork loaded;
    if (is_in_zoo(source.network)) {
        if (!source.stop_at.empty()) refuse_stop(source);
        ZooRequest request = source.zoo;
        request.name = source.network;
        loaded.network = make_network(request);
    } else {
        std::error_code error;
        if (!fs::is_regular_file(source.network, error)) refuse(source.network);
        loaded = read_network_file(source);
        check_input(source, loaded.network);
    }
    if (!source.weights.empty()) {
        WeightFile file = load_weights(source.weights);
        loaded.weights = fit_weights(loaded.network, std::move(file.weights), source.weights);
        loaded.normalisation = file.normalisation;
    }
    return loaded;
}

std::vector<std::string> network_file_formats() {
    return {".h5", ".onnx", ".pt"};
}

void check_network_file_name(const std::filesystem::path& file) {
    const std::vector<std::string> formats = network_file_formats();
    if (std::find(formats.begin(), formats.end(), file.extension().string()) == formats.end())
        throw core::ConfigError(fmt::format("cannot write '{}': the name must end in one of {}",
                                            file.string(), core::join(formats)));
}

void save_network(const std::filesystem::path& file, const PrunedNetwork& network,
                  const std::optional<Normalisation>& normalisation) {
    check_network_file_name(file);
    if (file.extension() == ".onnx")
        return write_onnx(file, network.network, network.weights, {.normalisation = normalisation});
    if (file.extension() == ".pt")
        return write_torchscript(file, network.network, network.weights, normalisation);
    storage::Hdf5Writer writer;
    storage::write_identity(writer,
                            {.schema = network_schema, .config_sha256 = "", .input_sha256 = ""});
    write_network(writer, network);
    if (normalisation) write_normalisation(writer, *normalisation);
    storage::write_sealed(file, writer.finish());
}

} // namespace hdap::network
