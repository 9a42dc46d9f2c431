#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "hdap/network/onnx.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "importer.hpp"

namespace hdap::network {
namespace {

/// Names in a file may have any length.
constexpr std::size_t longest_message = 1000;

/// Calls import(), with the file's name before what goes wrong.
template <class Import>
NetworkWithWeights with_name(const std::string& name, Import import) {
    try {
        NetworkWithWeights read = import();
        check_values(read.network, read.weights, "its weights");
        return read;
    } catch (const core::DataError& error) {
        throw core::DataError(name + ": " +
                              core::shortened(core::printable(error.what()), longest_message));
    }
}

std::optional<Normalisation> normalisation_of(const OnnxModel& model) {
    const auto text = [&](const char* key) {
        const std::string* const found = model.metadata(key);
        return found ? *found : std::string();
    };
    if (!model.metadata(mean_key) && !model.metadata(deviation_key)) return std::nullopt;
    return parse_normalisation(text(mean_key), text(deviation_key), text(order_key),
                               "its metadata");
}

NetworkWithWeights import_model(const OnnxModel& model, std::size_t bytes,
                                const std::filesystem::path& folder,
                                const OnnxImportParameters& parameters) {
    MemoryBudget budget(bytes);
    TensorReader reader(folder, budget);
    return {OnnxImporter(model, reader, budget, parameters).run(), normalisation_of(model)};
}

} // namespace

NetworkWithWeights read_onnx(const std::filesystem::path& path,
                             const OnnxImportParameters& parameters) {
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(path, error);
    if (!error && size > max_onnx_bytes)
        throw core::DataError(path.string() + ": is larger than 2 GB, which no ONNX file is; keep "
                                              "the weights as external data");
    std::vector<std::byte> bytes = storage::read_sealed(path, storage::Seal::optional);
    const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
    return with_name(path.string(), [&] {
        const OnnxModel model(bytes);
        const std::size_t count = bytes.size();
        bytes = {}; // the model has its own copy
        return import_model(model, count, folder, parameters);
    });
}

NetworkWithWeights decode_onnx(std::span<const std::byte> bytes, const std::string& name,
                               const OnnxImportParameters& parameters) {
    return with_name(name,
                     [&] { return import_model(OnnxModel(bytes), bytes.size(), {}, parameters); });
}

} // namespace hdap::network
