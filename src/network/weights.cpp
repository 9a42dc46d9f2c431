#include "hdap/network/weights.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "hdap/core/text.hpp"
#include "tensor_check.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace hdap::network {
namespace {

const std::string parameters_group = "/parameters";

/// The number of elements of `shape`, or -1 when it is negative or beyond 64 bits.
std::int64_t element_count(const std::vector<std::int64_t>& shape) {
    std::int64_t count = 1;
    for (const std::int64_t size : shape) {
        if (size < 0) return -1;
        if (size > 0 && count > std::numeric_limits<std::int64_t>::max() / size) return -1;
        count *= size;
    }
    return count;
}

Tensor filled(std::vector<std::int64_t> shape, float value) {
    const auto count = static_cast<std::size_t>(element_count(shape));
    return {.shape = std::move(shape), .values = std::vector<float>(count, value)};
}

void draw_convolution(const Node& node, core::RandomStream stream, Weights& weights) {
    Tensor& weight = weights.at(node.name + ".weight");
    const double inputs = static_cast<double>(weight.shape[1] * weight.shape[2] * weight.shape[3]);
    const double deviation = std::sqrt(2.0 / inputs);
    for (float& value : weight.values)
        value = static_cast<float>(deviation * stream.normal());
}

void draw_linear(const Node& node, core::RandomStream stream, Weights& weights) {
    Tensor& weight = weights.at(node.name + ".weight");
    const double bound = 1.0 / std::sqrt(static_cast<double>(weight.shape[1]));
    const auto draw = [&] { return static_cast<float>(bound * (2.0 * stream.uniform() - 1.0)); };
    for (float& value : weight.values)
        value = draw();
    if (!node.bias) return;
    for (float& value : weights.at(node.name + ".bias").values)
        value = draw();
}

void set_identity(const Node& node, Weights& weights) {
    for (const char* suffix : {".weight", ".running_var"}) {
        Tensor& tensor = weights.at(node.name + suffix);
        tensor.values.assign(tensor.values.size(), 1.0F);
    }
}

} // namespace

std::string shape_text(const std::vector<std::int64_t>& shape) {
    std::string result = "[";
    for (const std::int64_t size : shape)
        result += (result.size() > 1 ? ", " : "") + std::to_string(size);
    return result + "]";
}

void check_filled(const std::string& name, const Tensor& tensor) {
    if (element_count(tensor.shape) != static_cast<std::int64_t>(tensor.values.size()))
        throw core::DataError(fmt::format("tensor '{}' of shape {} holds {}", name,
                                          shape_text(tensor.shape),
                                          core::counted(tensor.values.size(), "value")));
}

std::map<std::string, std::vector<std::int64_t>> expected_shapes(const Network& network) {
    const std::vector<TensorShape> shapes = infer_shapes(network);
    std::map<std::string, std::vector<std::int64_t>> result;
    for (std::size_t i = 0; i < network.nodes.size(); ++i) {
        const Node& node = network.nodes[i];
        const std::int64_t channels = shapes[i].channels;
        if (node.op == Operator::conv2d) {
            const std::int64_t inputs = shapes[node.inputs[0]].channels / node.groups;
            result[node.name + ".weight"] = {channels, inputs, node.kernel.height,
                                             node.kernel.width};
        } else if (node.op == Operator::linear) {
            result[node.name + ".weight"] = {channels, shapes[node.inputs[0]].channels};
        } else if (node.op == Operator::batch_norm) {
            for (const char* suffix : {".weight", ".bias", ".running_mean", ".running_var"})
                result[node.name + suffix] = {channels};
        }
        if (node.bias && (node.op == Operator::conv2d || node.op == Operator::linear))
            result[node.name + ".bias"] = {channels};
    }
    return result;
}

void check_weights(const Network& network, const Weights& weights) {
    for (const auto& [name, shape] : expected_shapes(network)) {
        const auto found = weights.find(name);
        if (found == weights.end())
            throw core::DataError(
                fmt::format("the weights lack '{}' of shape {}, which network '{}' needs", name,
                            shape_text(shape), network.name));
        if (found->second.shape != shape)
            throw core::DataError(fmt::format("tensor '{}' has shape {}, network '{}' expects {}",
                                              name, shape_text(found->second.shape), network.name,
                                              shape_text(shape)));
        check_filled(name, found->second);
    }
}

void check_values(const std::string& name, std::int64_t channels, std::span<const float> values,
                  Values wanted) {
    constexpr float most = std::numeric_limits<float>::max();
    const float least = wanted == Values::finite ? -most : 0.0F;
    // Not a number compares as false. Without a way out in between, it is done many at a time.
    bool usable = true;
    for (const float value : values)
        usable &= (value >= least) & (value <= most);
    if (usable) return;
    const auto wrong = std::find_if_not(
        values.begin(), values.end(), [&](float value) { return value >= least && value <= most; });
    const std::size_t per_channel = std::max<std::size_t>(
        1, values.size() / static_cast<std::size_t>(std::max<std::int64_t>(1, channels)));
    const auto channel = static_cast<std::size_t>(wrong - values.begin()) / per_channel;
    if (std::isfinite(*wrong))
        throw core::DataError(fmt::format("tensor '{}' holds {} in channel {}, but no variance is "
                                          "below zero; is it another tensor's, or damaged?",
                                          name, *wrong, channel));
    throw core::DataError(fmt::format("tensor '{}' holds {} in channel {}, but weights must be "
                                      "finite numbers of 32 bits; was its training stable?",
                                      name, *wrong, channel));
}

void check_values(const Network& network, const Weights& weights, const std::string& source) {
    const auto check = [&](const Node& node, const char* suffix, Values wanted) {
        const std::string name = node.name + suffix;
        const Tensor& tensor = weights.at(name);
        check_values(name, tensor.shape[0], tensor.values, wanted);
    };
    try {
        for (const Node& node : network.nodes) {
            const bool norm = node.op == Operator::batch_norm;
            if (norm || has_weights(node.op)) check(node, ".weight", Values::finite);
            if (norm || (has_weights(node.op) && node.bias)) check(node, ".bias", Values::finite);
            if (norm) check(node, ".running_mean", Values::finite);
            if (norm) check(node, ".running_var", Values::finite_and_not_negative);
        }
    } catch (const core::DataError& error) {
        throw core::DataError(source + ": " + error.what());
    }
}

Weights initial_weights(const Network& network, std::uint64_t seed) {
    Weights weights;
    for (auto& [name, shape] : expected_shapes(network))
        weights.emplace(name, filled(shape, 0.0F));
    for (std::size_t i = 0; i < network.nodes.size(); ++i) {
        const Node& node = network.nodes[i];
        const core::RandomStream stream(seed, core::StreamId::weight_initialisation,
                                        static_cast<std::uint32_t>(i));
        if (node.op == Operator::conv2d) draw_convolution(node, stream, weights);
        if (node.op == Operator::linear) draw_linear(node, stream, weights);
        if (node.op == Operator::batch_norm) set_identity(node, weights);
    }
    return weights;
}

void write_weights(storage::Hdf5Writer& file, const Weights& weights) {
    file.group(parameters_group);
    for (const auto& [name, tensor] : weights) {
        if (name.empty() || name == "." || name.find('/') != std::string::npos)
            throw core::DataError(fmt::format("a parameter cannot be stored as '{}': the name must "
                                              "not be empty, '.' or contain '/'",
                                              name));
        check_filled(name, tensor);
        const storage::Shape shape(tensor.shape.begin(), tensor.shape.end());
        file.write(parameters_group + "/" + name, tensor.values, shape);
    }
}

Weights read_weights(const storage::Hdf5Reader& file) {
    if (!file.contains(parameters_group))
        throw core::DataError(fmt::format("{}: no group '{}'; expected a file of {}", file.name(),
                                          parameters_group, weights_schema));
    const std::string prefix = parameters_group + "/";
    Weights weights;
    for (const storage::Entry& entry : file.list()) {
        if (entry.is_group || !entry.path.starts_with(prefix)) continue;
        const std::string name = entry.path.substr(prefix.size());
        if (name.find('/') != std::string::npos || !entry.type.starts_with("float")) continue;
        weights.emplace(name, Tensor{.shape = {entry.shape.begin(), entry.shape.end()},
                                     .values = file.read<float>(entry.path)});
    }
    return weights;
}

} // namespace hdap::network
