#pragma once

#include "hdap/network/load.hpp"
#include "hdap/network/prunable.hpp"
#include "hdap/parallel/job.hpp"
#include "hdap/study/image_splits.hpp"
#include "hdap/study/settings.hpp"

#include <filesystem>
#include <optional>
#include <string>

/// What a study reads: its network and its images. Private to the module.
namespace hdap::study {

/// What the images of a data set are like.
struct ImageKind {
    network::TensorShape shape;
    std::int64_t classes = 0;
};

/// Of the study's data file, without reading its pixels; nothing where the study has none.
/// Used on the root. Throws DataError when it is no file of images.
std::optional<ImageKind> image_kind(const Settings& settings);

/// The network that the settings name, for such images; without them, as it is or was published.
network::NetworkSource network_source(const Settings& settings,
                                      const std::optional<ImageKind>& images);

/// The study's network, read by the root and given to every rank. Weights are read where
/// `with_weights`; their channels are not ranked yet. Collective.
network::Prunable load_network_to_prune(const parallel::Job& job, const Settings& settings,
                                        bool with_weights);

/// What was done about convolutions without batch norms.
struct InsertedNorms {
    std::size_t missing = 0; ///< convolutions that batch norms may have been folded into
    std::int64_t images = 0; ///< that their norms were made from; 0: they still have none
};

/// What accuracies come from.
struct AccuracyInputs {
    ImageSplits images;
    std::string content_key; ///< hash of weights and images, by content
    InsertedNorms norms;
};

/// Reads the images, gives them and `network` each other's normalisation, and the network batch
/// norms where they were folded, and ranks its channels. Collective.
AccuracyInputs load_accuracy_inputs(const parallel::Job& job, const Settings& settings,
                                    network::Prunable& network);

/// Stands for weights and images, by content.
std::string content_key_of(const network::Prunable& network, const ImageSplits& images);

/// What a round starts from: the network in `file`, which the round before wrote, with the groups
/// of `own`, the study's own network, and its channels ranked. Its space is as far as the study's
/// own goes. Collective. Throws an AgreedError of ConfigError's kind when its groups are others.
network::Prunable load_round_start(const parallel::Job& job, const Settings& settings,
                                   const std::filesystem::path& file, const network::Prunable& own,
                                   const ImageSplits& images);

} // namespace hdap::study
