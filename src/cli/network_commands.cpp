#include "commands.hpp"
#include "genome_file.hpp"
#include "hdap/accuracy/batch_norm_insertion.hpp"
#include "hdap/accuracy/evaluation.hpp"
#include "hdap/accuracy/gradients.hpp"
#include "hdap/accuracy/image_fit.hpp"
#include "hdap/accuracy/input_check.hpp"
#include "hdap/core/log.hpp"
#include "hdap/core/progress.hpp"
#include "hdap/core/text.hpp"
#include "hdap/network/costs.hpp"
#include "hdap/network/importance.hpp"
#include "hdap/network/insert_batch_norm.hpp"
#include "hdap/network/load.hpp"
#include "hdap/network/normalisation_choice.hpp"
#include "hdap/network/prunable.hpp"
#include "hdap/storage/schema.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "option_checks.hpp"
#include "print_document.hpp"
#include "setting_options.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
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
    std::optional<std::int64_t> channels;
    network::NormalisationChoice normalisation;
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
    bool keeps_graph = false;
    std::vector<std::string> outputs;
};

struct ConvertOptions {
    SourceOptions network;
    std::vector<std::string> outputs;
};

/// The settings of the normalisation whose names no other option has.
std::vector<core::Setting> settings_but_channels(network::NormalisationChoice& choice) {
    std::vector<core::Setting> settings = network::settings_of(choice);
    std::erase_if(settings, [](const core::Setting& entry) { return entry.key == "channels"; });
    return settings;
}

/// --channels: how many there are, or, where `with_order`, the order in which they are taken.
void add_channels_option(CLI::App& command, SourceOptions& options, bool with_order) {
    const auto choose = [&options, with_order](const std::string& text) {
        std::int64_t count = 0;
        const std::optional<network::ChannelOrder> order =
            text == "rgb"   ? std::optional(network::ChannelOrder::rgb)
            : text == "bgr" ? std::optional(network::ChannelOrder::bgr)
                            : std::nullopt;
        if (with_order && order)
            options.normalisation.order = order;
        else if (CLI::detail::lexical_cast(text, count))
            options.channels = count;
        else
            throw CLI::ValidationError(
                "--channels",
                fmt::format("'{}' is {}", text,
                            with_order ? "neither rgb nor bgr, nor a number" : "not a number"));
    };
    command.add_option_function<std::string>(
        "--channels", choose,
        with_order ? "Order in which the network takes the colours: rgb or bgr; or, without "
                     "--data, how many channels an image has (default: 3)"
                   : "Channels of an image (default: 3)");
}

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
    if (needs_weights) add_setting_options(command, settings_but_channels(options.normalisation));
    add_channels_option(command, options, needs_weights);
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
    return {options.channels.value_or(3), {size.front(), size.back()}};
}

network::LoadedNetwork load(const SourceOptions& options) {
    if (!network::is_in_zoo(options.source.network))
        refuse_options(
            options, {"--width", "--classes"},
            fmt::format("is for networks of the zoo; '{}' is none", options.source.network));
    network::NetworkSource source = options.source;
    source.zoo.input_channels = options.channels.value_or(3);
    if (!options.image_size.empty()) {
        source.input = image_shape(options);
        source.zoo.input_extent = source.input->extent;
    }
    network::LoadedNetwork loaded = network::load_network(source);
    const std::int64_t channels = network::infer_shapes(loaded.network).front().channels;
    // With a size, the file was held against both.
    if (options.image_size.empty() && options.channels && channels != *options.channels)
        throw core::UsageError(fmt::format("--channels {}: '{}' takes images with {}",
                                           *options.channels, options.source.network,
                                           core::counted(channels, "channel")));
    return loaded;
}

struct TrainedNetwork {
    network::PrunedNetwork network;
    std::optional<network::Normalisation> normalisation;
};

void fit_to_images(SourceOptions& options, const accuracy::ImageData& images) {
    constexpr const char* why = "the images of --data tell that";
    refuse_options(options, {"--classes", "--image-size"}, why);
    if (options.channels) throw core::UsageError(fmt::format("--channels: {}", why));
    options.source.zoo.classes = images.classes;
    options.channels = images.channels;
    options.image_size = {images.height, images.width};
}

/// Tells on stderr what changes no result.
void tell(const std::string& note) {
    if (!note.empty()) core::Log({}).info(note);
}

/// The network, and the normalisation of its images: what the options say, the rest as its file
/// says, else `images`, if there are any. Nothing where nobody says anything.
TrainedNetwork load_with_weights(const SourceOptions& options,
                                 const accuracy::ImageData* images = nullptr) {
    network::LoadedNetwork loaded = load(options);
    if (!loaded.weights)
        throw core::UsageError(
            fmt::format("'{}' has no weights of its own; name a file of weights with --weights",
                        options.source.network));
    TrainedNetwork result{{std::move(loaded.network), std::move(*loaded.weights)},
                          loaded.normalisation};
    const bool chosen = options.normalisation != network::NormalisationChoice();
    if (!chosen && (loaded.normalisation || !images)) return result;
    const std::int64_t channels = network::infer_shapes(result.network.network).front().channels;
    const network::Normalisation files = loaded.normalisation ? *loaded.normalisation
                                         : images             ? accuracy::normalisation_of(*images)
                                                              : network::no_normalisation(channels);
    result.normalisation = network::choose_normalisation(options.normalisation, files, channels);
    if (loaded.normalisation)
        tell(network::conflict(*result.normalisation, *loaded.normalisation,
                               options.source.weights.empty() ? options.source.network
                                                              : options.source.weights));
    return result;
}

/// The network, and `images` as it takes them. Throws DataError where it takes others.
TrainedNetwork load_for(accuracy::ImageData& images, const std::string& file,
                        SourceOptions& options) {
    fit_to_images(options, images);
    TrainedNetwork result = load_with_weights(options, &images);
    accuracy::check_fit(result.network.network, images, file, options.source.network);
    accuracy::use_normalisation(images, *result.normalisation, options.source.network);
    return result;
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

/// Tells when the network hardly gets the images that it was trained for.
void warn_of_other_images(const EvalOptions& options, const network::PrunedNetwork& network,
                          const accuracy::ImageData& images, double accuracy) {
    // Of two accuracies none is far apart from such a one.
    constexpr double good = 0.9;
    if (images.count < 2 || accuracy > good) return;
    const accuracy::InputCheck check = accuracy::check_input(
        network.network, network.weights, images, images, options.evaluation, options.threads);
    // Statistics that are recomputed on too few images are nobody's concern here.
    if (accuracy::is_far_apart(check) && check.right_own > check.right_recalibrated) return;
    const std::string doubts = accuracy::doubts(check, images);
    if (!doubts.empty()) core::Log({}).warning(doubts);
}

ExitCode evaluate(EvalOptions options) {
    accuracy::ImageData images = read_images(options);
    const auto [network, normalisation] = load_for(images, options.data, options.network);
    const auto start = std::chrono::steady_clock::now();
    const accuracy::Metrics metrics = accuracy::measure(network.network, network.weights, images,
                                                        options.evaluation, options.threads);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    if (!std::isfinite(metrics.loss))
        throw core::DataError(fmt::format("{}: what it computes of the {} images of {} is not "
                                          "finite; are they normalised as in its training?",
                                          network.network.name, options.split, options.data));
    const double rate = static_cast<double>(metrics.images) / taken.count();
    const bool five = images.classes > 5; // else the right one is always among them
    warn_of_other_images(options, network, images, metrics.top1);
    if (options.json) {
        print_document({{"network", network.network.name},
                        {"data", options.data},
                        {"split", options.split},
                        {"images", metrics.images},
                        {"precision", options.evaluation.precision},
                        {"top1", metrics.top1},
                        {"top5", five ? ordered_json(metrics.top5) : nullptr},
                        {"loss", metrics.loss},
                        {"images_per_s", rate}});
        return ExitCode::complete;
    }
    const std::string top5 =
        five ? fmt::format("top-5 {:.2f} %, ", 100.0 * metrics.top5) : std::string();
    std::printf("%s on %s of %s: top-1 %.2f %%, %sloss %s, %s images/s\n",
                network.network.name.c_str(),
                core::counted(metrics.images, options.split + " image").c_str(),
                options.data.c_str(), 100.0 * metrics.top1, top5.c_str(),
                core::significant(metrics.loss).c_str(), core::significant(rate, 3).c_str());
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

/// The network with batch norms where they were folded away; what is done is said.
network::PrunedNetwork with_norms(const PruneOptions& options, network::PrunedNetwork network,
                                  const accuracy::ImageData& images) {
    const std::size_t missing = network::layers_without_norm(network.network).size();
    if (missing == 0 || images.count == 0 || options.keeps_graph) return network;
    std::printf("batch norms inserted behind %s, from %s\n",
                core::counted(missing, "convolution").c_str(),
                core::counted(images.count, "image").c_str());
    return accuracy::insert_batch_norms(network.network, network.weights, images,
                                        accuracy::EvaluationParameters().batch);
}

/// The network with its channels in the order of --criterion.
network::Prunable prunable_network(const PruneOptions& options, network::PrunedNetwork network,
                                   const accuracy::ImageData& images, core::Log& log) {
    auto prunable = network::make_prunable(network.network, options.space);
    network = with_norms(options, std::move(network), images);
    core::Progress progress(log);
    network::ImportanceParameters importance{.criterion =
                                                 network::criterion_from_name(options.criterion),
                                             .seed = options.seed,
                                             .on_progress = network::importance_progress(progress)};
    network::Weights gradients;
    if (importance.criterion == network::Criterion::taylor) {
        if (images.count == 0)
            throw core::UsageError("--criterion taylor needs labelled images: give --data");
        gradients = accuracy::loss_gradients(network.network, network.weights, images, {});
        importance.gradients = &gradients;
    }
    auto ranked_by = network.weights;
    prunable = network::with_inserted_norms(std::move(prunable), std::move(network), options.space);
    return network::with_weights(std::move(prunable), std::move(ranked_by), importance);
}

/// Every output must be a file of a known format that destroys nothing.
void check_outputs(const std::vector<std::string>& outputs, const SourceOptions& network,
                   const std::string& data = {}) {
    for (const std::string& output : outputs) {
        network::check_network_file_name(output);
        check_output_file("--out", output, {network.source.network, network.source.weights, data});
    }
}

/// Throws UsageError for options that would do nothing.
void check_idle_options(const PruneOptions& options) {
    const CLI::App& command = *options.network.command;
    if (command.count("--recalibration-images") > 0 && options.data.empty())
        throw core::UsageError("--recalibration-images needs --data, which has the images");
    if (command.count("--seed") > 0 && options.criterion != "random")
        throw core::UsageError("--seed is of --criterion random; '" + options.criterion +
                               "' draws no numbers");
}

/// Says what the pruning did not do, though one may think so.
void warn_of_idle_steps(core::Log& log, const PruneOptions& options,
                        const network::Prunable& prunable, const network::Genome& genome,
                        const accuracy::ImageData& images) {
    const network::Network& network = prunable.network;
    const bool norms =
        std::any_of(network.nodes.begin(), network.nodes.end(), [](const network::Node& node) {
            return node.op == network::Operator::batch_norm;
        });
    const bool same = genome == prunable.space.unpruned();
    if (same)
        log.warning("nothing was pruned: every group keeps all its channels");
    else if (const std::size_t missing = network::layers_without_norm(network).size();
             missing > 0 && options.data.empty())
        log.warning(fmt::format("{} no batch norms (folded away?), so channels are ranked badly "
                                "and nothing is recalibrated; with --data they are given some",
                                core::counted(missing, "convolution has", "convolutions have")));
    else if (norms && options.data.empty())
        log.warning("the batch norms keep the statistics of the unpruned network, with which "
                    "accuracy may be at chance level: recalibrate them with --data, or fine-tune "
                    "(hdap train)");
    if (!norms && !options.data.empty())
        log.warning("--data recalibrated nothing: the network has no batch norms");
    else if (images.count > 0 && images.count < options.recalibration_images)
        log.warning(fmt::format("--recalibration-images {}: {} has only {}",
                                options.recalibration_images, options.data,
                                core::counted(images.count, "training image")));
    if (options.criterion != "batch_norm_scale") return;
    const std::size_t without =
        network::groups_without_scale(network, *prunable.weights, prunable.space);
    if (without > 0)
        log.warning(fmt::format("--criterion batch_norm_scale: {} of {} pruning groups have no "
                                "batch norm and were ranked by l2",
                                without, prunable.space.groups().size()));
}

ExitCode prune(PruneOptions options) {
    check_idle_options(options);
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
    }
    const auto [network, normalisation] = images.count > 0
                                              ? load_for(images, options.data, options.network)
                                              : load_with_weights(options.network);
    core::Log log({.terminal = core::Log::stderr_is_terminal()});
    const network::Prunable prunable = prunable_network(options, network, images, log);
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
    warn_of_idle_steps(log, options, prunable, genome, images);
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
                        "Packed images whose training split recalibrates batch norms; without, "
                        "they stay those of the unpruned network");
    command->add_option("--recalibration-images", options->recalibration_images, "How many of them")
        ->check(CLI::Range(2, 1'000'000))
        ->capture_default_str();
    command->add_flag("--keep-graph", options->keeps_graph,
                      "Insert no batch norms where convolutions have none");
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
