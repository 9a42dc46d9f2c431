#include "commands.hpp"
#include "hdap/core/text.hpp"
#include "hdap/network/costs.hpp"
#include "network_source.hpp"
#include "print_document.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <memory>

namespace hdap::cli {
namespace {

using core::ExitCode;
using nlohmann::ordered_json;

struct InfoOptions {
    SourceOptions network;
    network::SearchSpaceParameters space;
    bool json = false;
};

struct ConvertOptions {
    SourceOptions network;
    std::vector<std::string> outputs;
};

std::string shape_text(const network::TensorShape& shape) {
    return fmt::format("{} x {} x {}", shape.channels, shape.extent.height, shape.extent.width);
}

/// The groups of a network, or none where nothing can be pruned.
std::optional<network::SearchSpace> search_space(const network::Network& network,
                                                 const network::SearchSpaceParameters& parameters) {
    if (network::find_pruning_structure(network, parameters.pinned).groups.empty())
        return std::nullopt;
    return network::SearchSpace(network, parameters);
}

void print_layers(const std::vector<network::LayerCosts>& layers) {
    std::printf("\n%-36s %-12s %6s %6s %14s %12s %12s\n", "layer", "kind", "in", "out", "MACs",
                "parameters", "live kB");
    for (const auto& layer : layers)
        std::printf("%-36s %-12s %6lld %6lld %14lld %12lld %12.1f\n", layer.name.c_str(),
                    std::string(network::layer_kind_name(layer.kind)).c_str(),
                    static_cast<long long>(layer.input_channels),
                    static_cast<long long>(layer.output_channels),
                    static_cast<long long>(layer.macs), static_cast<long long>(layer.parameters),
                    static_cast<double>(layer.live_elements) * 4e-3);
}

void print_groups(const network::Network& network, const network::SearchSpace& space) {
    std::printf("\n%-36s %8s %8s  %s\n", "pruning group", "channels", "at least",
                "layers that make its channels");
    for (std::size_t g = 0; g < space.groups().size(); ++g) {
        const auto& group = space.groups()[g];
        std::vector<std::string> layers;
        for (const std::size_t member : group.members)
            if (network::has_weights(network.nodes[member].op))
                layers.push_back(network.nodes[member].name);
        std::printf("%-36s %8lld %8d  %s\n", group.name.c_str(),
                    static_cast<long long>(group.channels), space.allowed_counts(g).front(),
                    core::join(layers).c_str());
    }
}

void print_unprunable(const network::Network& network, const network::PruningStructure& structure) {
    if (structure.unprunable.empty()) return;
    std::printf("\n%-36s %8s  %s\n", "left whole", "channels", "because of");
    for (const auto& entry : structure.unprunable)
        std::printf("%-36s %8lld  %s\n", network.nodes[entry.node].name.c_str(),
                    static_cast<long long>(entry.channels), entry.reason.c_str());
}

ordered_json as_json(const network::NetworkCosts& costs) {
    return {{"macs", costs.macs},
            {"parameters", costs.parameters},
            {"weight_bytes", network::weight_bytes(costs)},
            {"peak_activation_elements", costs.peak_activation_elements}};
}

ordered_json layers_as_json(const std::vector<network::LayerCosts>& layers) {
    ordered_json result = ordered_json::array();
    for (const auto& layer : layers)
        result.push_back({{"name", layer.name},
                          {"kind", network::layer_kind_name(layer.kind)},
                          {"input_channels", layer.input_channels},
                          {"output_channels", layer.output_channels},
                          {"macs", layer.macs},
                          {"parameters", layer.parameters},
                          {"weight_bytes", 4 * layer.parameters},
                          {"live_elements", layer.live_elements}});
    return result;
}

ordered_json structure_as_json(const network::Network& network,
                               const network::PruningStructure& structure) {
    ordered_json groups = ordered_json::array();
    for (const auto& group : structure.groups) {
        ordered_json members = ordered_json::array();
        for (const std::size_t member : group.members)
            members.push_back(network.nodes[member].name);
        groups.push_back(
            {{"name", group.name}, {"channels", group.channels}, {"members", members}});
    }
    ordered_json unprunable = ordered_json::array();
    for (const auto& entry : structure.unprunable)
        unprunable.push_back({{"layer", network.nodes[entry.node].name},
                              {"channels", entry.channels},
                              {"reason", entry.reason}});
    return {{"groups", groups}, {"unprunable", unprunable}};
}

ExitCode info(const InfoOptions& options) {
    const network::LoadedNetwork loaded = load_network(options.network);
    const network::Network& network = loaded.network;
    const auto structure = network::find_pruning_structure(network, options.space.pinned);
    const network::CostModel costs(network, structure);
    const network::Genome unpruned = network::unpruned_genome(structure);
    const auto shapes = network::infer_shapes(network);
    if (options.json) {
        ordered_json document{
            {"network", network.name},
            {"input", {shapes[0].channels, shapes[0].extent.height, shapes[0].extent.width}}};
        document.update(as_json(costs.total(unpruned)));
        document["layers"] = layers_as_json(costs.layers(unpruned));
        document.update(structure_as_json(network, structure));
        document["weights"] = network::expected_shapes(network);
        print_document(document);
        return ExitCode::complete;
    }
    std::printf("%s, images of %s: %s\n", network.name.c_str(), shape_text(shapes[0]).c_str(),
                totals_text(costs.total(unpruned)).c_str());
    print_layers(costs.layers(unpruned));
    if (const auto space = search_space(network, options.space)) print_groups(network, *space);
    print_unprunable(network, structure);
    if (!options.network.source.weights.empty())
        std::printf("\n%s fits\n", options.network.source.weights.c_str());
    return ExitCode::complete;
}

ExitCode convert(const ConvertOptions& options) {
    check_outputs(options.outputs, options.network);
    const auto [network, normalisation] = load_with_weights(options.network);
    for (const std::string& output : options.outputs) {
        network::save_network(output, network, normalisation);
        std::printf("%s: %s\n", output.c_str(), network.network.name.c_str());
    }
    return ExitCode::complete;
}

void add_info_command(CLI::App& group, Action& action) {
    auto options = std::make_shared<InfoOptions>();
    CLI::App* command =
        add_command(group, "info", "Layers, costs and pruning groups of a network.",
                    "hdap network info mobilenet_v1 --width 0.25 --image-size 28 --channels 1 "
                    "--classes 10\n  hdap network info my-network.onnx --json");
    add_source_options(*command, options->network, false);
    command->add_option("--min-keep", options->space.min_keep, "Least share of a group's channels")
        ->capture_default_str();
    add_space_options(*command, options->space);
    command->add_flag("--json", options->json,
                      "Print JSON, with the name and shape of every weight");
    command->callback(
        [options, &action] { action = [options](Arguments) { return info(*options); }; });
}

void add_convert_command(CLI::App& group, const std::string& name, const std::string& description,
                         const std::string& example, Action& action) {
    auto options = std::make_shared<ConvertOptions>();
    CLI::App* command = add_command(group, name, description, example);
    add_source_options(*command, options->network, true);
    add_output_option(*command, options->outputs);
    command->callback(
        [options, &action] { action = [options](Arguments) { return convert(*options); }; });
}

} // namespace

void add_network_commands(CLI::App& app, Action& action) {
    CLI::App* group = app.add_subcommand("network", "Networks and their pruning groups");
    group->require_subcommand(1);
    add_info_command(*group, action);
    add_network_eval_command(*group, action);
    add_network_prune_command(*group, action);
    add_network_time_command(*group, action);
    add_convert_command(*group, "import", "Read a network from another tool's file.",
                        "hdap network import my-network.onnx --out my-network.h5", action);
    add_convert_command(*group, "export", "Write a network for other tools.",
                        "hdap network export resnet20 --weights resnet20.h5 --out resnet20.onnx",
                        action);
}

} // namespace hdap::cli
