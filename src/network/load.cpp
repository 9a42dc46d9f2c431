#include "hdap/network/load.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "hdap/network/network_file.hpp"
#include "hdap/storage/schema.hpp"
#include "hdap/storage/sealed_file.hpp"

#include <algorithm>

namespace hdap::network {
namespace {

namespace fs = std::filesystem;

bool is_in_zoo(const std::string& name) {
    const std::vector<std::string> names = zoo_names();
    return std::find(names.begin(), names.end(), name) != names.end();
}

storage::Hdf5Reader open_hdf5(const std::string& file) {
    return storage::Hdf5Reader::from_bytes(storage::read_sealed(file, storage::Seal::optional),
                                           file);
}

LoadedNetwork read_network_file(const NetworkSource& source) {
    const storage::Hdf5Reader file = open_hdf5(source.network);
    PrunedNetwork read = read_network(file);
    return {std::move(read.network), std::move(read.weights), read_normalisation(file)};
}

/// Throws DataError when `source` asks for other images than the network's.
void check_input(const NetworkSource& source, const Network& network) {
    if (!source.input) return;
    const TensorShape found = infer_shapes(network).front();
    const auto text = [](const TensorShape& shape) {
        return std::to_string(shape.channels) + " channels of " +
               std::to_string(shape.extent.height) + " x " + std::to_string(shape.extent.width);
    };
    if (found != *source.input)
        throw core::DataError(source.network + ": takes images with " + text(found) + ", not " +
                              text(*source.input));
}

[[noreturn]] void refuse(const std::string& network) {
    const std::string shown = network.substr(0, 256);
    const std::vector<std::string> known = zoo_names();
    throw core::ConfigError("'" + shown + "' is neither a file nor a network of the zoo" +
                            core::did_you_mean(shown.substr(0, 64), known) +
                            "; the zoo has: " + core::join(known));
}

} // namespace

LoadedNetwork load_network(const NetworkSource& source) {
    LoadedNetwork loaded;
    if (is_in_zoo(source.network)) {
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
    return {".h5"};
}

void check_network_file_name(const std::filesystem::path& file) {
    const std::vector<std::string> formats = network_file_formats();
    if (std::find(formats.begin(), formats.end(), file.extension().string()) == formats.end())
        throw core::ConfigError("cannot write '" + file.string() +
                                "': the name must end in one of " + core::join(formats));
}

void save_network(const std::filesystem::path& file, const PrunedNetwork& network,
                  const std::optional<Normalisation>& normalisation) {
    check_network_file_name(file);
    storage::Hdf5Writer writer;
    storage::write_identity(writer,
                            {.schema = network_schema, .config_sha256 = "", .input_sha256 = ""});
    write_network(writer, network);
    if (normalisation) write_normalisation(writer, *normalisation);
    storage::write_sealed(file, writer.finish());
}

} // namespace hdap::network
