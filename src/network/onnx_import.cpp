#include "hdap/core/error.hpp"
#include "hdap/network/onnx.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "onnx_importer.hpp"

namespace hdap::network {
namespace {

PrunedNetwork import_model(std::span<const std::byte> bytes, const std::filesystem::path& folder,
                           const std::string& name, const OnnxImportParameters& parameters) {
    try {
        const OnnxModel model(bytes);
        MemoryBudget budget(bytes.size());
        TensorReader reader(folder, budget);
        return OnnxImporter(model, reader, budget, parameters).run();
    } catch (const core::DataError& error) {
        throw core::DataError(name + ": " + error.what());
    }
}

} // namespace

PrunedNetwork read_onnx(const std::filesystem::path& path, const OnnxImportParameters& parameters) {
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(path, error);
    if (!error && size > max_onnx_bytes)
        throw core::DataError(path.string() + ": is larger than 2 GB, which no ONNX file is; keep "
                                              "the weights as external data");
    const std::vector<std::byte> bytes = storage::read_sealed(path, storage::Seal::optional);
    const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
    return import_model(bytes, folder, path.string(), parameters);
}

PrunedNetwork decode_onnx(std::span<const std::byte> bytes, const std::string& name,
                          const OnnxImportParameters& parameters) {
    return import_model(bytes, {}, name, parameters);
}

} // namespace hdap::network
