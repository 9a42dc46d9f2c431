#include "commands.hpp"
#include "genome_file.hpp"
#include "hdap/accuracy/evaluation.hpp"
#include "hdap/accuracy/gradients.hpp"
#include "hdap/core/text.hpp"
#include "hdap/network/costs.hpp"
#include "hdap/network/importance.hpp"
#include "hdap/network/load.hpp"
#include "hdap/network/prunable.hpp"
#include "hdap/storage/schema.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "option_checks.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>

namespace hdap::cli {
namespace {

using core::ExitCode;
using nlohmann::ordered_json;

/// Which network, and what it takes. Of a file, channels count only with an image size.
struct SourceOptions {
    const CLI::App* command = nullptr;
    network::NetworkSource source;
    std::vector<std::int64_t> image_size; ///< one number, or height and width
    std::int64_t channels = 3;
};

struct InfoOptions {
    SourceOptions network;
    network::SearchSpaceParameters space;
    bool json = false;
};

struct EvalOptions {
    SourceOptions network;
    std::string data;
    std::string split = "test";
    std::int64_t images = 0;
    accuracy::EvaluationParameters evaluation;
    int threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    bool json = false;
};

struct PruneOptions {
    SourceOptions network;
    network::SearchSpaceParameters space{.min_keep = 1e-9};
    std::optional<double> keep;
    std::optional<double> macs;
    std::string genome;
    std::string criterion = "l2";
    std::uint64_t seed = 1;
    std::string data;
    std::int64_t recalibration_images = 500;
    std::vector<std::string> outputs;
};

struct ConvertOptions {
    SourceOptions network;
    std::vector<std::string> outputs;
};

void add_source_options(CLI::App& command, SourceOptions& options, bool needs_weights) {
    command
        .add_option("NETWORK", options.source.network,
                    "Network of the zoo, or a file: .onnx, .pt (TorchScript), .h5")
        ->required();
    command.add_option("--weights", options.source.weights,
                       needs_weights
                           ? "Weights: .h5, .safetensors, .onnx, .pt; not needed for a file that "
                             "has its own"
                           : "Weights to check against the network");
    command.add_option("--width", options.source.zoo.width, "Zoo: multiplies all channel counts")
        ->check(within(1e-6, 4.0))
        ->capture_default_str();
    command.add_option("--classes", options.source.zoo.classes,
                       "Zoo: classes; default: as published");
    command.add_option("--channels", options.channels, "Channels of an image")
        ->capture_default_str();
    command
        .add_option(
            "--image-size", options.image_size,
            "Height and width of an image, or one number for both; default: as published, or "
            "what the file says")
        ->expected(1, 2);
    command
        .add_option("--stop-at", options.source.stop_at,
                    "ONNX: tensors to end the network at, to leave out a detector's decoding; as "
                    "A,B or several times")
        ->delimiter(',')
        ->allow_extra_args(false);
    options.command = &command;
}

/// Throws UsageError when one of `names` was given; `why` it says nothing here.
void refuse_options(const SourceOptions& options, std::initializer_list<const char*> names,
                    const std::string& why) {
    for (const char* name : names)
        if (options.command->count(name) > 0) throw core::UsageError(name + (": " + why));
}

/// The images that `--image-size` and `--channels` describe.
network::TensorShape image_shape(const SourceOptions& options) {
    const auto& size = options.image_size;
    return {options.channels, {size.front(), size.back()}};
}

network::LoadedNetwork load(const SourceOptions& options) {
    if (!network::is_in_zoo(options.source.network))
        refuse_options(
            options, {"--width", "--classes"},
            fmt::format("is for networks of the zoo; '{}' is none", options.source.network));
    network::NetworkSource source = options.source;
    source.zoo.input_channels = options.channels;
    if (!options.image_size.empty()) {
        source.input = image_shape(options);
        source.zoo.input_extent = source.input->extent;
    }
    return network::load_network(source);
}

struct TrainedNetwork {
    network::PrunedNetwork network;
    std::optional<network::Normalisation> normalisation;
};

TrainedNetwork load_with_weights(const SourceOptions& options) {
    network::LoadedNetwork loaded = load(options);
    if (!loaded.weights)
        throw core::UsageError(
            fmt::format("'{}' has no weights of its own; name a file of weights with --weights",
                        options.source.network));
    return {{std::move(loaded.network), std::move(*loaded.weights)}, loaded.normalisation};
}

/// A packed file whose seal was checked. It stays on the disk: its bytes need not fit into memory
/// beside the images.
storage::Hdf5Reader open_images(const std::string& file) {
    storage::check_sealed(file, storage::Seal::optional);
    return storage::Hdf5Reader::open(file);
}

/// The images that `eval` takes; for a network of the zoo they say what it takes.
accuracy::ImageData read_images(const EvalOptions& options) {
    const auto file = open_images(options.data);
    const std::int64_t count = accuracy::count_images(file, options.split);
    if (options.images > count)
        throw core::UsageError(fmt::format("--images {}: split '{}' of {} has {}", options.images,
                                           options.split, options.data, count));
    return accuracy::read_images(file, options.split, 0,
                                 options.images == 0 ? count : options.images);
}

void fit_to_images(SourceOptions& options, const accuracy::ImageData& images) {
    refuse_options(options, {"--classes", "--channels", "--image-size"},
                   "the images of --data tell that");
    options.source.zoo.classes = images.classes;
    options.channels = images.channels;
    options.image_size = {images.height, images.width};
}

std::string shape_text(const network::TensorShape& shape) {
    return fmt::format("{} x {} x {}", shape.channels, shape.extent.height, shape.extent.width);
}

std::string totals_text(const network::NetworkCosts& costs) {
    return fmt::format(
        "{} M MACs, {} M parameters ({} MB), peak activations {} MB per image",
        core::significant(static_cast<double>(costs.macs) * 1e-6),
        core::significant(static_cast<double>(costs.parameters) * 1e-6),
        core::significant(static_cast<double>(network::weight_bytes(costs)) * 1e-6),
        core::significant(static_cast<double>(costs.peak_activation_elements) * 4e-6));
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
    const network::LoadedNetwork loaded = load(options.network);
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
        std::printf("%s\n", document.dump(2).c_str());
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

ExitCode evaluate(EvalOptions options) {
    accuracy::ImageData images = read_images(options);
    fit_to_images(options.network, images);
    const auto [network, normalisation] = load_with_weights(options.network);
    if (normalisation) accuracy::use_normalisation(images, *normalisation, network.network.name);
    const auto start = std::chrono::steady_clock::now();
    const accuracy::Metrics metrics = accuracy::measure(network.network, network.weights, images,
                                                        options.evaluation, options.threads);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    const double rate = static_cast<double>(metrics.images) / taken.count();
    if (options.json) {
        std::printf("%s\n", ordered_json{{"network", network.network.name},
                                         {"data", options.data},
                                         {"split", options.split},
                                         {"images", metrics.images},
                                         {"precision", options.evaluation.precision},
                                         {"top1", metrics.top1},
                                         {"top5", metrics.top5},
                                         {"loss", metrics.loss},
                                         {"images_per_s", rate}}
                                .dump(2)
                                .c_str());
        return ExitCode::complete;
    }
    std::printf("%s on %lld %s images of %s: top-1 %.2f %%, top-5 %.2f %%, loss %s, %s images/s\n",
                network.network.name.c_str(), static_cast<long long>(metrics.images),
                options.split.c_str(), options.data.c_str(), 100.0 * metrics.top1,
                100.0 * metrics.top5, core::significant(metrics.loss).c_str(),
                core::significant(rate, 3).c_str());
    return ExitCode::complete;
}

/// The largest uniform width whose multiply-accumulates are at most `share` of the unpruned ones.
network::Genome uniform_of_macs(const network::SearchSpace& space, const network::CostModel& costs,
                                double share) {
    const double budget = share * static_cast<double>(costs.total(space.unpruned()).macs);
    constexpr int steps = 2000;
    for (int step = steps; step > 0; --step) {
        network::Genome genome = space.uniform(static_cast<double>(step) / steps);
        if (static_cast<double>(costs.total(genome).macs) <= budget) return genome;
    }
    throw core::InfeasibleError(fmt::format("no uniform width has at most {} of the unpruned "
                                            "network's MACs; lower --divisor or unpin layers",
                                            core::shortest(share)));
}

network::Genome chosen_genome(const PruneOptions& options, const network::SearchSpace& space,
                              const network::CostModel& costs) {
    if (options.keep) return space.uniform(*options.keep);
    if (options.macs) return uniform_of_macs(space, costs, *options.macs);
    return read_genome(options.genome, space);
}

/// The network with its channels in the order of --criterion.
network::Prunable prunable_network(const PruneOptions& options, network::PrunedNetwork network,
                                   const accuracy::ImageData& images) {
    network::ImportanceParameters importance{
        .criterion = network::criterion_from_name(options.criterion), .seed = options.seed};
    network::Weights gradients;
    if (importance.criterion == network::Criterion::taylor) {
        if (images.count == 0)
            throw core::UsageError("--criterion taylor needs labelled images: give --data");
        gradients = accuracy::loss_gradients(network.network, network.weights, images, {});
        importance.gradients = &gradients;
    }
    return network::with_weights(network::make_prunable(std::move(network.network), options.space),
                                 std::move(network.weights), importance);
}

/// Every output must be a file of a known format that destroys nothing.
void check_outputs(const std::vector<std::string>& outputs, const SourceOptions& network,
                   const std::string& data = {}) {
    for (const std::string& output : outputs) {
        network::check_network_file_name(output);
        check_output_file("--out", output, {network.source.network, network.source.weights, data});
    }
}

ExitCode prune(PruneOptions options) {
    if (int(options.keep.has_value()) + int(options.macs.has_value()) +
            int(!options.genome.empty()) !=
        1)
        throw core::UsageError("say what to keep: --keep, --macs or --genome, one of them");
    check_outputs(options.outputs, options.network, options.data);
    accuracy::ImageData images;
    if (!options.data.empty()) {
        const auto file = open_images(options.data);
        images = accuracy::read_images(
            file, "train", 0,
            std::min(options.recalibration_images, accuracy::count_images(file, "train")));
        fit_to_images(options.network, images);
    }
    const auto [network, normalisation] = load_with_weights(options.network);
    if (normalisation && images.count > 0)
        accuracy::use_normalisation(images, *normalisation, network.network.name);
    const network::Prunable prunable = prunable_network(options, network, images);
    const network::CostModel& costs = prunable.costs;
    const network::Genome genome = chosen_genome(options, prunable.space, costs);
    const network::PrunedNetwork pruned =
        images.count > 0 ? accuracy::recalibrated_candidate(prunable, images, {}, genome)
                         : prunable.prune(genome);
    for (const std::string& output : options.outputs)
        network::save_network(output, pruned, normalisation);
    const auto before = costs.total(prunable.space.unpruned());
    const auto after = costs.total(genome);
    std::printf("before: %s\nafter:  %s (%.1f %% of the MACs)\n", totals_text(before).c_str(),
                totals_text(after).c_str(),
                100.0 * static_cast<double>(after.macs) / static_cast<double>(before.macs));
    std::printf("%s\n", core::join(options.outputs).c_str());
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

void add_space_options(CLI::App& command, network::SearchSpaceParameters& space) {
    command.add_option("--divisor", space.divisor, "Channels kept are multiples of this, or all")
        ->check(CLI::Range(1, 1024))
        ->capture_default_str();
    command.add_option("--min-channels", space.min_channels, "Keep at least so many of a group")
        ->capture_default_str();
    command.add_option("--pin", space.pinned, "Layers whose channels are all kept")->delimiter(',');
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

void add_eval_command(CLI::App& group, Action& action) {
    auto options = std::make_shared<EvalOptions>();
    CLI::App* command = add_command(
        group, "eval", "Accuracy of a network on packed images.",
        "hdap network eval resnet20 --weights resnet20.h5 --data cifar10.h5 --split test");
    add_source_options(*command, options->network, true);
    command->add_option("--data", options->data, "Packed images (hdap data pack)")->required();
    command->add_option("--split", options->split, "Split of the packed images")
        ->capture_default_str();
    command->add_option("--images", options->images, "Only the first so many; 0: all")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    command->add_option("--batch", options->evaluation.batch, "Images a forward pass")
        ->capture_default_str();
    command
        ->add_option("--precision", options->evaluation.precision,
                     "Of the layers' products: float32 or bfloat16")
        ->check(CLI::IsMember(accuracy::evaluation_precisions()))
        ->capture_default_str();
    command->add_option("--threads", options->threads, "Threads")->capture_default_str();
    command->add_flag("--json", options->json, "Print JSON");
    command->callback(
        [options, &action] { action = [options](Arguments) { return evaluate(*options); }; });
}

void add_prune_command(CLI::App& group, Action& action) {
    auto options = std::make_shared<PruneOptions>();
    CLI::App* command =
        add_command(group, "prune", "Make a network physically smaller.",
                    "hdap network prune resnet20 --weights resnet20.h5 --keep 0.6 --divisor 8 \\\n"
                    "      --data cifar10.h5 --out small.onnx --out small.pt");
    add_source_options(*command, options->network, true);
    command->add_option("--keep", options->keep, "The same share of every group's channels")
        ->check(within(1e-9, 1.0));
    command
        ->add_option("--macs", options->macs,
                     "The uniform width with at most this share of the MACs")
        ->check(within(1e-9, 1.0));
    command->add_option("--genome", options->genome,
                        "Channels kept in each group: a JSON list or object by group names, or a "
                        "network of a study (.h5)");
    add_space_options(*command, options->space);
    command->add_option("--criterion", options->criterion, "What makes a channel important")
        ->check(CLI::IsMember(network::criterion_names()))
        ->capture_default_str();
    command->add_option("--seed", options->seed, "Of --criterion random")->capture_default_str();
    command->add_option("--data", options->data,
                        "Packed images whose training split recalibrates batch norms");
    command->add_option("--recalibration-images", options->recalibration_images, "How many of them")
        ->check(CLI::Range(2, 1'000'000))
        ->capture_default_str();
    command
        ->add_option("--out", options->outputs,
                     "File to write, " + core::join(network::network_file_formats(), " or ") +
                         "; may be given several times")
        ->required();
    command->callback(
        [options, &action] { action = [options](Arguments) { return prune(*options); }; });
}

void add_convert_command(CLI::App& group, const std::string& name, const std::string& description,
                         const std::string& example, Action& action) {
    auto options = std::make_shared<ConvertOptions>();
    CLI::App* command = add_command(group, name, description, example);
    add_source_options(*command, options->network, true);
    command
        ->add_option("--out", options->outputs,
                     "File to write, " + core::join(network::network_file_formats(), " or ") +
                         "; may be given several times")
        ->required();
    command->callback(
        [options, &action] { action = [options](Arguments) { return convert(*options); }; });
}

} // namespace

void add_network_commands(CLI::App& app, Action& action) {
    CLI::App* group = app.add_subcommand("network", "Networks and their pruning groups");
    group->require_subcommand(1);
    add_info_command(*group, action);
    add_eval_command(*group, action);
    add_prune_command(*group, action);
    add_convert_command(*group, "import", "Read a network from another tool's file.",
                        "hdap network import my-network.onnx --out my-network.h5", action);
    add_convert_command(*group, "export", "Write a network for other tools.",
                        "hdap network export resnet20 --weights resnet20.h5 --out resnet20.onnx",
                        action);
}

} // namespace hdap::cli
