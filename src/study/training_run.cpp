#include "hdap/study/training_run.hpp"

#include "content_hash.hpp"
#include "hdap/accuracy/evaluation.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/progress.hpp"
#include "hdap/core/text.hpp"
#include "hdap/network/network_file.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "hdap/study/checkpoint.hpp"
#include "hdap/study/run_directory.hpp"

#include <fmt/core.h>

#include <chrono>
#include <cmath>
#include <limits>

namespace hdap::study {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

// ----------------------------------------------------------------------------------- checkpoint

std::string parameters_text(accuracy::TrainingParameters parameters) {
    return core::setting_lines({{"training", "", settings_of(parameters)}}) +
           fmt::format("seed = {}", parameters.seed);
}

/// The columns of a history, as checkpoints and CSV files name them.
struct Column {
    const char* name;
    const char* unit;
    double EpochRecord::*member;
};
constexpr Column columns[] = {{"learning_rate", "", &EpochRecord::learning_rate},
                              {"loss", "", &EpochRecord::loss},
                              {"train_accuracy", "1", &EpochRecord::train_accuracy},
                              {"held_out_accuracy", "1", &EpochRecord::held_out_accuracy},
                              {"seconds", "s", &EpochRecord::seconds}};

struct Checkpoint {
    accuracy::TrainingState state;
    std::vector<EpochRecord> history;
};

std::filesystem::path previous_of(std::filesystem::path checkpoint) {
    return checkpoint += ".previous";
}

/// Writes `checkpoint`; the one before it is kept.
void write_checkpoint(const TrainingTask& task, const Checkpoint& checkpoint) {
    write_stage(
        task.checkpoint, task.identity,
        [&](storage::Hdf5Writer& file) {
            const accuracy::TrainingProgress& progress = checkpoint.state.progress;
            file.attribute("/", "step", progress.step);
            file.attribute("/", "steps", progress.steps);
            file.attribute("/", "loss", progress.loss);
            file.attribute("/", "train_accuracy", progress.train_accuracy);
            network::write_weights(file, checkpoint.state.weights);
            file.group("/velocity");
            for (const auto& [name, tensor] : checkpoint.state.velocity)
                file.write<float>("/velocity/" + name, tensor.values,
                                  {tensor.shape.begin(), tensor.shape.end()});
            for (const Column& column : columns) {
                std::vector<double> values;
                for (const EpochRecord& record : checkpoint.history)
                    values.push_back(record.*column.member);
                const std::string path = "/history/" + std::string(column.name);
                file.write<double>(path, values);
                if (*column.unit != '\0') file.attribute(path, "unit", column.unit);
            }
        },
        previous_of(task.checkpoint));
}

Checkpoint read_checkpoint(const storage::Hdf5Reader& file) {
    Checkpoint result;
    result.state.progress = {.step = file.attribute_int("/", "step"),
                             .steps = file.attribute_int("/", "steps"),
                             .loss = file.attribute_double("/", "loss"),
                             .train_accuracy = file.attribute_double("/", "train_accuracy")};
    result.state.weights = network::read_weights(file);
    const std::string velocities = "/velocity/";
    for (const storage::Entry& entry : file.list())
        if (entry.path.starts_with(velocities))
            result.state.velocity[entry.path.substr(velocities.size())] = {
                {entry.shape.begin(), entry.shape.end()}, file.read<float>(entry.path)};
    for (const Column& column : columns) {
        const auto values = file.read<double>("/history/" + std::string(column.name));
        result.history.resize(values.size());
        for (std::size_t i = 0; i < values.size(); ++i) {
            result.history[i].epoch = static_cast<std::int64_t>(i) + 1;
            result.history[i].*column.member = values[i];
        }
    }
    if (result.state.progress.step == result.state.progress.steps && result.history.empty())
        throw core::DataError(file.name() + ": is of the end of a training, but has no epochs");
    return result;
}

// --------------------------------------------------------------------------------------- steps

/// A training that all ranks do together.
class Run {
  public:
    Run(const parallel::Job& job, const TrainingTask& task) : job_(job), task_(task) {
        job.communicator.on_every_rank([&] {
            training_ =
                accuracy::make_training(task.start, task.images, task.parameters, task.teacher);
        });
        restore();
    }

    std::optional<TrainedNetwork> run() {
        std::optional<core::Progress> progress;
        if (job_.communicator.is_root())
            progress.emplace(job_.log, done() * training_->images_per_step());
        auto last_checkpoint = Clock::now();
        const bool was_done = done() == steps();
        while (done() < steps()) {
            if (job_.communicator.any(job_.control.stop_requested())) {
                save();
                return std::nullopt;
            }
            step();
            if (progress) show(*progress);
            if (done() % training_->steps_per_epoch() == 0 || done() == steps()) end_epoch();
            if (checkpoint_due(Clock::now() - last_checkpoint) && done() < steps()) {
                save();
                last_checkpoint = Clock::now();
            }
        }
        progress.reset();
        if (!was_done) save(); // what follows may fail, or be killed
        TrainedNetwork result{{}, history_};
        job_.communicator.on_every_rank([&] { result.weights = training_->state().weights; });
        return result;
    }

  private:
    [[nodiscard]] std::int64_t done() const { return training_->progress().step; }
    [[nodiscard]] std::int64_t steps() const { return training_->progress().steps; }

    /// Whether the root's time is up, or any rank was asked.
    [[nodiscard]] bool checkpoint_due(Seconds since_last) const {
        const bool asked = job_.control.take_checkpoint_request();
        const bool late =
            job_.communicator.is_root() && since_last > Seconds(task_.checkpoint_seconds);
        return job_.communicator.any(asked || late);
    }

    void restore() {
        std::vector<std::byte> bytes;
        job_.communicator.on_root([&] {
            const auto file = newest_checkpoint(
                task_.checkpoint, previous_of(task_.checkpoint), task_.identity,
                "train with the settings and inputs that it was made with, or "
                "move it away to begin anew",
                job_.log, [](const storage::Hdf5Reader& reader) { (void)read_checkpoint(reader); });
            if (!file.empty()) bytes = storage::read_sealed(file);
        });
        job_.communicator.broadcast(bytes);
        if (bytes.empty()) return;
        job_.communicator.on_every_rank([&] {
            Checkpoint checkpoint = read_checkpoint(
                storage::Hdf5Reader::from_bytes(std::move(bytes), task_.checkpoint.string()));
            training_->restore(checkpoint.state);
            history_ = std::move(checkpoint.history);
            saved_step_ = done();
        });
        if (job_.communicator.is_root())
            job_.log.info(
                fmt::format("{}: going on after step {} of {}", task_.label, done(), steps()));
    }

    void step() {
        const auto start = Clock::now();
        const parallel::Communicator& communicator = job_.communicator;
        const auto mine =
            parallel::partition(training_->shards(), communicator.size(), communicator.rank());
        communicator.on_every_rank(
            [&] { training_->compute(mine.first, mine.last, job_.threads); });
        communicator.sum_in_order(training_->shards(), training_->contributions(),
                                  training_->total());
        communicator.on_every_rank([&] { with_checkpoint_told([&] { training_->apply(); }); });
        epoch_time_ += Clock::now() - start;
        job_.control.walltime().saw_evaluation(Clock::now() - start);
    }

    /// The message of an error, with where the last good state is.
    [[nodiscard]] std::string with_checkpoint(const std::string& message) const {
        if (saved_step_ == 0) return message;
        return fmt::format("{}; the state after step {} is kept in {}", message, saved_step_,
                           task_.checkpoint.string());
    }

    void with_checkpoint_told(const std::function<void()>& work) const {
        try {
            work();
        } catch (const core::ConfigError& error) {
            throw core::ConfigError(with_checkpoint(error.what()));
        }
    }

    /// Of the epoch that ends with such weights. Collective.
    [[nodiscard]] double held_out_accuracy(const network::Weights& weights) const {
        try {
            return accuracy_on_all_ranks(job_, task_.start.network, weights, task_.held_out);
        } catch (const parallel::AgreedError& error) {
            throw parallel::AgreedError(error.kind(), with_checkpoint(error.what()));
        }
    }

    void end_epoch() {
        const auto start = Clock::now();
        network::Weights weights;
        job_.communicator.on_every_rank(
            [&] { with_checkpoint_told([&] { weights = training_->state().weights; }); });
        const accuracy::TrainingProgress& progress = training_->progress();
        EpochRecord record{.epoch = static_cast<std::int64_t>(history_.size()) + 1,
                           .learning_rate = training_->learning_rate(progress.step - 1),
                           .loss = progress.loss,
                           .train_accuracy = progress.train_accuracy,
                           .held_out_accuracy = held_out_accuracy(weights),
                           .seconds = epoch_time_.count()};
        epoch_time_ = {};
        history_.push_back(record);
        if (task_.on_epoch) job_.communicator.on_root([&] { task_.on_epoch(history_); });
        // It is not interrupted, so the end of the job's time must leave room for it.
        job_.control.walltime().saw_evaluation(Clock::now() - start);
    }

    void show(core::Progress& progress) const {
        const accuracy::TrainingProgress& state = training_->progress();
        const double epoch =
            static_cast<double>(state.step) / static_cast<double>(training_->steps_per_epoch());
        std::string detail = fmt::format("loss {}  accuracy {} %", core::significant(state.loss),
                                         core::significant(100.0 * state.train_accuracy));
        if (!history_.empty() && std::isfinite(history_.back().held_out_accuracy))
            detail += fmt::format("  held-out {} %",
                                  core::significant(100.0 * history_.back().held_out_accuracy));
        progress.show({.stage = task_.label,
                       .position = fmt::format("epoch {}/{}", core::significant(epoch, 3),
                                               core::shortest(task_.parameters.epochs)),
                       .done = state.step * training_->images_per_step(),
                       .total = state.steps * training_->images_per_step(),
                       .unit = "images",
                       .detail = detail});
    }

    void save() {
        const auto start = Clock::now();
        job_.communicator.on_root([&] {
            // A step that broke the weights must not replace a good checkpoint; the next step
            // tells it.
            std::optional<accuracy::TrainingState> state;
            try {
                state = training_->state();
            } catch (const core::ConfigError&) {
                return;
            }
            write_checkpoint(task_, {std::move(*state), history_});
            saved_step_ = done();
        });
        job_.control.walltime().saw_checkpoint(Clock::now() - start);
    }

    const parallel::Job& job_;
    const TrainingTask& task_;
    std::unique_ptr<accuracy::Training> training_;
    std::vector<EpochRecord> history_;
    Seconds epoch_time_{};
    std::int64_t saved_step_ = 0; ///< of the checkpoint, on the root
};

} // namespace

storage::FileIdentity training_identity(const network::PrunedNetwork& start,
                                        const std::optional<network::PrunedNetwork>& teacher,
                                        const accuracy::ImageData& images,
                                        const accuracy::TrainingParameters& parameters) {
    core::Sha256 inputs;
    add_network(inputs, start);
    if (teacher) add_network(inputs, *teacher);
    add_images(inputs, images);
    return {training_schema, core::sha256_hex(std::string_view(parameters_text(parameters))),
            inputs.hex_digest()};
}

double accuracy_on_all_ranks(const parallel::Job& job, const network::Network& network,
                             const network::Weights& weights, const accuracy::ImageData& images) {
    const auto mine = parallel::partition(static_cast<std::size_t>(images.count),
                                          job.communicator.size(), job.communicator.rank());
    double right = 0.0;
    job.communicator.on_every_rank([&] {
        if (mine.size() == 0) return;
        const accuracy::Metrics metrics =
            accuracy::measure(network, weights,
                              accuracy::slice(images, static_cast<std::int64_t>(mine.first),
                                              static_cast<std::int64_t>(mine.size())),
                              {}, job.threads);
        if (!std::isfinite(metrics.loss))
            throw core::ConfigError(
                fmt::format("training diverged: what network '{}' computes is not a number; try a "
                            "lower learning_rate",
                            network.name));
        right = std::round(metrics.top1 * static_cast<double>(metrics.images));
    });
    double all_right = 0.0;
    for (const double value : job.communicator.all_gather(std::vector<double>{right}))
        all_right += value;
    return images.count == 0 ? std::numeric_limits<double>::quiet_NaN()
                             : all_right / static_cast<double>(images.count);
}

std::optional<TrainedNetwork> run_training(const parallel::Job& job, const TrainingTask& task) {
    return Run(job, task).run();
}

void remove_checkpoint(const std::filesystem::path& checkpoint) {
    std::filesystem::remove(checkpoint);
    std::filesystem::remove(previous_of(checkpoint));
}

std::string history_csv(const std::vector<EpochRecord>& history) {
    std::string text = "epoch";
    for (const Column& column : columns)
        text += std::string(",") + column.name;
    text += "\n";
    for (const EpochRecord& record : history) {
        text += std::to_string(record.epoch);
        for (const Column& column : columns)
            text += "," + core::shortest(record.*column.member);
        text += "\n";
    }
    return text;
}

} // namespace hdap::study
