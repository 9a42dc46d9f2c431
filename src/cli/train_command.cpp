#include "commands.hpp"
#include "hdap/accuracy/evaluator.hpp"
#include "hdap/core/text.hpp"
#include "hdap/network/load.hpp"
#include "hdap/network/network_file.hpp"
#include "hdap/parallel/launch.hpp"
#include "hdap/storage/file_lock.hpp"
#include "hdap/storage/schema.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "hdap/study/open_on_every_rank.hpp"
#include "hdap/study/training_run.hpp"
#include "job_options.hpp"

#include <cstdio>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <span>

namespace hdap::cli {
namespace {

namespace fs = std::filesystem;
using core::ExitCode;

struct TrainOptions {
    std::string network;
    double width = 1.0;
    std::string data;
    std::string weights;
    std::string teacher;
    std::string teacher_weights;
    std::string output;
    std::int64_t held_out = 5000;
    double checkpoint_seconds = 60.0;
    std::optional<double> distillation;
    accuracy::TrainingParameters training{.epochs = 12.0, .batch = 128, .learning_rate = 0.1};
    JobOptions job;
};

/// The images, cut as the options say.
struct Images {
    accuracy::ImageData train;
    accuracy::ImageData held_out;
    accuracy::ImageData test;
};

Images read_images(const parallel::Communicator& world, const TrainOptions& options) {
    const auto file = study::open_on_every_rank(world, options.data);
    Images images;
    world.on_every_rank([&] {
        storage::read_identity(file, accuracy::images_schema);
        images.train = accuracy::read_images(file, "train");
        images.test = accuracy::read_images(file, "test");
        const std::int64_t trained_on = images.train.count - options.held_out;
        if (trained_on < 2)
            throw core::UsageError("--held-out " + std::to_string(options.held_out) + ": " +
                                   options.data + " has only " +
                                   std::to_string(images.train.count) + " training images");
        if (options.held_out == 0) return;
        images.held_out = accuracy::slice(images.train, trained_on, options.held_out);
        images.train = accuracy::slice(images.train, 0, trained_on);
    });
    return images;
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

/// What is trained, and what it imitates.
struct Networks {
    network::PrunedNetwork start;
    std::optional<network::PrunedNetwork> teacher;
    std::optional<network::Normalisation> normalisation; ///< where a file tells it
    bool from_file = false;                              ///< not a network of the zoo
};

Networks load_networks(const TrainOptions& options, const accuracy::ImageData& images) {
    Networks result;
    auto start = load(options.network, options.weights, options.width, images);
    result.normalisation = start.normalisation;
    result.from_file = fs::exists(options.network);
    if (!start.weights)
        start.weights = network::initial_weights(start.network, options.training.seed);
    result.start = {std::move(start.network), std::move(*start.weights)};
    if (options.teacher.empty()) return result;
    auto teacher = load(options.teacher, options.teacher_weights, 1.0, images);
    if (!teacher.weights)
        throw core::UsageError("the teacher '" + options.teacher +
                               "' has no weights of its own; name a file with --teacher-weights");
    const auto& wanted = teacher.normalisation;
    if (result.normalisation && wanted &&
        (result.normalisation->mean != wanted->mean ||
         result.normalisation->deviation != wanted->deviation))
        throw core::UsageError("the teacher '" + options.teacher +
                               "' takes images that are normalised otherwise than those of '" +
                               options.network + "'");
    if (!result.normalisation) result.normalisation = wanted;
    result.teacher = {std::move(teacher.network), std::move(*teacher.weights)};
    return result;
}

/// The root reads the networks; every rank gets them as HDF5 images.
Networks networks_on_every_rank(const parallel::Communicator& world, const TrainOptions& options,
                                const accuracy::ImageData& images) {
    Networks networks;
    std::vector<std::byte> start;
    std::vector<std::byte> teacher;
    const auto packed = [](const network::PrunedNetwork& network,
                           const std::optional<network::Normalisation>& normalisation) {
        storage::Hdf5Writer writer;
        network::write_network(writer, network);
        if (normalisation) network::write_normalisation(writer, *normalisation);
        return writer.finish();
    };
    world.on_root([&] {
        networks = load_networks(options, images);
        start = packed(networks.start, networks.normalisation);
        if (networks.teacher) teacher = packed(*networks.teacher, std::nullopt);
    });
    world.broadcast(start);
    world.broadcast(teacher);
    world.on_every_rank([&] {
        const auto reader = storage::Hdf5Reader::from_bytes(std::move(start), options.network);
        networks.start = network::read_network(reader);
        networks.normalisation = network::read_normalisation(reader);
        if (!teacher.empty())
            networks.teacher = network::read_network(
                storage::Hdf5Reader::from_bytes(std::move(teacher), options.teacher));
    });
    return networks;
}

/// What the trained network reached.
struct Figures {
    double held_out_accuracy = 0.0;
    double test_accuracy = 0.0;
};

/// A network of the zoo is written as weights, one from a file as a network.
void write(const TrainOptions& options, const Networks& networks, const network::Weights& weights,
           const Figures& figures) {
    if (networks.from_file && fs::path(options.output).extension() != ".h5") {
        network::save_network(options.output, {networks.start.network, weights},
                              networks.normalisation);
        return;
    }
    storage::Hdf5Writer file;
    storage::write_identity(
        file, {.schema = networks.from_file ? network::network_schema : network::weights_schema,
               .config_sha256 = "",
               .input_sha256 = ""});
    if (networks.from_file)
        network::write_network(file, {networks.start.network, weights});
    else
        network::write_weights(file, weights);
    if (networks.normalisation) network::write_normalisation(file, *networks.normalisation);
    file.attribute("/", "network", networks.start.network.name);
    if (!networks.from_file) file.attribute("/", "width", options.width);
    file.attribute("/", "data", fs::path(options.data).filename().string());
    file.attribute("/", "epochs", options.training.epochs);
    if (options.held_out > 0) file.attribute("/", "held_out_accuracy", figures.held_out_accuracy);
    file.attribute("/", "test_accuracy", figures.test_accuracy);
    storage::write_sealed(options.output, file.finish());
}

/// A file beside the output.
fs::path beside(const TrainOptions& options, const char* suffix) {
    fs::path path = options.output;
    path += suffix;
    return path;
}

void check_options(TrainOptions& options) {
    if (fs::exists(options.network)) network::check_network_file_name(options.output);
    if (options.teacher.empty() && options.distillation.value_or(0.0) > 0.0)
        throw core::UsageError("--distillation needs a --teacher");
    if (!options.teacher.empty())
        options.training.distillation = options.distillation.value_or(0.9);
    const fs::path folder = fs::absolute(options.output).parent_path();
    if (!fs::is_directory(folder))
        throw core::UsageError("--out " + options.output + ": there is no folder " +
                               folder.string());
}

/// Held by the root for as long as it trains to this output.
storage::FileLock lock_output(const TrainOptions& options) {
    auto lock = storage::FileLock::try_acquire(beside(options, ".lock"));
    if (!lock)
        throw core::UsageError(options.output + " is being trained by another job (" +
                               beside(options, ".lock").string() + " is locked)");
    return std::move(*lock);
}

void finish(const TrainOptions& options, const Networks& networks, const Images& images,
            const network::Weights& weights, int threads) {
    const auto accuracy = [&](const accuracy::ImageData& split) {
        return split.count == 0
                   ? std::numeric_limits<double>::quiet_NaN()
                   : accuracy::measure(networks.start.network, weights, split, {}, threads).top1;
    };
    const Figures figures{accuracy(images.held_out), accuracy(images.test)};
    write(options, networks, weights, figures);
    study::remove_checkpoint(beside(options, ".checkpoint"));
    fs::remove(beside(options, ".lock"));
    std::printf("%s: ", options.output.c_str());
    if (images.held_out.count > 0)
        std::printf("held-out accuracy %.2f %%, ", 100.0 * figures.held_out_accuracy);
    std::printf("test accuracy %.2f %%\n", 100.0 * figures.test_accuracy);
}

void describe(core::Log& log, const parallel::Communicator& world, int threads,
              const TrainOptions& options, const Images& images) {
    const std::int64_t shards =
        std::max<std::int64_t>(1, options.training.batch / options.training.shard);
    const std::int64_t workers = static_cast<std::int64_t>(world.size()) * threads;
    log.info("train: " + std::to_string(images.train.count) + " images, batches of " +
             std::to_string(options.training.batch) + " in " + std::to_string(shards) +
             (shards == 1 ? " shard, " : " shards, ") + std::to_string(workers) +
             (workers == 1 ? " worker" : " workers"));
    if (workers > shards)
        log.warning("only " + std::to_string(shards) + " of " + std::to_string(workers) +
                    " workers have something to do: a batch has no more shards; a larger --batch "
                    "or a smaller --shard gives more");
}

ExitCode train(const parallel::Communicator& world, TrainOptions options) {
    parallel::RunControl control(walltime_of(options.job.time_limit, world));
    core::Log log({.quiet = options.job.quiet || !world.is_root(),
                   .terminal = core::Log::stderr_is_terminal()});
    const auto launch = parallel::inspect_launch(world, options.job.threads);
    accuracy::use_one_thread_per_candidate();
    world.on_every_rank([&] { check_options(options); });
    std::optional<storage::FileLock> lock;
    world.on_root([&] { lock.emplace(lock_output(options)); });
    Images images = read_images(world, options);
    Networks networks = networks_on_every_rank(world, options, images.train);
    world.on_every_rank([&] {
        if (!networks.normalisation) // the file will tell what the network was trained on
            networks.normalisation = {images.train.mean, images.train.deviation};
        else
            for (accuracy::ImageData* split : {&images.train, &images.held_out, &images.test})
                if (split->count > 0)
                    accuracy::use_normalisation(*split, *networks.normalisation,
                                                networks.start.network.name);
    });
    if (world.is_root()) describe(log, world, launch.threads_per_rank, options, images);
    const auto write_history = [&](const std::vector<study::EpochRecord>& history) {
        const std::string text = study::history_csv(history);
        storage::write_atomically(beside(options, ".csv"), std::as_bytes(std::span(text)));
    };
    const auto trained = study::run_training({world, log, control, launch.threads_per_rank},
                                             {.label = "train",
                                              .start = networks.start,
                                              .teacher = networks.teacher,
                                              .images = images.train,
                                              .held_out = images.held_out,
                                              .parameters = options.training,
                                              .checkpoint = beside(options, ".checkpoint"),
                                              .checkpoint_seconds = options.checkpoint_seconds,
                                              .on_epoch = write_history});
    if (!trained) {
        log.info("stopped early; run the same command again to go on from " +
                 beside(options, ".checkpoint").string());
        return ExitCode::stopped;
    }
    world.on_root(
        [&] { finish(options, networks, images, trained->weights, launch.threads_per_rank); });
    return ExitCode::complete;
}

template <class T>
void add_number(CLI::App& command, const std::string& name, T& value, double low, double high,
                const std::string& text) {
    command.add_option(name, value, text)->check(CLI::Range(low, high))->capture_default_str();
}

void add_training_options(CLI::App& command, accuracy::TrainingParameters& training) {
    add_number(command, "--epochs", training.epochs, 1e-6, 1e4, "Passes over the images");
    add_number(command, "--batch", training.batch, 2, 65536, "Images a step");
    add_number(command, "--shard", training.shard, 2, 65536,
               "Images that batch norms see together and one thread computes; a batch has "
               "batch / shard of them");
    add_number(command, "--learning-rate", training.learning_rate, 1e-9, 100.0, "At its peak");
    command.add_option("--schedule", training.schedule, "How it falls after the warm-up")
        ->check(CLI::IsMember(accuracy::learning_rate_schedules()))
        ->capture_default_str();
    add_number(command, "--warmup", training.warmup, 0.0, 0.5,
               "Share of the steps with a rising rate");
    add_number(command, "--momentum", training.momentum, 0.0, 0.9999,
               "Of the gradients, as Nesterov takes it");
    command.add_flag("!--classical-momentum", training.nesterov, "Without Nesterov's look ahead");
    add_number(command, "--weight-decay", training.weight_decay, 0.0, 1.0,
               "On weights, not on batch norm");
    add_number(command, "--label-smoothing", training.label_smoothing, 0.0, 0.5, "Label smoothing");
    add_number(command, "--temperature", training.distillation_temperature, 0.01, 100.0,
               "Of the distillation");
    add_number(command, "--crop-padding", training.crop_padding, 0.0, 0.5,
               "How far crops reach beyond the image, a share of its height; 0: flips only");
    command.add_flag("!--no-augment", training.augment, "No random flips and crops");
    command
        .add_option("--device", training.device,
                    "auto: a GPU where LibTorch finds one; reference: LibTorch's own kernels")
        ->check(CLI::IsMember(accuracy::training_devices()))
        ->capture_default_str();
    add_number(command, "--seed", training.seed, 0, 1e15,
               "Of the first weights, the images' order and their variations");
}

} // namespace

void add_train_command(CLI::App& app, Action& action) {
    auto options = std::make_shared<TrainOptions>();
    CLI::App* command = add_command(
        app, "train",
        "Train or fine-tune a network on packed images, on all ranks and threads.\n"
        "The same command goes on after a stop. Beside --out it writes OUT.csv, a line an epoch.",
        "hdap train mobilenet_v1 --width 0.25 --data fashion-mnist.h5 --epochs 12 --out "
        "weights.h5\n"
        "  hdap network prune resnet20 --weights resnet20.h5 --macs 0.5 --data cifar10.h5 --out "
        "half.h5\n"
        "  mpirun -n 2 hdap train half.h5 --data cifar10.h5 --epochs 20 --out tuned.h5 \\\n"
        "      --teacher resnet20 --teacher-weights resnet20.h5");
    command
        ->add_option("NETWORK", options->network,
                     "Network of the zoo, or a file: .h5, .onnx, .pt (TorchScript)")
        ->required();
    command->add_option("--data", options->data, "Packed images (hdap data pack)")->required();
    command
        ->add_option("--out", options->output,
                     "File to write: the weights of a network of the zoo (hdap-weights/1), or the "
                     "network (.h5, .onnx, .pt) when NETWORK is a file")
        ->required();
    command->add_option("--weights", options->weights,
                        "Start from these instead of random ones or the file's own");
    add_number(*command, "--width", options->width, 0.01, 4.0,
               "Zoo: multiplies all channel counts");
    command->add_option("--teacher", options->teacher,
                        "Network to imitate, of the zoo or a file: knowledge distillation");
    command->add_option("--teacher-weights", options->teacher_weights, "Its weights");
    command
        ->add_option("--distillation", options->distillation,
                     "Weight of the teacher's share in the loss (default: 0.9 with a --teacher)")
        ->check(CLI::Range(0.0, 1.0));
    add_number(*command, "--held-out", options->held_out, 0, 1e8,
               "Last training images, not trained on; 0: train on all");
    add_training_options(*command, options->training);
    add_number(*command, "--checkpoint-seconds", options->checkpoint_seconds, 0.01, 86'400.0,
               "Time between two checkpoints, OUT.checkpoint");
    add_job_options(*command, options->job);
    command->callback([options, &action] {
        action = [options](Arguments arguments) {
            return run_on_all_ranks(arguments, [&](const parallel::Communicator& world) {
                return train(world, *options);
            });
        };
    });
}

} // namespace hdap::cli
