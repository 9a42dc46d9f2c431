#include "hdap/accuracy/evaluator.hpp"
#include "hdap/accuracy/training.hpp"
#include "hdap/core/progress.hpp"
#include "hdap/core/text.hpp"
#include "hdap/network/load.hpp"
#include "hdap/network/network_file.hpp"
#include "hdap/parallel/dispatch.hpp"
#include "hdap/study/training_run.hpp"
#include "stages.hpp"

#include <algorithm>

namespace hdap::study {
namespace {

std::filesystem::path network_file(const std::filesystem::path& folder, const std::string& id) {
    return folder / "networks" / (id + ".h5");
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

/// Writes the fine-tuned networks in the formats that other tools load, where they are not there
/// yet.
void export_networks(const std::filesystem::path& folder,
                     const std::vector<FinetunedNetwork>& networks,
                     const std::vector<std::string>& formats) {
    namespace fs = std::filesystem;
    for (const FinetunedNetwork& result : networks)
        for (const std::string& format : formats) {
            const fs::path source = network_file(folder, result.id);
            const fs::path file = fs::path(source).replace_extension("." + format);
            if (fs::exists(file) && fs::last_write_time(file) >= fs::last_write_time(source))
                continue;
            const auto reader = open_stage(source, network::network_schema);
            network::save_network(file, network::read_network(reader),
                                  network::read_normalisation(reader));
        }
}

/// A file in which the training of a network stands until it is done.
std::filesystem::path checkpoint_file(const std::filesystem::path& folder, const std::string& id) {
    return folder / "networks" / (id + ".training.h5");
}

/// What every fine-tuning of a study needs, on each rank.
class Finetuner {
  public:
    Finetuner(const StudyContext& context, const Workpiece& workpiece)
        : context_(context), workpiece_(workpiece),
          images_(context.settings.finetune.images == 0
                      ? workpiece.train
                      : accuracy::slice(workpiece.train, 0, context.settings.finetune.images)),
          evaluator_(
              workpiece.network, workpiece.weights, workpiece.space, workpiece.ranked_channels,
              accuracy::slice(workpiece.train, 0, context.settings.data.recalibration_images),
              workpiece.held_out, context.settings.data.evaluation) {
        if (context.settings.finetune.training.distillation > 0.0)
            teacher_ = {workpiece.network, workpiece.weights};
    }

    /// Trains one network in this thread. Its result travels to the root as numbers, as only the
    /// root's main thread writes files: first the figures, then all weights. None when it was
    /// cancelled before it was done.
    [[nodiscard]] std::vector<double> finetune(const network::Genome& genome,
                                               const std::stop_token& cancelled) const {
        const auto start = evaluator_.candidate(genome);
        const auto weights = accuracy::train(
            start, images_, context_.settings.finetune.training,
            [&](const accuracy::TrainingProgress&) { return !cancelled.stop_requested(); },
            teacher_);
        std::vector<double> numbers;
        const auto add_accuracy = [&](const network::Weights& w,
                                      const accuracy::ImageData& images) {
            const auto accuracy = accuracy::top1_accuracy(
                start.network, w, images, context_.settings.data.evaluation, cancelled);
            if (accuracy) numbers.push_back(*accuracy);
        };
        add_accuracy(start.weights, workpiece_.held_out);
        add_accuracy(weights, workpiece_.held_out);
        add_accuracy(weights, workpiece_.test);
        if (cancelled.stop_requested()) return {};
        for (const auto& [name, tensor] : weights)
            numbers.insert(numbers.end(), tensor.values.begin(), tensor.values.end());
        return numbers;
    }

    /// Writes the network that `numbers` describe.
    void write(const Selection& selection, std::span<const double> numbers,
               const storage::FileIdentity& identity) const {
        auto network = evaluator_.candidate(selection.genome); // for names and shapes
        std::size_t next = 3;
        for (auto& [name, tensor] : network.weights)
            for (float& value : tensor.values)
                value = static_cast<float>(numbers[next++]);
        write_network(network_file(context_.run_directory, selection.id), identity,
                      {.id = selection.id,
                       .genome = selection.genome,
                       .held_out_accuracy = numbers[0],
                       .finetuned_held_out_accuracy = numbers[1],
                       .test_accuracy = numbers[2]},
                      network, workpiece_.normalisation);
    }

    /// Trains one network on all ranks and threads, and writes it; false when stopped before.
    /// Collective.
    [[nodiscard]] bool finetune_together(const Selection& selection,
                                         const storage::FileIdentity& identity) const {
        const parallel::Communicator& communicator = context_.communicator;
        network::PrunedNetwork start;
        communicator.on_every_rank([&] { start = evaluator_.candidate(selection.genome); });
        const auto checkpoint = checkpoint_file(context_.run_directory, selection.id);
        const accuracy::TrainingParameters& parameters = context_.settings.finetune.training;
        storage::FileIdentity training;
        communicator.on_root(
            [&] { training = training_identity(start, teacher_, images_, parameters); });
        const TrainingCrew crew{communicator, context_.log, context_.control, context_.threads};
        const auto trained =
            run_training(crew, {.label = selection.id,
                                .start = start,
                                .teacher = teacher_,
                                .images = images_,
                                .held_out = workpiece_.held_out,
                                .parameters = parameters,
                                .identity = training,
                                .checkpoint = checkpoint,
                                .checkpoint_seconds = context_.settings.run.checkpoint_seconds});
        if (!trained) return false;
        const double before =
            accuracy_on_all_ranks(crew, start.network, start.weights, workpiece_.held_out);
        const double test =
            accuracy_on_all_ranks(crew, start.network, trained->weights, workpiece_.test);
        communicator.on_root([&] {
            write_network(network_file(context_.run_directory, selection.id), identity,
                          {.id = selection.id,
                           .genome = selection.genome,
                           .held_out_accuracy = before,
                           .finetuned_held_out_accuracy = trained->history.back().held_out_accuracy,
                           .test_accuracy = test},
                          {start.network, trained->weights}, workpiece_.normalisation);
            remove_checkpoint(checkpoint);
        });
        return true;
    }

    /// Whether a step of training has parts for several workers.
    [[nodiscard]] bool has_shards() const {
        return accuracy::shards_of(context_.settings.finetune.training, images_.count) > 1;
    }

  private:
    const StudyContext& context_;
    const Workpiece& workpiece_;
    accuracy::ImageData images_;
    accuracy::Evaluator evaluator_;
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

/// Trains every network on one thread of one rank, as many at a time as there are threads; false
/// when stopped before all were done. Collective.
bool finetune_side_by_side(const StudyContext& context, const std::optional<Finetuner>& finetuner,
                           const std::vector<Selection>& remaining,
                           const storage::FileIdentity& identity) {
    std::optional<core::Progress> progress;
    if (context.communicator.is_root()) progress.emplace(context.log);
    std::int64_t done = 0;
    const auto show = [&] {
        if (!progress || remaining.empty()) return;
        progress->show({.stage = "fine-tune",
                        .position = "",
                        .done = done,
                        .total = static_cast<std::int64_t>(remaining.size()),
                        .unit = "networks",
                        .detail = ""});
    };
    const auto outcome =
        parallel::dispatch(context.communicator,
                           {.items = remaining.size(),
                            .threads = context.threads,
                            .evaluate =
                                [&](std::size_t item, const std::stop_token& cancelled) {
                                    return finetuner->finetune(remaining[item].genome, cancelled);
                                },
                            .on_result =
                                [&](std::size_t item, std::span<const double> numbers) {
                                    finetuner->write(remaining[item], numbers, identity);
                                    ++done;
                                },
                            .should_stop = [&] { return context.control.stop_requested(); },
                            // A training takes too long to be waited for.
                            .should_cancel = [&] { return context.control.stop_requested(); },
                            .on_wait = show});
    progress.reset();
    return outcome == parallel::DispatchOutcome::complete;
}

} // namespace

std::optional<std::vector<FinetunedNetwork>> run_finetune(const StudyContext& context,
                                                          const Workpiece& workpiece,
                                                          std::vector<Selection> selection,
                                                          const RunDirectory* run,
                                                          const storage::FileIdentity& identity) {
    std::vector<Selection> missing;
    context.communicator.on_root([&] {
        for (const Selection& entry : selection)
            if (!is_up_to_date(network_file(run->path(), entry.id), identity, context.log))
                missing.push_back(entry);
    });
    const auto remaining = broadcast_selection(context.communicator, missing);
    std::optional<Finetuner> finetuner;
    context.communicator.on_every_rank([&] {
        if (!remaining.empty()) finetuner.emplace(context, workpiece);
    });
    const bool complete =
        finetuner && finetuner->has_shards()
            ? std::all_of(remaining.begin(), remaining.end(),
                          [&](const Selection& entry) {
                              return finetuner->finetune_together(entry, identity);
                          })
            : finetune_side_by_side(context, finetuner, remaining, identity);
    if (!complete) return std::nullopt;
    std::vector<FinetunedNetwork> results;
    context.communicator.on_root([&] {
        for (const Selection& entry : selection)
            results.push_back(read_network(network_file(run->path(), entry.id)));
        export_networks(run->path(), results, context.settings.report.formats);
        if (!remaining.empty())
            context.log.info("fine-tune: " + std::to_string(results.size()) + " networks");
    });
    return results;
}

} // namespace hdap::study
