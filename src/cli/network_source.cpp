#include "network_source.hpp"

#include "hdap/accuracy/image_fit.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/log.hpp"
#include "hdap/core/text.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "option_checks.hpp"
#include "setting_options.hpp"

#include <fmt/core.h>

#include <initializer_list>
#include <utility>

namespace hdap::cli {
namespace {

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
TrainedNetwork load_trained(const SourceOptions& options, const accuracy::ImageData* images) {
    network::LoadedNetwork loaded = load_network(options);
    if (!loaded.weights)
        throw core::UsageError(
            fmt::format("'{}' has no weights of its own; name a file of weights with --weights",
                        options.source.network));
    TrainedNetwork result{{std::move(loaded.network), std::move(*loaded.weights)}, {}};
    const std::int64_t channels = network::infer_shapes(result.network.network).front().channels;
    result.normalisation = network::choose_normalisation(
        options.normalisation, loaded.normalisation,
        images ? std::optional(accuracy::normalisation_of(*images)) : std::nullopt, channels);
    if (loaded.normalisation)
        tell(network::conflict(*result.normalisation, *loaded.normalisation,
                               options.source.weights.empty() ? options.source.network
                                                              : options.source.weights));
    return result;
}

} // namespace

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

void add_space_options(CLI::App& command, network::SearchSpaceParameters& space) {
    command.add_option("--divisor", space.divisor, "Channels kept are multiples of this, or all")
        ->check(CLI::Range(1, 1024))
        ->capture_default_str();
    command.add_option("--min-channels", space.min_channels, "Keep at least so many of a group")
        ->capture_default_str();
    command.add_option("--pin", space.pinned, "Layers whose channels are all kept")->delimiter(',');
}

void add_output_option(CLI::App& command, std::vector<std::string>& outputs) {
    command
        .add_option("--out", outputs,
                    "File to write, " + core::join(network::network_file_formats(), " or ") +
                        "; may be given several times")
        ->required();
}

void check_outputs(const std::vector<std::string>& outputs, const SourceOptions& network,
                   const std::string& data) {
    for (const std::string& output : outputs) {
        network::check_network_file_name(output);
        check_output_file("--out", output, {network.source.network, network.source.weights, data});
    }
}

network::LoadedNetwork load_network(const SourceOptions& options) {
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

TrainedNetwork load_with_weights(const SourceOptions& options) {
    return load_trained(options, nullptr);
}

TrainedNetwork load_for(accuracy::ImageData& images, const std::string& file,
                        SourceOptions& options) {
    fit_to_images(options, images);
    TrainedNetwork result = load_trained(options, &images);
    accuracy::check_fit(result.network.network, images, file, options.source.network);
    accuracy::use_normalisation(images, *result.normalisation, options.source.network);
    return result;
}

storage::Hdf5Reader open_images(const std::string& file) {
    storage::check_sealed(file, storage::Seal::optional);
    return storage::Hdf5Reader::open(file);
}

std::string totals_text(const network::NetworkCosts& costs) {
    return fmt::format(
        "{} M MACs, {} M parameters ({} MB), peak activations {} MB per image",
        core::significant(static_cast<double>(costs.macs) * 1e-6),
        core::significant(static_cast<double>(costs.parameters) * 1e-6),
        core::significant(static_cast<double>(network::weight_bytes(costs)) * 1e-6),
        core::significant(static_cast<double>(costs.peak_activation_elements) * 4e-6));
}

} // namespace hdap::cli
