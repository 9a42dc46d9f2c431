#include "commands.hpp"
#include "hdap/accuracy/evaluation.hpp"
#include "hdap/accuracy/training.hpp"
#include "hdap/core/text.hpp"
#include "hdap/network/load.hpp"
#include "hdap/network/network_file.hpp"
#include "hdap/parallel/launch.hpp"
#include "hdap/storage/file_lock.hpp"
#include "hdap/storage/schema.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "hdap/study/run_directory.hpp"
#include "hdap/study/training_run.hpp"
#include "job_options.hpp"
#include "option_checks.hpp"
#include "setting_options.hpp"
#include "training_inputs.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>

namespace hdap::cli {
namespace {

namespace fs = std::filesystem;
using core::ExitCode;

struct TrainOptions {
    TrainingInputOptions inputs;
    std::string output;
    double checkpoint_seconds = 60.0;
    accuracy::TrainingParameters training{
        .epochs = 12.0, .batch = 128, .learning_rate = 0.1, .distillation = 0.9};
    JobOptions job;
};

/// What the trained network reached.
struct Accuracies {
    double held_out_accuracy = 0.0; ///< not a number without held-out images
    double test_accuracy = 0.0;
};

bool is_hdf5(const std::string& file) {
    return fs::path(file).extension() == ".h5";
}

/// A file beside the output.
fs::path beside(const TrainOptions& options, const char* suffix) {
    fs::path path = options.output;
    path += suffix;
    return path;
}

/// In HDF5 a network of the zoo is written as weights, one from a file as a network.
void write(const TrainOptions& options, const TrainingInputs& inputs,
           const network::Weights& weights, const storage::FileIdentity& training,
           const Accuracies& accuracies) {
    if (!is_hdf5(options.output)) {
        network::save_network(options.output, {inputs.start.network, weights},
                              inputs.normalisation);
        return;
    }
    const bool from_zoo = network::is_in_zoo(options.inputs.network);
    storage::Hdf5Writer file;
    storage::write_identity(file,
                            {.schema = from_zoo ? network::weights_schema : network::network_schema,
                             .config_sha256 = training.config_sha256,
                             .input_sha256 = training.input_sha256});
    if (from_zoo)
        network::write_weights(file, weights);
    else
        network::write_network(file, {inputs.start.network, weights});
    network::write_normalisation(file, inputs.normalisation);
    file.attribute("/", "network", inputs.start.network.name);
    if (from_zoo) file.attribute("/", "width", options.inputs.width);
    file.attribute("/", "data", fs::path(options.inputs.data).filename().string());
    file.attribute("/", "epochs", options.training.epochs);
    if (inputs.held_out.count > 0)
        file.attribute("/", "held_out_accuracy", accuracies.held_out_accuracy);
    file.attribute("/", "test_accuracy", accuracies.test_accuracy);
    storage::write_sealed(options.output, file.finish());
}

/// Which of the options that mean something only beside others were given.
struct GivenOptions {
    bool width = false;
    bool teacher = false;
    bool distillation = false;
    bool temperature = false;
    bool crop_padding = false;
};

/// Throws UsageError for options that would do nothing.
void check_idle_options(const TrainOptions& options, const GivenOptions& given) {
    const bool teacher = !options.inputs.teacher.empty();
    if (!teacher && !options.inputs.teacher_weights.empty())
        throw core::UsageError("--teacher-weights needs a --teacher");
    if (!teacher && given.distillation && options.training.distillation > 0.0)
        throw core::UsageError("--distillation needs a --teacher");
    if (!teacher && given.temperature)
        throw core::UsageError("--distillation-temperature needs a --teacher");
    if (given.crop_padding && !options.training.augment)
        throw core::UsageError("--crop-padding does nothing with --no-augment");
}

void check_options(TrainOptions& options, const GivenOptions& given) {
    const TrainingInputOptions& inputs = options.inputs;
    network::check_network_file_name(options.output);
    for (const char* suffix : {"", ".csv", ".checkpoint"})
        check_output_file(
            "--out", beside(options, suffix).string(),
            {inputs.network, inputs.weights, inputs.teacher, inputs.teacher_weights, inputs.data});
    if (given.width && !network::is_in_zoo(inputs.network))
        throw core::UsageError(
            fmt::format("--width is for networks of the zoo; '{}' is none", inputs.network));
    if (given.teacher && inputs.teacher.empty()) throw core::UsageError("--teacher is empty");
    check_idle_options(options, given);
    if (inputs.teacher.empty()) options.training.distillation = 0.0;
}

/// Held by the root for as long as it trains to an output; its file is gone afterwards.
class OutputLock {
  public:
    OutputLock(const TrainOptions& options, core::Log& log)
        : path_(beside(options, ".lock")), lock_(storage::FileLock::try_acquire(path_)) {
        if (!lock_)
            throw core::UsageError(
                fmt::format("{} is being trained by another job ({} is locked{})", options.output,
                            path_.string(), storage::FileLock::unlocked_owner(path_)));
        if (!lock_->weakness().empty()) log.warning(lock_->weakness());
    }
    ~OutputLock() {
        std::error_code ignored;
        if (lock_) fs::remove(path_, ignored); // while it is still locked
    }
    OutputLock(const OutputLock&) = delete;
    OutputLock& operator=(const OutputLock&) = delete;

  private:
    fs::path path_;
    std::optional<storage::FileLock> lock_;
};

void print_accuracies(const TrainOptions& options, const Accuracies& accuracies) {
    std::printf("%s: ", options.output.c_str());
    if (std::isfinite(accuracies.held_out_accuracy))
        std::printf("held-out accuracy %.2f %%, ", 100.0 * accuracies.held_out_accuracy);
    std::printf("test accuracy %.2f %%\n", 100.0 * accuracies.test_accuracy);
}

/// Whether the output is there and came from this training: then they are printed. One that
/// came from something else is not written over: throws ConfigError.
bool is_complete(const TrainOptions& options, const storage::FileIdentity& training) {
    if (!fs::exists(options.output)) return false;
    const std::string advice = "choose another --out, or remove it";
    if (!is_hdf5(options.output))
        throw core::ConfigError(fmt::format("{} is there already, and is not written over: {}",
                                            options.output, advice));
    const auto file = storage::Hdf5Reader::from_bytes(
        storage::read_sealed(options.output, storage::Seal::optional), options.output);
    const std::string schema = file.attribute_string("/", "schema");
    study::require_same_identity(options.output, storage::read_identity(file, schema), training,
                                 advice);
    const bool held_out = file.has_attribute("/", "held_out_accuracy");
    std::printf("complete: ");
    print_accuracies(options, {held_out ? file.attribute_double("/", "held_out_accuracy")
                                        : std::numeric_limits<double>::quiet_NaN(),
                               file.attribute_double("/", "test_accuracy")});
    return true;
}

void describe(core::Log& log, const parallel::Communicator& world, int threads,
              const TrainOptions& options, const accuracy::ImageData& train) {
    const std::int64_t images = train.count;
    const std::int64_t shards = accuracy::shards_of(options.training, images);
    const std::int64_t workers = static_cast<std::int64_t>(world.size()) * threads;
    log.info(fmt::format("train: {}, batches of {} in {}, {}", core::counted(images, "image"),
                         std::min(options.training.batch, images), core::counted(shards, "shard"),
                         core::counted(workers, "worker")));
    if (workers > shards)
        log.warning(fmt::format("only {} of {} workers have something to do: a batch has no more "
                                "shards; a larger --batch or a smaller --shard gives more",
                                shards, workers));
    if (!options.inputs.teacher.empty() && options.training.distillation == 0.0)
        log.warning("the teacher teaches nothing: --distillation is 0");
    const double padding = options.training.crop_padding;
    if (options.training.augment && padding > 0.0 &&
        padding * static_cast<double>(train.height) < 1.0)
        log.warning(fmt::format("--crop-padding {}: is less than a pixel of {}, so that images are "
                                "only flipped",
                                core::shortest(padding), train.height));
}

ExitCode train(const parallel::Communicator& world, const TrainOptions& options) {
    parallel::RunControl control(walltime_of(options.job.time_limit, world));
    core::Log log({.quiet = options.job.quiet || !world.is_root(),
                   .terminal = core::Log::stderr_is_terminal()});
    const auto launch = parallel::inspect_launch(world, options.job.threads);
    const TrainingInputs inputs =
        read_training_inputs(world, options.inputs, options.training.seed);
    if (!inputs.note.empty()) log.info(inputs.note);
    std::optional<OutputLock> lock;
    storage::FileIdentity identity;
    bool complete = false;
    world.on_root([&] {
        lock.emplace(options, log);
        identity =
            study::training_identity(inputs.start, inputs.teacher, inputs.train, options.training);
        complete = is_complete(options, identity);
    });
    if (world.any(complete)) return ExitCode::complete;
    if (!launch.idle_cores.empty()) log.warning(launch.idle_cores);
    if (world.is_root()) describe(log, world, launch.threads_per_rank, options, inputs.train);
    const parallel::Job job{world, log, control, launch.threads_per_rank};
    const auto trained = study::run_training(
        job, {.label = "train",
              .start = inputs.start,
              .teacher = inputs.teacher,
              .images = inputs.train,
              .held_out = inputs.held_out,
              .parameters = options.training,
              .identity = identity,
              .checkpoint = beside(options, ".checkpoint"),
              .checkpoint_seconds = options.checkpoint_seconds,
              .on_epoch = [&](const std::vector<study::EpochRecord>& history) {
                  storage::write_atomically(beside(options, ".csv"), study::history_csv(history));
              }});
    if (!trained) {
        log.info("stopped early; run the same command again to go on from " +
                 beside(options, ".checkpoint").string());
        return ExitCode::stopped;
    }
    const Accuracies accuracies{
        trained->history.back().held_out_accuracy,
        study::accuracy_on_all_ranks(job, inputs.start.network, trained->weights, inputs.test)};
    world.on_root([&] {
        write(options, inputs, trained->weights, identity, accuracies);
        study::remove_checkpoint(beside(options, ".checkpoint"));
        print_accuracies(options, accuracies);
    });
    return ExitCode::complete;
}

template <class T>
void add_number(CLI::App& command, const std::string& name, T& value, double low, double high,
                const std::string& text) {
    command.add_option(name, value, text)->check(within(low, high))->capture_default_str();
}

/// What is trained, on what, and where it goes.
void add_input_options(CLI::App& command, TrainOptions& options) {
    command
        .add_option("NETWORK", options.inputs.network,
                    "Network of the zoo, or a file: .h5, .onnx, .pt (TorchScript)")
        ->required();
    command.add_option("--data", options.inputs.data, "Packed images (hdap data pack)")->required();
    command
        .add_option("--out", options.output,
                    "File to write: .onnx or .pt, a network; .h5, the weights of a network of the "
                    "zoo (hdap-weights/1), or the network when NETWORK is a file")
        ->required();
    command.add_option("--weights", options.inputs.weights,
                       "Start from these instead of random ones or the file's own");
    add_number(command, "--width", options.inputs.width, 0.01, 4.0,
               "Zoo: multiplies all channel counts");
    command.add_option("--teacher", options.inputs.teacher,
                       "Network to imitate, of the zoo or a file: knowledge distillation");
    command.add_option("--teacher-weights", options.inputs.teacher_weights, "Its weights");
    add_number(command, "--held-out", options.inputs.held_out, 0, 1e8,
               "Last training images, not trained on; 0: train on all");
}

} // namespace

void add_train_command(CLI::App& app, Action& action) {
    auto options = std::make_shared<TrainOptions>();
    CLI::App* command = add_command(
        app, "train",
        "Train or fine-tune a network on packed images, on all ranks and threads.\n"
        "The same command goes on after a stop, and says so when all is done. Beside --out it "
        "writes "
        "OUT.csv, a line per epoch.",
        "hdap train mobilenet_v1 --width 0.25 --data fashion-mnist.h5 --epochs 12 --out "
        "weights.h5\n"
        "  hdap network prune resnet20 --weights resnet20.h5 --macs 0.5 --data cifar10.h5 --out "
        "half.h5\n"
        "  mpirun -n 2 hdap train half.h5 --data cifar10.h5 --epochs 20 --out tuned.h5 \\\n"
        "      --teacher resnet20 --teacher-weights resnet20.h5");
    add_input_options(*command, *options);
    add_setting_options(*command, settings_of(options->inputs.normalisation));
    add_setting_options(*command, settings_of(options->training));
    add_number(*command, "--seed", options->training.seed, 0, 1e15,
               "Of the first weights, the images' order and their variations");
    add_number(*command, "--checkpoint-seconds", options->checkpoint_seconds, 0.01, 86'400.0,
               "Time between two checkpoints, OUT.checkpoint");
    add_job_options(*command, options->job);
    command->callback([options, command, &action] {
        action = [options, command](Arguments arguments) {
            return run_on_all_ranks(arguments, [&](const parallel::Communicator& world) {
                world.on_every_rank([&] {
                    check_options(*options,
                                  {.width = command->count("--width") > 0,
                                   .teacher = command->count("--teacher") > 0,
                                   .distillation = command->count("--distillation") > 0,
                                   .temperature = command->count("--distillation-temperature") > 0,
                                   .crop_padding = command->count("--crop-padding") > 0});
                });
                return train(world, *options);
            });
        };
    });
}

} // namespace hdap::cli
