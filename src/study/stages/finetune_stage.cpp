#include "hdap/accuracy/evaluation.hpp"
#include "hdap/accuracy/training.hpp"
#include "hdap/core/progress.hpp"
#include "hdap/core/text.hpp"
#include "hdap/network/load.hpp"
#include "hdap/network/network_file.hpp"
#include "hdap/parallel/dispatch.hpp"
#include "hdap/study/training_run.hpp"
#include "rounds.hpp"
#include "stage_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

namespace hdap::study {
namespace {

std::filesystem::path network_file(const StudyRun& run, const std::string& id) {
    return run.output(Stage::finetune) / (id + ".h5");
}

void write_network(const std::filesystem::path& file, const storage::FileIdentity& identity,
                   const FinetunedNetwork& result, const network::PrunedNetwork& network,
                   const std::optional<network::Normalisation>& normalisation) {
    write_stage(file, identity, [&](storage::Hdf5Writer& writer) {
        network::write_network(writer, network);
        if (normalisation) network::write_normalisation(writer, *normalisation);
        writer.write<std::int32_t>("/genome", result.genome);
        writer.attribute("/genome", "unit", "channels");
        writer.attribute("/", "id", result.id);
        writer.attribute("/", "held_out_accuracy", result.held_out_accuracy);
        writer.attribute("/", "finetuned_held_out_accuracy", result.finetuned_held_out_accuracy);
        writer.attribute("/", "test_accuracy", result.test_accuracy);
    });
}

FinetunedNetwork read_network(const std::filesystem::path& file) {
    const auto reader = open_stage(file, network::network_schema);
    return {.id = reader.attribute_string("/", "id"),
            .genome = reader.read<std::int32_t>("/genome"),
            .held_out_accuracy = reader.attribute_double("/", "held_out_accuracy"),
            .finetuned_held_out_accuracy =
                reader.attribute_double("/", "finetuned_held_out_accuracy"),
            .test_accuracy = reader.attribute_double("/", "test_accuracy")};
}

/// Writes the networks in the formats that other tools load, where they are not there yet.
void export_networks(const StudyRun& run) {
    namespace fs = std::filesystem;
    for (const FinetunedNetwork& result : run.finetuned)
        for (const std::string& format : run.settings().report.formats) {
            const fs::path source = network_file(run, result.id);
            const fs::path file = fs::path(source).replace_extension("." + format);
            if (fs::exists(file) && fs::last_write_time(file) >= fs::last_write_time(source))
                continue;
            const auto reader = open_stage(source, network::network_schema);
            network::save_network(file, network::read_network(reader),
                                  network::read_normalisation(reader));
        }
}

/// A file in which the training of a network stands until it is done.
std::filesystem::path checkpoint_file(const StudyRun& run, const std::string& id) {
    return run.output(Stage::finetune) / (id + ".training.h5");
}

/// What every fine-tuning of a study needs, on each rank.
class Finetuner {
  public:
    explicit Finetuner(const StudyRun& run)
        : run_(run), training_(run.settings().finetune.training),
          evaluation_(run.settings().data.evaluation), images_(run.images()),
          first_images_(run.settings().finetune.images == 0
                            ? accuracy::ImageData()
                            : accuracy::slice(images_.train, 0, run.settings().finetune.images)),
          training_images_(first_images_.count == 0 ? images_.train : first_images_),
          recalibration_(
              accuracy::slice(images_.train, 0, run.settings().data.recalibration_images)) {
        if (training_.distillation > 0.0) teacher_ = {run.own().network, *run.own().weights};
    }

    /// Trains one network in this thread. Its result travels to the root as numbers, as only the
    /// root's main thread writes files: first the accuracies, then all weights. None when it was
    /// cancelled before it was done.
    [[nodiscard]] std::vector<double> finetune(const network::Genome& genome,
                                               const std::stop_token& cancelled) const {
        const auto start = candidate(genome);
        const auto weights = accuracy::train(
            start, training_images_, training_,
            [&](const accuracy::TrainingProgress&) { return !cancelled.stop_requested(); },
            teacher_);
        std::vector<double> numbers;
        const auto add_accuracy = [&](const network::Weights& w,
                                      const accuracy::ImageData& images) {
            const auto accuracy =
                accuracy::top1_accuracy(start.network, w, images, evaluation_, cancelled);
            if (accuracy) numbers.push_back(*accuracy);
        };
        add_accuracy(start.weights, images_.held_out);
        add_accuracy(weights, images_.held_out);
        add_accuracy(weights, images_.test);
        if (cancelled.stop_requested()) return {};
        for (const auto& [name, tensor] : weights)
            numbers.insert(numbers.end(), tensor.values.begin(), tensor.values.end());
        return numbers;
    }

    /// Writes the network that `numbers` describe.
    void write(const Selection& selection, std::span<const double> numbers) const {
        auto network = candidate(selection.genome); // for names and shapes
        std::size_t next = 3;
        for (auto& [name, tensor] : network.weights)
            for (float& value : tensor.values)
                value = static_cast<float>(numbers[next++]);
        write(selection, {numbers[0], numbers[1], numbers[2]}, network);
    }

    /// Trains one network on all ranks and threads, and writes it; false when stopped before.
    /// Collective.
    [[nodiscard]] bool finetune_together(const Selection& selection) const {
        const parallel::Communicator& communicator = run_.communicator();
        network::PrunedNetwork start;
        communicator.on_every_rank([&] { start = candidate(selection.genome); });
        const auto checkpoint = checkpoint_file(run_, selection.id);
        storage::FileIdentity training;
        communicator.on_root(
            [&] { training = training_identity(start, teacher_, training_images_, training_); });
        const auto trained =
            run_training(run_.job, {.label = selection.id,
                                    .start = start,
                                    .teacher = teacher_,
                                    .images = training_images_,
                                    .held_out = images_.held_out,
                                    .parameters = training_,
                                    .identity = training,
                                    .checkpoint = checkpoint,
                                    .checkpoint_seconds = run_.settings().run.checkpoint_seconds});
        if (!trained) return false;
        const double before =
            accuracy_on_all_ranks(run_.job, start.network, start.weights, images_.held_out);
        const double test =
            accuracy_on_all_ranks(run_.job, start.network, trained->weights, images_.test);
        communicator.on_root([&] {
            write(selection, {before, trained->history.back().held_out_accuracy, test},
                  {start.network, trained->weights});
            remove_checkpoint(checkpoint);
        });
        return true;
    }

    /// Whether a step of training has parts for several workers.
    [[nodiscard]] bool has_shards() const {
        return accuracy::shards_of(training_, training_images_.count) > 1;
    }

  private:
    /// Where the training of a network starts.
    [[nodiscard]] network::PrunedNetwork candidate(const network::Genome& genome) const {
        return accuracy::recalibrated_candidate(run_.network, recalibration_, evaluation_, genome);
    }

    /// The accuracies are those on held-out images before and after the training, and on test ones.
    void write(const Selection& selection, const std::array<double, 3>& accuracies,
               const network::PrunedNetwork& network) const {
        write_network(network_file(run_, selection.id), network_identity(run_, selection.genome),
                      {.id = selection.id,
                       .genome = selection.genome,
                       .held_out_accuracy = accuracies[0],
                       .finetuned_held_out_accuracy = accuracies[1],
                       .test_accuracy = accuracies[2]},
                      network, run_.network.normalisation);
    }

    const StudyRun& run_;
    const accuracy::TrainingParameters& training_;
    const accuracy::EvaluationParameters& evaluation_;
    const ImageSplits& images_;
    accuracy::ImageData first_images_; ///< empty where it trains on all
    const accuracy::ImageData& training_images_;
    accuracy::ImageData recalibration_;
    std::optional<network::PrunedNetwork> teacher_;
};

/// Genomes by rank 0's choice, on every rank.
std::vector<Selection> broadcast_selection(const parallel::Communicator& communicator,
                                           const std::vector<Selection>& selection) {
    std::vector<std::int32_t> genomes;
    std::vector<char> ids;
    for (const Selection& entry : selection) {
        genomes.insert(genomes.end(), entry.genome.begin(), entry.genome.end());
        ids.insert(ids.end(), entry.id.begin(), entry.id.end());
        ids.push_back('\n');
    }
    communicator.broadcast(genomes);
    communicator.broadcast(ids);
    std::vector<Selection> result;
    const auto count = static_cast<std::size_t>(std::count(ids.begin(), ids.end(), '\n'));
    auto id = ids.begin();
    for (std::size_t i = 0; i < count; ++i) {
        const auto end = std::find(id, ids.end(), '\n');
        const auto genes = static_cast<std::ptrdiff_t>(genomes.size() / count);
        const auto first = genomes.begin() + static_cast<std::ptrdiff_t>(i) * genes;
        result.push_back({.id = std::string(id, end), .genome = {first, first + genes}});
        id = end + 1;
    }
    return result;
}

/// What `train` gives; its errors say which network it was. They stay such that all ranks agree on,
/// or not.
template <class Train>
auto named(const std::string& id, const Train& train) -> decltype(train()) {
    try {
        return train();
    } catch (const parallel::AgreedError& error) {
        throw parallel::AgreedError(error.kind(), fmt::format("{}: {}", id, error.what()));
    } catch (const core::Error& error) {
        core::throw_error(error.kind(), fmt::format("{}: {}", id, error.what()));
    }
}

/// Trains every network on one thread of one rank, as many at a time as there are threads; false
/// when stopped before all were done. Collective.
bool finetune_side_by_side(const StudyRun& run, const Finetuner& finetuner,
                           const std::vector<Selection>& remaining) {
    std::optional<core::Progress> progress;
    if (run.communicator().is_root()) progress.emplace(run.job.log);
    std::int64_t done = 0;
    const auto show = [&] {
        if (progress)
            progress->show({.stage = "fine-tune",
                            .position = "",
                            .done = done,
                            .total = static_cast<std::int64_t>(remaining.size()),
                            .unit = "networks",
                            .detail = ""});
    };
    const auto outcome = parallel::dispatch(
        run.communicator(), {.items = remaining.size(),
                             .threads = run.job.threads,
                             .evaluate =
                                 [&](std::size_t item, const std::stop_token& cancelled) {
                                     return named(remaining[item].id, [&] {
                                         return finetuner.finetune(remaining[item].genome,
                                                                   cancelled);
                                     });
                                 },
                             .on_result =
                                 [&](std::size_t item, std::span<const double> numbers) {
                                     finetuner.write(remaining[item], numbers);
                                     ++done;
                                 },
                             .should_stop = [&] { return run.job.control.stop_requested(); },
                             // A training takes too long to be waited for.
                             .should_cancel = [&] { return run.job.control.stop_requested(); },
                             .on_wait = show});
    return outcome == parallel::DispatchOutcome::complete;
}

/// Trains what is not there yet; false when stopped before. Collective.
bool finetune(const StudyRun& run, const std::vector<Selection>& remaining) {
    if (remaining.empty()) return true;
    std::optional<Finetuner> finetuner;
    run.communicator().on_every_rank([&] { finetuner.emplace(run); });
    if (!finetuner->has_shards()) return finetune_side_by_side(run, *finetuner, remaining);
    return std::all_of(remaining.begin(), remaining.end(), [&](const Selection& entry) {
        return named(entry.id, [&] { return finetuner->finetune_together(entry); });
    });
}

/// Those whose files are not there yet. On the root.
std::vector<Selection> missing_of(const StudyRun& run, const std::vector<Selection>& selection) {
    std::vector<Selection> missing;
    for (const Selection& entry : selection)
        if (!is_up_to_date(network_file(run, entry.id), network_identity(run, entry.genome),
                           run.job.log))
            missing.push_back(entry);
    return missing;
}

/// What is written of this round: what it chose, and after the last one the front. Notes how the
/// round ends. On the root.
std::vector<Selection> selection_of(StudyRun& run) {
    if (run.settings().rounds == 1) return select_networks(run);
    const auto chosen = choose_network(run);
    run.end = end_of_round(run, chosen);
    if (!chosen) return {};
    const Selection choice{round_name(run.round), run.found.log[*chosen].genome};
    std::vector<Selection> selection;
    if (run.end != RoundEnd::goes_on) selection = select_networks(run);
    std::erase_if(selection, [&](const Selection& entry) { return entry.genome == choice.genome; });
    selection.insert(selection.begin(), choice);
    return selection;
}

/// Gives every rank the root's end of the round. Collective.
void broadcast_end(StudyRun& run) {
    std::vector<RoundEnd> end{run.end};
    run.communicator().broadcast(end);
    run.end = end.front();
}

/// Without images nothing is trained, but rounds go on from what they chose as it was pruned. On
/// the root.
void write_without_training(StudyRun& run, const std::vector<Selection>& selection,
                            const std::vector<Selection>& missing) {
    constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
    const Settings& settings = run.settings();
    const std::string chosen = round_name(run.round);
    if (settings.rounds > 1 || settings.finetune.candidates > 0)
        run.job.log.info(settings.data.file.empty()
                             ? "fine-tune: nothing, as the study has no images (data.file)"
                             : "fine-tune: nothing, as accuracies play no part "
                               "(accuracy.evaluator)");
    for (const Selection& entry : missing)
        if (entry.id == chosen)
            write_network(network_file(run, entry.id), network_identity(run, entry.genome),
                          {.id = entry.id,
                           .genome = entry.genome,
                           .held_out_accuracy = unknown,
                           .finetuned_held_out_accuracy = unknown,
                           .test_accuracy = unknown},
                          run.network.prune(entry.genome), run.network.normalisation);
    for (const Selection& entry : selection)
        if (entry.id == chosen) run.finetuned.push_back(read_network(network_file(run, entry.id)));
    export_networks(run);
}

} // namespace

bool make_networks(StudyRun& run) {
    std::vector<Selection> selection;
    std::vector<Selection> missing;
    run.communicator().on_root([&] {
        selection = selection_of(run);
        missing = missing_of(run, selection);
    });
    broadcast_end(run);
    if (run.images().train.count == 0) {
        run.communicator().on_root([&] { write_without_training(run, selection, missing); });
        return true;
    }
    const auto remaining = broadcast_selection(run.communicator(), missing);
    if (!finetune(run, remaining)) return false;
    run.communicator().on_root([&] {
        for (const Selection& entry : selection)
            run.finetuned.push_back(read_network(network_file(run, entry.id)));
        export_networks(run);
        if (!remaining.empty())
            run.job.log.info(
                fmt::format("fine-tune: {}", core::counted(run.finetuned.size(), "network")));
    });
    return true;
}

} // namespace hdap::study
