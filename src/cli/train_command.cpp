#include "commands.hpp"
#include "hdap/accuracy/evaluator.hpp"
#include "hdap/accuracy/finetune.hpp"
#include "hdap/core/log.hpp"
#include "hdap/core/progress.hpp"
#include "hdap/core/text.hpp"
#include "hdap/network/weights.hpp"
#include "hdap/network/zoo.hpp"
#include "hdap/parallel/run_control.hpp"
#include "hdap/storage/schema.hpp"
#include "hdap/storage/sealed_file.hpp"

#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>

namespace hdap::cli {
namespace {

using core::ExitCode;

struct TrainOptions {
    std::string network;
    double width = 1.0;
    std::string data;
    std::string weights;
    std::string output;
    std::int64_t held_out = 5000;
    accuracy::FinetuneParameters training{.epochs = 12.0, .learning_rate = 0.1};
};

storage::Hdf5Reader open(const std::string& file, const std::string& schema) {
    auto reader =
        storage::Hdf5Reader::from_bytes(storage::read_sealed(file, storage::Seal::optional), file);
    storage::read_identity(reader, schema);
    return reader;
}

void write(const TrainOptions& options, const network::Network& network,
           const network::Weights& weights, double held_out_accuracy, double test_accuracy) {
    storage::Hdf5Writer file;
    storage::write_identity(
        file, {.schema = network::weights_schema, .config_sha256 = "", .input_sha256 = ""});
    network::write_weights(file, weights);
    file.attribute("/", "network", network.name);
    file.attribute("/", "width", options.width);
    file.attribute("/", "data", std::filesystem::path(options.data).filename().string());
    file.attribute("/", "epochs", options.training.epochs);
    file.attribute("/", "held_out_accuracy", held_out_accuracy);
    file.attribute("/", "test_accuracy", test_accuracy);
    storage::write_sealed(options.output, file.finish());
}

/// Trains and returns the weights, or nothing when a signal stopped it.
std::optional<network::Weights> trained(const TrainOptions& options,
                                        const network::PrunedNetwork& start,
                                        const accuracy::ImageData& images) {
    core::Log log({.quiet = false, .terminal = core::Log::stderr_is_terminal()});
    core::Progress progress(log);
    const parallel::RunControl control;
    auto weights = accuracy::finetune(
        start, images, options.training, [&](const accuracy::FinetuneProgress& state) {
            const double epoch = options.training.epochs * static_cast<double>(state.step) /
                                 static_cast<double>(state.steps);
            progress.show({.stage = "train",
                           .position = "epoch " + core::significant(epoch, 3) + "/" +
                                       core::shortest(options.training.epochs),
                           .done = state.step * options.training.batch,
                           .total = state.steps * options.training.batch,
                           .unit = "images",
                           .detail = "loss " + core::significant(state.loss) + "  accuracy " +
                                     core::significant(100.0 * state.train_accuracy) + " %"});
            return !control.stop_requested();
        });
    if (control.stop_requested()) return std::nullopt;
    return weights;
}

ExitCode train(const TrainOptions& options) {
    accuracy::use_one_thread_per_candidate();
    const auto images = open(options.data, accuracy::images_schema);
    const auto train_images = accuracy::read_images(images, "train");
    const auto test_images = accuracy::read_images(images, "test");
    if (options.held_out >= train_images.count)
        throw core::UsageError("--held-out " + std::to_string(options.held_out) + ": " +
                               options.data + " has only " + std::to_string(train_images.count) +
                               " training images");
    const auto network =
        network::make_network({.name = options.network,
                               .width = options.width,
                               .classes = train_images.classes,
                               .input_channels = train_images.channels,
                               .input_extent = {train_images.height, train_images.width}});
    const auto start = options.weights.empty()
                           ? network::initial_weights(network, options.training.seed)
                           : network::read_weights(open(options.weights, network::weights_schema));
    const std::int64_t trained_on = train_images.count - options.held_out;
    const auto weights =
        trained(options, {network, start}, accuracy::slice(train_images, 0, trained_on));
    if (!weights) {
        std::fprintf(stderr, "stopped early; nothing was written\n");
        return ExitCode::stopped;
    }
    const accuracy::EvaluationParameters evaluation;
    const double held_out_accuracy = accuracy::top1_accuracy(
        network, *weights, accuracy::slice(train_images, trained_on, options.held_out), evaluation);
    const double test_accuracy =
        accuracy::top1_accuracy(network, *weights, test_images, evaluation);
    write(options, network, *weights, held_out_accuracy, test_accuracy);
    std::printf("%s: held-out accuracy %.2f %%, test accuracy %.2f %%\n", options.output.c_str(),
                100.0 * held_out_accuracy, 100.0 * test_accuracy);
    return ExitCode::complete;
}

} // namespace

void add_train_command(CLI::App& app, Action& action) {
    auto options = std::make_shared<TrainOptions>();
    CLI::App* command = add_command(
        app, "train", "Train a network of the zoo on packed images, from random or given weights.",
        "hdap train mobilenet_v1 --width 0.25 --data fashion-mnist.h5 --epochs 12 --out "
        "weights.h5");
    command->add_option("NETWORK", options->network, "Network of the zoo")
        ->required()
        ->check(CLI::IsMember(network::zoo_names()));
    command->add_option("--data", options->data, "Packed images (hdap data pack)")->required();
    command->add_option("--out", options->output, "HDF5 file to write (hdap-weights/1)")
        ->required();
    command->add_option("--weights", options->weights, "Start from these instead of random ones");
    auto& training = options->training;
    const auto number = [&](const std::string& name, auto& value, double low, double high,
                            const std::string& text) {
        command->add_option(name, value, text)->check(CLI::Range(low, high))->capture_default_str();
    };
    number("--width", options->width, 0.01, 4.0, "Multiplies all channel counts");
    number("--held-out", options->held_out, 1, 1e8, "Last training images, not trained on");
    number("--epochs", training.epochs, 1e-6, 1e4, "Passes over the images");
    number("--batch", training.batch, 1, 65536, "Images a step");
    number("--learning-rate", training.learning_rate, 1e-9, 100.0, "At its peak");
    number("--momentum", training.momentum, 0.0, 0.9999, "Nesterov momentum");
    number("--weight-decay", training.weight_decay, 0.0, 1.0, "On weights, not on batch norm");
    number("--warmup", training.warmup, 0.0, 0.5, "Share of the steps with a rising rate");
    number("--label-smoothing", training.label_smoothing, 0.0, 0.5, "Label smoothing");
    number("--crop-padding", training.crop_padding, 0.0, 0.5,
           "How far crops reach beyond the image, a share of its height; 0: flips only");
    number("--seed", training.seed, 0, 1e15, "Of the first weights and of the images' order");
    command->add_flag("!--no-augment", training.augment, "No random flips and crops");
    command->callback(
        [options, &action] { action = [options](Arguments) { return train(*options); }; });
}

} // namespace hdap::cli
