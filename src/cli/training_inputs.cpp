#include "training_inputs.hpp"

#include "hdap/accuracy/image_file.hpp"
#include "hdap/accuracy/image_fit.hpp"
#include "hdap/core/error.hpp"
#include "hdap/network/load.hpp"
#include "hdap/network/network_file.hpp"
#include "hdap/study/image_splits.hpp"
#include "hdap/study/on_every_rank.hpp"

#include <fmt/core.h>

#include <utility>
#include <vector>

namespace hdap::cli {
namespace {

void read_images(const parallel::Communicator& world, const TrainingInputOptions& options,
                 TrainingInputs& inputs) {
    const auto check_count = [&](std::int64_t train) {
        if (train - options.held_out < 2)
            throw core::UsageError(fmt::format("--held-out {}: {} has only {} training images",
                                               options.held_out, options.data, train));
    };
    auto splits =
        study::read_images_on_every_rank(world, options.data, options.held_out, check_count);
    inputs.train = std::move(splits.train);
    inputs.held_out = std::move(splits.held_out);
    inputs.test = std::move(splits.test);
}

network::LoadedNetwork load(const std::string& network, const std::string& weights, double width,
                            const accuracy::ImageData& images) {
    return network::load_network({.network = network,
                                  .zoo = {.width = width,
                                          .classes = images.classes,
                                          .input_channels = images.channels,
                                          .input_extent = {images.height, images.width}},
                                  .input = {{images.channels, {images.height, images.width}}},
                                  .weights = weights});
}

/// Networks as they are read, by the root.
struct Networks {
    network::PrunedNetwork start;
    std::optional<network::PrunedNetwork> teacher;
    std::optional<network::Normalisation> normalisation;
    std::string note; ///< of files that say another one than the options
};

/// What the options say, the rest as `told` by the file `name`, else as the images' file tells;
/// nothing where the options say nothing, and no file does. `note` gets what to tell of a file that
/// says something else.
std::optional<network::Normalisation>
chosen_normalisation(const TrainingInputOptions& options,
                     const std::optional<network::Normalisation>& told, const std::string& name,
                     const accuracy::ImageData& images, std::string& note) {
    if (options.normalisation == network::NormalisationChoice()) return told;
    const network::Normalisation chosen = network::choose_normalisation(
        options.normalisation, told.value_or(accuracy::normalisation_of(images)), images.channels);
    if (told) note = network::conflict(chosen, *told, name);
    return chosen;
}

Networks load_networks(const TrainingInputOptions& options, std::uint64_t seed,
                       const accuracy::ImageData& images) {
    Networks result;
    auto start = load(options.network, options.weights, options.width, images);
    accuracy::check_fit(start.network, images, options.data, options.network);
    result.normalisation = chosen_normalisation(
        options, start.normalisation, options.weights.empty() ? options.network : options.weights,
        images, result.note);
    if (!start.weights) start.weights = network::initial_weights(start.network, seed);
    result.start = {std::move(start.network), std::move(*start.weights)};
    if (options.teacher.empty()) return result;
    auto teacher = load(options.teacher, options.teacher_weights, 1.0, images);
    accuracy::check_fit(teacher.network, images, options.data, options.teacher);
    if (!teacher.weights)
        throw core::UsageError(fmt::format(
            "the teacher '{}' has no weights of its own; name a file with --teacher-weights",
            options.teacher));
    const auto& wanted = teacher.normalisation;
    const std::string conflict =
        result.normalisation && wanted
            ? network::conflict(*result.normalisation, *wanted, options.teacher)
            : "";
    if (!conflict.empty() && options.normalisation == network::NormalisationChoice())
        throw core::UsageError(fmt::format(
            "the teacher '{}' takes images that are normalised otherwise than those of '{}': {} "
            "and {}",
            options.teacher, options.network, network::described(*wanted),
            network::described(*result.normalisation)));
    if (result.note.empty()) result.note = conflict;
    if (!result.normalisation) result.normalisation = wanted;
    result.teacher = {std::move(teacher.network), std::move(*teacher.weights)};
    return result;
}

/// The root reads the networks; every rank gets them.
std::optional<network::Normalisation> read_networks(const parallel::Communicator& world,
                                                    const TrainingInputOptions& options,
                                                    std::uint64_t seed, TrainingInputs& inputs) {
    std::optional<Networks> networks;
    world.on_root([&] {
        networks = load_networks(options, seed, inputs.train);
        inputs.note = networks->note;
    });
    const auto start =
        study::make_on_every_rank(world, options.network, [&](storage::Hdf5Writer& file) {
            network::write_network(file, networks->start);
            if (networks->normalisation)
                network::write_normalisation(file, *networks->normalisation);
        });
    std::optional<storage::Hdf5Reader> teacher;
    if (!options.teacher.empty())
        teacher = study::make_on_every_rank(world, options.teacher, [&](storage::Hdf5Writer& file) {
            network::write_network(file, *networks->teacher);
        });
    std::optional<network::Normalisation> normalisation;
    world.on_every_rank([&] {
        inputs.start = network::read_network(start);
        normalisation = network::read_normalisation(start);
        if (teacher) inputs.teacher = network::read_network(*teacher);
    });
    return normalisation;
}

} // namespace

TrainingInputs read_training_inputs(const parallel::Communicator& world,
                                    const TrainingInputOptions& options, std::uint64_t seed) {
    TrainingInputs inputs;
    read_images(world, options, inputs);
    const auto normalisation = read_networks(world, options, seed, inputs);
    world.on_every_rank([&] {
        if (normalisation)
            for (accuracy::ImageData* split : {&inputs.train, &inputs.held_out, &inputs.test})
                if (split->count > 0)
                    accuracy::use_normalisation(*split, *normalisation, inputs.start.network.name);
        inputs.normalisation = accuracy::normalisation_of(inputs.train);
    });
    return inputs;
}

} // namespace hdap::cli
