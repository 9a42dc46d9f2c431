#include "inputs.hpp"

#include "content_hash.hpp"
#include "hdap/accuracy/gradients.hpp"
#include "hdap/network/importance.hpp"
#include "hdap/network/network_file.hpp"
#include "hdap/storage/schema.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "hdap/study/on_every_rank.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace hdap::study {
namespace {

network::LoadedNetwork load_with_weights(const Settings& settings) {
    const network::NetworkSource source = network_source(settings, image_kind(settings));
    network::LoadedNetwork loaded = network::load_network(source);
    if (!loaded.weights)
        throw core::ConfigError(fmt::format(
            "network.weights is missing: '{}' has no weights of its own", source.network));
    return loaded;
}

network::Network load_graph(const Settings& settings) {
    network::NetworkSource source = network_source(settings, image_kind(settings));
    source.weights.clear();
    return network::load_network(source).network;
}

void check_image_counts(const Settings& settings, std::int64_t train) {
    const std::int64_t needed =
        settings.data.held_out +
        std::max(settings.data.recalibration_images, settings.finetune.images);
    if (train < needed)
        throw core::ConfigError(
            fmt::format("{}: has {} training images, but data.held_out, data.recalibration_images "
                        "and finetune.images ask for {}",
                        settings.data.file, train, needed));
}

ImageSplits splits_on_every_rank(const parallel::Job& job, const Settings& settings) {
    if (settings.data.file.empty()) return {};
    return read_images_on_every_rank(
        job.communicator, settings.data.file, settings.data.held_out,
        [&](std::int64_t train) { check_image_counts(settings, train); });
}

/// The images are normalised as the network's file tells it; else its normalisation is theirs.
void share_normalisation(network::Prunable& network, ImageSplits& splits) {
    if (splits.train.count == 0) return;
    if (!network.normalisation) {
        network.normalisation = {splits.train.mean, splits.train.deviation};
        return;
    }
    for (accuracy::ImageData* split : {&splits.train, &splits.held_out, &splits.test})
        if (split->count > 0)
            accuracy::use_normalisation(*split, *network.normalisation, network.network.name);
}

/// The channels of each group in the order of network.criterion.
std::vector<std::vector<std::int32_t>> rank_channels(const Settings& settings,
                                                     const network::Prunable& network,
                                                     const accuracy::ImageData& train) {
    network::ImportanceParameters parameters{.criterion = settings.network.criterion,
                                             .seed = static_cast<std::uint64_t>(settings.seed)};
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

std::string content_key_of(const network::Prunable& network, const ImageSplits& splits) {
    core::Sha256 hash;
    add_weights(hash, *network.weights);
    add_images(hash, splits.train, &splits.held_out);
    add_images(hash, splits.test);
    return hash.hex_digest();
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
        throw core::DataError(fmt::format("{}: /train/images has {} dimensions, expected 4",
                                          file.name(), shape.size()));
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
        share_normalisation(network, splits);
        inputs.content_key = content_key_of(network, splits);
        inputs.images = std::move(splits);
        network.ranked_channels = rank_channels(settings, network, inputs.images.train);
    });
    return inputs;
}

} // namespace hdap::study
