#include "commands.hpp"
#include "genome_file.hpp"
#include "hdap/accuracy/batch_norm_insertion.hpp"
#include "hdap/accuracy/evaluation.hpp"
#include "hdap/accuracy/gradients.hpp"
#include "hdap/core/log.hpp"
#include "hdap/core/progress.hpp"
#include "hdap/core/text.hpp"
#include "hdap/network/importance.hpp"
#include "hdap/network/insert_batch_norm.hpp"
#include "hdap/network/prunable.hpp"
#include "network_source.hpp"
#include "option_checks.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <memory>

namespace hdap::cli {
namespace {

using core::ExitCode;

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

} // namespace

void add_network_prune_command(CLI::App& group, Action& action) {
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
    add_output_option(*command, options->outputs);
    command->callback(
        [options, &action] { action = [options](Arguments) { return prune(*options); }; });
}

} // namespace hdap::cli
