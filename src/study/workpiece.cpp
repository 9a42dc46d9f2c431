#include "content_hash.hpp"
#include "hdap/accuracy/gradients.hpp"
#include "hdap/core/hash.hpp"
#include "hdap/core/provenance.hpp"
#include "hdap/network/importance.hpp"
#include "hdap/network/network_file.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "hdap/study/open_on_every_rank.hpp"
#include "stages.hpp"

namespace hdap::study {
namespace {

std::string content_key(const network::Weights& weights, const accuracy::ImageData& train,
                        const accuracy::ImageData& test) {
    core::Sha256 hash;
    add_weights(hash, weights);
    add_images(hash, train);
    add_images(hash, test);
    return hash.hex_digest();
}

/// The network, its weights and normalisation, which the root reads, whatever their formats, and
/// every rank gets as one HDF5 image.
storage::Hdf5Reader network_on_every_rank(const StudyContext& context,
                                          const network::NetworkSource& source) {
    std::vector<std::byte> bytes;
    context.communicator.on_root([&] {
        const network::LoadedNetwork loaded = network::load_network(source);
        if (!loaded.weights)
            throw core::ConfigError("network.weights is missing: '" + source.network +
                                    "' has no weights of its own");
        storage::Hdf5Writer writer;
        network::write_network(writer, {loaded.network, *loaded.weights});
        if (loaded.normalisation) network::write_normalisation(writer, *loaded.normalisation);
        bytes = writer.finish();
    });
    context.communicator.broadcast(bytes);
    std::optional<storage::Hdf5Reader> reader;
    context.communicator.on_every_rank(
        [&] { reader.emplace(storage::Hdf5Reader::from_bytes(std::move(bytes), "the network")); });
    return std::move(*reader);
}

/// The channels of each group in the order of network.criterion.
std::vector<std::vector<std::int32_t>> rank_channels(const Settings& settings,
                                                     const network::Network& network,
                                                     const network::Weights& weights,
                                                     const network::SearchSpace& space,
                                                     const accuracy::ImageData& train) {
    network::ImportanceParameters parameters{.criterion = settings.network.criterion,
                                             .seed = static_cast<std::uint64_t>(settings.seed)};
    network::Weights gradients;
    if (parameters.criterion == network::Criterion::taylor) {
        gradients = accuracy::loss_gradients(
            network, weights, accuracy::slice(train, 0, settings.data.recalibration_images),
            settings.data.evaluation);
        parameters.gradients = &gradients;
    }
    return network::rank_channels(network, weights, space, parameters);
}

void check_image_counts(const Settings& settings, const accuracy::ImageData& train) {
    const std::int64_t needed =
        settings.data.held_out +
        std::max(settings.data.recalibration_images, settings.finetune.images);
    if (train.count < needed)
        throw core::ConfigError(settings.data.file + ": has " + std::to_string(train.count) +
                                " training images, but data.held_out, data.recalibration_images "
                                "and finetune.images ask for " +
                                std::to_string(needed));
}

} // namespace

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

/// Both splits of the data, on every rank; empty where there is none.
struct Splits {
    accuracy::ImageData train;
    accuracy::ImageData test;
};

Splits splits_on_every_rank(const StudyContext& context) {
    Splits splits;
    if (context.settings.data.file.empty()) return splits;
    const auto file = open_on_every_rank(context.communicator, context.settings.data.file);
    context.communicator.on_every_rank([&] {
        storage::read_identity(file, accuracy::images_schema);
        splits = {accuracy::read_images(file, "train"), accuracy::read_images(file, "test")};
        check_image_counts(context.settings, splits.train);
    });
    return splits;
}

Workpiece load_workpiece(const StudyContext& context) {
    const Settings& settings = context.settings;
    auto [train, test] = splits_on_every_rank(context);
    std::optional<ImageKind> images;
    if (train.count > 0) images = {{train.channels, {train.height, train.width}}, train.classes};
    const auto network_file = network_on_every_rank(context, network_source(settings, images));
    std::optional<Workpiece> workpiece;
    context.communicator.on_every_rank([&] {
        accuracy::check_evaluation({.precision = settings.search.precision});
        auto [network, weights] = network::read_network(network_file);
        auto normalisation = network::read_normalisation(network_file);
        if (!normalisation && train.count > 0)
            normalisation = {train.mean, train.deviation};
        else if (normalisation)
            for (accuracy::ImageData* split : {&train, &test})
                if (split->count > 0)
                    accuracy::use_normalisation(*split, *normalisation, network.name);
        network::SearchSpace space(network, settings.network.space);
        network::CostModel costs(network, space.structure());
        auto ranked = rank_channels(settings, network, weights, space, train);
        std::string graph_key = core::sha256_hex(network::network_as_json(network));
        std::string key = content_key(weights, train, test);
        const std::int64_t trained_on =
            std::max<std::int64_t>(0, train.count - settings.data.held_out);
        accuracy::ImageData held_out;
        if (train.count > 0) {
            held_out = accuracy::slice(train, trained_on, settings.data.held_out);
            train = accuracy::slice(train, 0, trained_on);
        }
        workpiece.emplace(Workpiece{.network = std::move(network),
                                    .weights = std::move(weights),
                                    .normalisation = std::move(normalisation),
                                    .space = std::move(space),
                                    .costs = std::move(costs),
                                    .ranked_channels = std::move(ranked),
                                    .train = std::move(train),
                                    .held_out = std::move(held_out),
                                    .test = std::move(test),
                                    .graph_key = std::move(graph_key),
                                    .inputs_key = std::move(key)});
    });
    return std::move(*workpiece);
}

StageIdentities stage_identities(const Settings& settings, const Workpiece& workpiece) {
    using core::Outputs;
    const auto config_hash = [&](Outputs outputs) {
        return core::sha256_hex(
            std::string_view(settings_lines(settings, outputs) + workpiece.graph_key));
    };
    StageIdentities ids;
    ids.fleet = {fleet::fleet_schema, config_hash(Outputs::fleet), ""};
    ids.clusters = {fleet::clusters_schema, config_hash(Outputs::clusters),
                    identity_key(ids.fleet)};
    ids.profile = {surrogate::profile_schema, config_hash(Outputs::profile),
                   identity_key(ids.clusters)};
    ids.surrogates = {surrogate::surrogates_schema, config_hash(Outputs::surrogates),
                      identity_key(ids.profile)};
    ids.search = {
        search::search_schema, config_hash(Outputs::search | Outputs::search_length),
        core::sha256_hex(std::string_view(identity_key(ids.surrogates) + workpiece.inputs_key))};
    // Accuracies are shared between jobs, so they must come from the same kind of processor.
    const bool random = settings.network.criterion == network::Criterion::random;
    ids.accuracies = {accuracies_schema,
                      core::sha256_hex(std::string_view(
                          config_hash(Outputs::accuracies) + accuracy::evaluation_engine() +
                          core::current_provenance().libraries + core::processor_name() +
                          (random ? std::to_string(settings.seed) : ""))),
                      workpiece.inputs_key};
    ids.networks = {network::network_schema, config_hash(Outputs::networks),
                    identity_key(ids.search)};
    ids.results = {results_schema, config_hash(Outputs::results), identity_key(ids.networks)};
    return ids;
}

} // namespace hdap::study
