#include "hdap/core/text.hpp"
#include "hdap/network/costs.hpp"
#include "hdap/network/search_space.hpp"
#include "hdap/network/weights.hpp"
#include "hdap/network/zoo.hpp"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <memory>

#include "commands.hpp"

namespace hdap::cli {
namespace {

using nlohmann::ordered_json;

struct InfoOptions {
    network::ZooRequest request;
    std::int64_t image_size = 224;
    bool json = false;
};

void print_text(const network::Network& network, const network::SearchSpace& space,
                const network::CostModel& costs) {
    const auto unpruned = space.unpruned();
    const auto total = costs.total(unpruned);
    std::printf("%s: %.2f M MACs, %.3f M parameters, peak activations %s elements an image\n\n",
                network.name.c_str(), static_cast<double>(total.macs) * 1e-6,
                static_cast<double>(total.parameters) * 1e-6,
                std::to_string(total.peak_activation_elements).c_str());
    std::printf("%-32s %8s %8s %12s %12s\n", "layer", "in", "out", "MACs", "parameters");
    for (const auto& layer : costs.layers(unpruned))
        std::printf("%-32s %8lld %8lld %12lld %12lld\n", layer.name.c_str(),
                    static_cast<long long>(layer.input_channels),
                    static_cast<long long>(layer.output_channels),
                    static_cast<long long>(layer.macs), static_cast<long long>(layer.parameters));
    std::printf("\n%-32s %8s  %s\n", "pruning group", "channels", "members");
    for (const auto& group : space.groups()) {
        std::vector<std::string> members;
        for (const std::size_t member : group.members)
            members.push_back(network.nodes[member].name);
        std::printf("%-32s %8lld  %s\n", group.name.c_str(), static_cast<long long>(group.channels),
                    core::join(members).c_str());
    }
}

void print_json(const network::Network& network, const network::SearchSpace& space,
                const network::CostModel& costs) {
    const auto unpruned = space.unpruned();
    const auto total = costs.total(unpruned);
    ordered_json document{{"network", network.name},
                          {"macs", total.macs},
                          {"parameters", total.parameters},
                          {"peak_activation_elements", total.peak_activation_elements},
                          {"layers", ordered_json::array()},
                          {"groups", ordered_json::array()}};
    for (const auto& layer : costs.layers(unpruned))
        document["layers"].push_back({{"name", layer.name},
                                      {"input_channels", layer.input_channels},
                                      {"output_channels", layer.output_channels},
                                      {"macs", layer.macs},
                                      {"parameters", layer.parameters}});
    for (const auto& group : space.groups()) {
        ordered_json members = ordered_json::array();
        for (const std::size_t member : group.members)
            members.push_back(network.nodes[member].name);
        document["groups"].push_back(
            {{"name", group.name}, {"channels", group.channels}, {"members", members}});
    }
    document["weights"] = network::expected_shapes(network);
    std::printf("%s\n", document.dump(2).c_str());
}

} // namespace

void add_network_commands(CLI::App& app, Action& action) {
    CLI::App* group = app.add_subcommand("network", "Networks and their pruning groups");
    group->require_subcommand(1);
    auto options = std::make_shared<InfoOptions>();
    CLI::App* info = add_command(*group, "info", "Layers, costs and pruning groups of a network.",
                                 "hdap network info mobilenet_v1 --width 0.25 --image-size 28 "
                                 "--channels 1 --classes 10");
    info->add_option("NETWORK", options->request.name, "Network of the zoo")
        ->required()
        ->check(CLI::IsMember(network::zoo_names()));
    info->add_option("--width", options->request.width, "Multiplies all channel counts")
        ->capture_default_str();
    info->add_option("--classes", options->request.classes, "Classes")->capture_default_str();
    info->add_option("--channels", options->request.input_channels, "Channels of an image")
        ->capture_default_str();
    info->add_option("--image-size", options->image_size, "Height and width of an image")
        ->capture_default_str();
    info->add_flag("--json", options->json, "Print JSON, with the name and shape of every weight");
    info->callback([options, &action] {
        action = [options](Arguments) {
            options->request.input_extent = {options->image_size, options->image_size};
            const auto network = network::make_network(options->request);
            const network::SearchSpace space(network, {});
            const network::CostModel costs(network, space);
            options->json ? print_json(network, space, costs) : print_text(network, space, costs);
            return core::ExitCode::complete;
        };
    });
}

} // namespace hdap::cli
