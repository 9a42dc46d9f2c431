#include "hdap/network/weight_files.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "hdap/network/onnx.hpp"
#include "hdap/network/safetensors.hpp"
#include "hdap/network/torchscript.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "hdap/storage/user_file.hpp"
#include "network/torchscript/archive.hpp"
#include "tensor_check.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

namespace hdap::network {
namespace {

using Bytes = std::vector<std::byte>;

bool begins_with(const Bytes& bytes, std::size_t from, std::string_view magic) {
    return bytes.size() >= from && bytes.size() - from >= magic.size() &&
           std::memcmp(bytes.data() + from, magic.data(), magic.size()) == 0;
}

// ------------------------------------------------------------------------------------------ HDF5

bool is_hdf5(const Bytes& bytes) {
    return storage::is_hdf5(bytes);
}

/// The data sets at the root of a file that is not ours.
Weights read_state_dict(const storage::Hdf5Reader& file) {
    Weights weights;
    for (const storage::Entry& entry : file.list()) {
        const std::string name = entry.path.substr(1);
        if (entry.is_group || name.find('/') != std::string::npos) continue;
        if (!entry.type.starts_with("float")) continue;
        weights.emplace(name, Tensor{.shape = {entry.shape.begin(), entry.shape.end()},
                                     .values = file.read<float>(entry.path)});
    }
    return weights;
}

/// Throws DataError for a file of ours that holds something else.
void refuse_other_schemas(const storage::Hdf5Reader& file) {
    if (!file.has_attribute("/", "schema")) return;
    const std::string schema = file.attribute_string("/", "schema");
    if (schema.starts_with("hdap-") && schema != weights_schema && schema != "hdap-network/1")
        throw core::DataError(
            fmt::format("{}: is a file of {}, expected weights: {} or hdap-network/1", file.name(),
                        schema.substr(0, 64), weights_schema));
}

WeightFile read_hdf5(Bytes bytes, const std::string& name) {
    const auto read = [](const storage::Hdf5Reader& file) -> WeightFile {
        refuse_other_schemas(file);
        return {.format = "HDF5",
                .weights =
                    file.contains("/parameters") ? read_weights(file) : read_state_dict(file),
                .normalisation = read_normalisation(file)};
    };
    return read(storage::open_user_bytes(std::move(bytes), name, read));
}

// ----------------------------------------------------------------------------------- safetensors

/// It begins with the length of the header, in 64 bits and less than 2^32, and a JSON object.
bool is_safetensors(const Bytes& bytes) {
    return begins_with(bytes, 4, std::string_view("\0\0\0\0{", 5));
}

WeightFile read_safetensors(Bytes bytes, const std::string& name) {
    return {.format = "safetensors",
            .weights = parse_safetensors(bytes, name),
            .normalisation = safetensors_normalisation(bytes, name)};
}

// ----------------------------------------------------------------------------------- TorchScript

bool is_torchscript(const Bytes& bytes) {
    return is_zip(bytes);
}

WeightFile read_torchscript(Bytes bytes, const std::string& name) {
    TorchscriptWeights read = parse_torchscript_weights(bytes, name);
    return {.format = "TorchScript",
            .weights = std::move(read.weights),
            .normalisation = std::move(read.normalisation)};
}

// ------------------------------------------------------------------------------------------ ONNX

/// Protobuf has no magic bytes; exporters write a model's first field first: its version.
bool is_onnx(const Bytes& bytes) {
    return begins_with(bytes, 0, "\x08") && !is_safetensors(bytes);
}

WeightFile read_onnx_weights(Bytes bytes, const std::string& name) {
    NetworkWithWeights read = decode_onnx(bytes, name);
    return {.format = "ONNX",
            .weights = std::move(read.weights),
            .normalisation = std::move(read.normalisation)};
}

// --------------------------------------------------------------------------------------- formats

struct Format {
    const char* name;
    bool (*recognises)(const Bytes& bytes);
    WeightFile (*read)(Bytes bytes, const std::string& name);
};

/// Another format is a line here; one that has no magic bytes belongs at the end.
constexpr std::array formats{Format{"HDF5", is_hdf5, read_hdf5},
                             Format{"safetensors", is_safetensors, read_safetensors},
                             Format{"TorchScript", is_torchscript, read_torchscript},
                             Format{"ONNX", is_onnx, read_onnx_weights}};

[[noreturn]] void refuse_format(const Bytes& bytes, const std::string& name) {
    // What torch.save wrote before PyTorch 1.6: a pickle, which is a program in Python's language.
    if (begins_with(bytes, 0, "\x80\x02"))
        throw core::DataError(name +
                              ": a pickle, which only Python can read; write the weights with "
                              "safetensors.torch.save_file(network.state_dict(), file)");
    std::vector<std::string> known;
    for (const Format& format : formats)
        known.emplace_back(format.name);
    throw core::DataError(fmt::format("{}: {} bytes of no known format of weights; known: {}", name,
                                      bytes.size(), core::join(known)));
}

// ------------------------------------------------------------------------------------------- fit

/// What wrappers of PyTorch put before all names: DataParallel, Lightning, torch.compile.
constexpr std::array<std::string_view, 3> prefixes{"module.", "model.", "_orig_mod."};

/// The one of `prefixes` that all names have after `skipped` characters, or nothing.
std::string_view next_prefix(const Weights& weights, std::size_t skipped) {
    for (const std::string_view prefix : prefixes)
        if (std::all_of(weights.begin(), weights.end(), [&](const auto& entry) {
                return std::string_view(entry.first).substr(skipped).starts_with(prefix);
            }))
            return prefix;
    return {};
}

using Shapes = std::map<std::string, std::vector<std::int64_t>>;

bool fits(const Shapes::value_type& expected, const Weights& weights, const std::string& prefix) {
    const auto found = weights.find(prefix + expected.first);
    return found != weights.end() && found->second.shape == expected.second;
}

std::size_t count_fitting(const Shapes& expected, const Weights& weights,
                          const std::string& prefix) {
    return static_cast<std::size_t>(
        std::count_if(expected.begin(), expected.end(),
                      [&](const auto& entry) { return fits(entry, weights, prefix); }));
}

/// The prefix, empty or made of `prefixes`, with which most tensors fit.
std::string best_prefix(const Shapes& expected, const Weights& weights) {
    std::string best;
    std::size_t best_count = count_fitting(expected, weights, best);
    std::string prefix;
    constexpr int most_wrappers = 4;
    for (int i = 0; i < most_wrappers && best_count < expected.size() && !weights.empty(); ++i) {
        const std::string_view next = next_prefix(weights, prefix.size());
        if (next.empty()) break;
        prefix += next;
        const std::size_t count = count_fitting(expected, weights, prefix);
        if (count > best_count) best = prefix;
        best_count = std::max(best_count, count);
    }
    return best;
}

/// " (did you mean 'X'?)" or nothing. Nobody means a very long name.
std::string nearest_name(const std::string& name, const Weights& weights) {
    constexpr std::size_t longest = 200;
    std::vector<std::string> names;
    for (const auto& entry : weights)
        if (entry.first.size() <= longest) names.push_back(entry.first);
    return core::did_you_mean(name, names);
}

/// What to say where a tensor of the layer that makes the output is for another number of classes.
std::string class_hint(const Network& network, const std::string& tensor,
                       const std::vector<std::int64_t>& wanted,
                       const std::vector<std::int64_t>& found) {
    const Node& last = network.nodes[output_nodes(network).front()];
    const bool of_output = tensor == last.name + ".weight" || tensor == last.name + ".bias";
    if (!of_output || wanted.empty() || found.size() != wanted.size()) return "";
    if (found.front() == wanted.front()) return "";
    return fmt::format(" (they are for {} outputs, and {} are needed, one for each class: take the "
                       "images of their classes, or train anew)",
                       found.front(), wanted.front());
}

[[noreturn]] void refuse_weights(const Network& network, const Shapes& expected,
                                 const Weights& weights, const std::string& prefix,
                                 const std::string& source) {
    const auto& [name, shape] =
        *std::find_if(expected.begin(), expected.end(),
                      [&](const auto& entry) { return !fits(entry, weights, prefix); });
    std::string problem = fmt::format("'{}{}' of shape {}", prefix, name, shape_text(shape));
    if (const auto found = weights.find(prefix + name); found != weights.end())
        problem += fmt::format(" has shape {} in the file{}", shape_text(found->second.shape),
                               class_hint(network, name, shape, found->second.shape));
    else
        problem += " is missing" + nearest_name(prefix + name, weights);
    throw core::DataError(fmt::format(
        "{}: the weights do not fit network '{}': {} of its {} tensors are there and fit, but {}; "
        "`hdap network info --json` lists the names and shapes that the network needs",
        source, network.name, count_fitting(expected, weights, prefix), expected.size(), problem));
}

} // namespace

std::optional<Normalisation> read_normalisation(const storage::Hdf5Reader& file) {
    if (!file.has_attribute("/", mean_key) && !file.has_attribute("/", deviation_key))
        return std::nullopt;
    Normalisation result{.mean = file.attribute_doubles("/", mean_key),
                         .deviation = file.attribute_doubles("/", deviation_key)};
    if (file.has_attribute("/", order_key))
        result.order = parse_channel_order(file.attribute_string("/", order_key), file.name());
    check_normalisation(result, file.name());
    return result;
}

void write_normalisation(storage::Hdf5Writer& file, const Normalisation& normalisation) {
    file.attribute("/", mean_key, normalisation.mean);
    file.attribute("/", deviation_key, normalisation.deviation);
    if (normalisation.order != ChannelOrder::rgb)
        file.attribute("/", order_key, std::string(channel_order_name(normalisation.order)));
}

WeightFile parse_weights(std::vector<std::byte> bytes, const std::string& name) {
    for (const Format& format : formats) {
        if (!format.recognises(bytes)) continue;
        WeightFile file = format.read(std::move(bytes), name);
        if (file.weights.empty())
            throw core::DataError(
                fmt::format("{}: this {} file holds no floating-point tensors", name, format.name));
        return file;
    }
    refuse_format(bytes, name);
}

WeightFile load_weights(const std::filesystem::path& path) {
    return parse_weights(storage::read_sealed(path, storage::Seal::optional), path.string());
}

Weights fit_weights(const Network& network, Weights weights, const std::string& source) {
    const Shapes expected = expected_shapes(network);
    const std::string prefix = best_prefix(expected, weights);
    if (count_fitting(expected, weights, prefix) < expected.size())
        refuse_weights(network, expected, weights, prefix, source);
    Weights result;
    for (const auto& [name, shape] : expected)
        result.emplace(name, std::move(weights.at(prefix + name)));
    check_weights(network, result);
    check_values(network, result, source);
    return result;
}

} // namespace hdap::network
