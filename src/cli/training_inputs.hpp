#pragma once

#include "hdap/accuracy/image_data.hpp"
#include "hdap/network/normalisation_choice.hpp"
#include "hdap/parallel/communicator.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace hdap::cli {

/// What `hdap train` is told to read.
struct TrainingInputOptions {
    std::string network;
    double width = 1.0; ///< of a network of the zoo
    std::string weights;
    std::string teacher;
    std::string teacher_weights;
    std::string data;
    std::int64_t held_out = 5000;
    network::NormalisationChoice normalisation;
};

/// All that a training reads. The same on every rank.
struct TrainingInputs {
    accuracy::ImageData train;
    accuracy::ImageData held_out; ///< empty where nothing is held out
    accuracy::ImageData test;
    network::PrunedNetwork start;
    std::optional<network::PrunedNetwork> teacher;
    /// Of the images: what the options say, the network's or the teacher's file tells, or else
    /// their own.
    network::Normalisation normalisation;
    std::string note; ///< on the root: what to tell of files that say another one than the options
};

/// Reads it on the root, for every rank. `seed` makes the weights of a network that has none.
/// Collective. Throws an AgreedError for what is missing, damaged or does not fit together.
TrainingInputs read_training_inputs(const parallel::Communicator& world,
                                    const TrainingInputOptions& options, std::uint64_t seed);

} // namespace hdap::cli
