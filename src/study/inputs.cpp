#include "inputs.hpp"

#include "content_hash.hpp"
#include "hdap/accuracy/batch_norm_insertion.hpp"
#include "hdap/accuracy/gradients.hpp"
#include "hdap/accuracy/image_fit.hpp"
#include "hdap/core/progress.hpp"
#include "hdap/core/text.hpp"
#include "hdap/network/importance.hpp"
#include "hdap/network/insert_batch_norm.hpp"
#include "hdap/network/network_file.hpp"
#include "hdap/storage/schema.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "hdap/study/on_every_rank.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace hdap::study {
namespace {

/// network::load_network. Where the weights of one setting do not fit the network of another, which
/// a configuration with both may have been written for, the message names the two.
network::LoadedNetwork load_network(const Settings& settings) {
    const std::string& file = settings.network.file;
    const std::string& weights = settings.network.weights;
    try {
        return network::load_network(network_source(settings, image_kind(settings)));
    } catch (const core::DataError& error) {
        const std::string message = error.what();
        if (file.empty() || weights.empty() || !message.starts_with(weights)) throw;
        throw core::DataError(
            fmt::format("network.weights is set beside network.file, whose own weights it "
                        "replaces: {}. Set network.weights = \"\" to take those of {}",
                        message, file));
    }
}

network::LoadedNetwork load_with_weights(const Settings& settings) {
    network::LoadedNetwork loaded = load_network(settings);
    if (!loaded.weights)
        throw core::ConfigError(
            fmt::format("network.weights is missing: '{}' has no weights of its own",
                        network_source(settings, std::nullopt).network));
    return loaded;
}

network::Network load_graph(const Settings& settings) {
    network::NetworkSource source = network_source(settings, image_kind(settings));
    source.weights.clear();
    return network::load_network(source).network;
}

void check_image_counts(const Settings& settings, std::int64_t train) {
    const bool finetunes = settings.finetune.candidates > 0 || settings.rounds > 1;
    const std::int64_t needed =
        settings.data.held_out +
        std::max(settings.data.recalibration_images, finetunes ? settings.finetune.images : 0);
    if (train < needed)
        throw core::ConfigError(
            fmt::format("{}: has {}, but {} ask for {}", settings.data.file,
                        core::counted(train, "training image"),
                        finetunes ? "data.held_out, data.recalibration_images and finetune.images"
                                  : "data.held_out and data.recalibration_images",
                        core::grouped(needed)));
}

ImageSplits splits_on_every_rank(const parallel::Job& job, const Settings& settings) {
    if (settings.data.file.empty()) return {};
    return read_images_on_every_rank(
        job.communicator, settings.data.file, settings.data.held_out,
        [&](std::int64_t train) { check_image_counts(settings, train); });
}

/// The images are normalised as the settings say; what these leave open is as the network's file
/// tells it, else the images' own. That is the network's normalisation from then on. Returns what
/// to tell of a file that says something else than the settings.
std::string share_normalisation(const Settings& settings, network::Prunable& network,
                                ImageSplits& splits) {
    const auto told = network.normalisation;
    network.normalisation = network::choose_normalisation(
        settings.data.normalisation, told,
        splits.train.count > 0 ? std::optional(accuracy::normalisation_of(splits.train))
                               : std::nullopt,
        network::infer_shapes(network.network).front().channels);
    if (!network.normalisation) return "";
    for (accuracy::ImageData* split : {&splits.train, &splits.held_out, &splits.test})
        if (split->count > 0)
            accuracy::use_normalisation(*split, *network.normalisation, network.network.name);
    if (!told) return "";
    const std::string& file =
        settings.network.weights.empty() ? settings.network.file : settings.network.weights;
    return network::conflict(*network.normalisation, *told, file);
}

/// That the network classifies these images.
void check_images_fit(const Settings& settings, const network::Network& network,
                      const ImageSplits& splits) {
    if (evaluator_of(settings) != "engine") return;
    const std::string& name = settings.network.file.empty() ? network.name : settings.network.file;
    accuracy::check_fit(network, splits.train, settings.data.file + ", '/train'", name);
    if (splits.held_out.count > 0)
        accuracy::check_fit(network, splits.held_out, settings.data.file + ", '/train'", name);
    accuracy::check_fit(network, splits.test, settings.data.file + ", '/test'", name);
}

/// Says where network.criterion cannot tell channels apart.
void check_criterion(const parallel::Job& job, const Settings& settings,
                     const network::Prunable& network) {
    if (settings.network.criterion != network::Criterion::batch_norm_scale) return;
    const std::size_t without =
        network::groups_without_scale(network.network, *network.weights, network.space);
    if (without > 0)
        job.log.warning(fmt::format("network.criterion: {} of {} pruning groups have no batch norm "
                                    "and are ranked by l2",
                                    without, network.space.groups().size()));
}

/// The channels of each group in the order of network.criterion.
std::vector<std::vector<std::int32_t>> rank_channels(const parallel::Job& job,
                                                     const Settings& settings,
                                                     const network::Prunable& network,
                                                     const accuracy::ImageData& train) {
    check_criterion(job, settings, network);
    core::Progress progress(job.log);
    network::ImportanceParameters parameters{.criterion = settings.network.criterion,
                                             .seed = static_cast<std::uint64_t>(settings.seed),
                                             .threads = job.threads,
                                             .on_progress = network::importance_progress(progress)};
    network::Weights gradients;
    if (parameters.criterion == network::Criterion::taylor) {
        gradients =
            accuracy::loss_gradients(network.network, *network.weights,
                                     accuracy::slice(train, 0, settings.data.recalibration_images),
                                     settings.data.evaluation);
        parameters.gradients = &gradients;
    }
    return network::rank_channels(network.network, *network.weights, network.space, parameters);
}

/// Makes batch norms from the images for recalibration. By the root, as processors of other kinds
/// may find other bits, and ranks must agree which channels matter. Collective.
InsertedNorms insert_norms(const parallel::Job& job, const Settings& settings,
                           const accuracy::ImageData& train, network::Prunable& network) {
    InsertedNorms norms{network::layers_without_norm(network.network).size(), 0};
    if (norms.missing == 0 || train.count == 0 || !settings.network.insert_batch_norms)
        return norms;
    const auto file =
        make_on_every_rank(job.communicator, "the network", [&](storage::Hdf5Writer& writer) {
            const auto images = accuracy::slice(train, 0, settings.data.recalibration_images);
            network::write_network(
                writer, accuracy::insert_batch_norms(network.network, *network.weights, images,
                                                     settings.data.evaluation.batch));
        });
    job.communicator.on_every_rank([&] {
        network = network::with_inserted_norms(std::move(network), network::read_network(file),
                                               settings.network.space);
    });
    norms.images = settings.data.recalibration_images;
    return norms;
}

/// Throws ConfigError when a group of the study's network is another one in what is left of it.
void check_same_groups(const network::SearchSpace& own, const network::SearchSpace& left,
                       const std::filesystem::path& file) {
    const auto name = [](const network::PruningGroup& group) { return group.name; };
    if (std::ranges::equal(own.groups(), left.groups(), {}, name, name)) return;
    throw core::ConfigError(fmt::format(
        "{}: what is left of the network has {}, and not the {} that the study "
        "began with; keep more of each (network.min_channels)",
        file.string(), core::counted(left.groups().size(), "pruning group"), own.groups().size()));
}

} // namespace

std::optional<ImageKind> image_kind(const Settings& settings) {
    if (settings.data.file.empty()) return std::nullopt;
    // The images themselves may be larger than the memory, and are not needed.
    storage::check_sealed(settings.data.file, storage::Seal::optional);
    const auto file = storage::Hdf5Reader::open(settings.data.file);
    storage::read_identity(file, accuracy::images_schema);
    const storage::Shape shape = file.shape("/train/images");
    if (shape.size() != 4)
        throw core::DataError(fmt::format("{}: /train/images has {}, expected 4", file.name(),
                                          core::counted(shape.size(), "dimension")));
    const auto extent = [&](std::size_t d) { return static_cast<std::int64_t>(shape[d]); };
    return ImageKind{.shape = {extent(1), {extent(2), extent(3)}},
                     .classes = file.attribute_int("/", "classes")};
}

network::NetworkSource network_source(const Settings& settings,
                                      const std::optional<ImageKind>& images) {
    network::NetworkSource source{.network = settings.network.file.empty() ? settings.network.name
                                                                           : settings.network.file,
                                  .zoo = {.width = settings.network.width},
                                  .weights = settings.network.weights};
    if (images) {
        source.zoo.classes = images->classes;
        source.zoo.input_channels = images->shape.channels;
        source.zoo.input_extent = images->shape.extent;
        source.input = images->shape;
    }
    return source;
}

network::Prunable load_network_to_prune(const parallel::Job& job, const Settings& settings,
                                        bool with_weights) {
    const auto file =
        make_on_every_rank(job.communicator, "the network", [&](storage::Hdf5Writer& writer) {
            if (!with_weights) {
                network::write_graph(writer, load_graph(settings));
                return;
            }
            const network::LoadedNetwork loaded = load_with_weights(settings);
            network::write_network(writer, {loaded.network, *loaded.weights});
            if (loaded.normalisation) network::write_normalisation(writer, *loaded.normalisation);
        });
    std::optional<network::Prunable> network;
    job.communicator.on_every_rank([&] {
        network.emplace(network::make_prunable(network::read_graph(file), settings.network.space));
        if (!with_weights) return;
        network->weights = network::read_network(file).weights;
        network->normalisation = network::read_normalisation(file);
    });
    return std::move(*network);
}

AccuracyInputs load_accuracy_inputs(const parallel::Job& job, const Settings& settings,
                                    network::Prunable& network) {
    ImageSplits splits = splits_on_every_rank(job, settings);
    AccuracyInputs inputs;
    job.communicator.on_every_rank([&] {
        check_images_fit(settings, network.network, splits);
        const std::string conflict = share_normalisation(settings, network, splits);
        if (!conflict.empty() && job.communicator.is_root()) job.log.info(conflict);
        inputs.content_key = content_key_of(network, splits);
    });
    inputs.norms = insert_norms(job, settings, splits.train, network);
    job.communicator.on_every_rank([&] {
        inputs.images = std::move(splits);
        network.ranked_channels = rank_channels(job, settings, network, inputs.images.train);
    });
    return inputs;
}

std::string content_key_of(const network::Prunable& network, const ImageSplits& splits) {
    core::Sha256 hash;
    add_weights(hash, *network.weights);
    add_images(hash, splits.train, &splits.held_out);
    add_images(hash, splits.test);
    return hash.hex_digest();
}

network::Prunable load_round_start(const parallel::Job& job, const Settings& settings,
                                   const std::filesystem::path& file, const network::Prunable& own,
                                   const ImageSplits& images) {
    const auto reader =
        open_on_every_rank(job.communicator, file.string(), storage::Seal::required);
    std::optional<network::Prunable> start;
    job.communicator.on_every_rank([&] {
        network::PrunedNetwork pruned = network::read_network(reader);
        network::SearchSpaceParameters any_count = settings.network.space;
        any_count.min_keep = std::numeric_limits<double>::min();
        any_count.min_channels = 1;
        start.emplace(network::make_prunable(std::move(pruned.network), any_count));
        check_same_groups(own.space, start->space, file);
        start->space = start->space.from(own.space.smallest());
        start->weights = std::move(pruned.weights);
        start->normalisation = network::read_normalisation(reader);
        start->ranked_channels = rank_channels(job, settings, *start, images.train);
    });
    return std::move(*start);
}

} // namespace hdap::study
