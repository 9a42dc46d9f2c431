#pragma once

#include "hdap/accuracy/training.hpp"
#include "hdap/parallel/job.hpp"
#include "hdap/storage/schema.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace hdap::study {

inline constexpr const char* training_schema = "hdap-training/1";

/// Where a training stood at the end of an epoch.
struct EpochRecord {
    std::int64_t epoch = 0; ///< counts from 1
    double learning_rate = 0.0;
    double loss = 0.0;              ///< moving average, as in TrainingProgress
    double train_accuracy = 0.0;    ///< the same
    double held_out_accuracy = 0.0; ///< not a number without held-out images
    double seconds = 0.0;           ///< of training alone, this epoch
};

/// What is trained, and on what. The same on every rank.
struct TrainingTask {
    std::string label; ///< of the progress line
    const network::PrunedNetwork& start;
    const std::optional<network::PrunedNetwork>& teacher;
    const accuracy::ImageData& images;
    const accuracy::ImageData& held_out; ///< measured after every epoch; may be empty
    accuracy::TrainingParameters parameters;
    storage::FileIdentity identity;   ///< training_identity; only the root's is looked at
    std::filesystem::path checkpoint; ///< file, written by the root; its folder must be there
    double checkpoint_seconds = 60.0; ///< between two of them
    /// Called on the root after every epoch, with all epochs so far, earlier jobs' included.
    std::function<void(const std::vector<EpochRecord>&)> on_epoch = {};
};

struct TrainedNetwork {
    network::Weights weights;
    std::vector<EpochRecord> history;
};

/// Of all that the result of a training depends on. Complexity: O(bytes of the images).
storage::FileIdentity training_identity(const network::PrunedNetwork& start,
                                        const std::optional<network::PrunedNetwork>& teacher,
                                        const accuracy::ImageData& images,
                                        const accuracy::TrainingParameters& parameters);

/// Trains over all ranks, each shard of a batch on one thread of one rank, to the same bits on any
/// number of them. Goes on from the checkpoint where there is one of the same task; see
/// newest_checkpoint for damaged ones. When the result is safe, remove_checkpoint.
///
/// Nothing when it was asked to stop; the checkpoint then holds what there is. Collective.
/// Throws an AgreedError where Training and newest_checkpoint throw. A loss that is not a number
/// leaves the last good checkpoint.
std::optional<TrainedNetwork> run_training(const parallel::Job& job, const TrainingTask& task);

/// Share of the images that the network gets right, each rank measuring its part of them; not a
/// number where there are none. Collective. Throws an AgreedError of ConfigError's kind when what
/// the network computes is not a number.
double accuracy_on_all_ranks(const parallel::Job& job, const network::Network& network,
                             const network::Weights& weights, const accuracy::ImageData& images);

/// Removes a checkpoint and the one before it.
void remove_checkpoint(const std::filesystem::path& checkpoint);

/// The epochs as CSV, with a line of names.
std::string history_csv(const std::vector<EpochRecord>& history);

} // namespace hdap::study
