#pragma once

#include "hdap/accuracy/evaluation.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace hdap::accuracy {

/// How many images check_input looks at, at most: to classify, and for the statistics of batch
/// norms.
inline constexpr std::int64_t max_checked_images = 500;
inline constexpr std::int64_t max_checked_statistics = 200;

/// Whether a network gets the images that it was trained for, as its accuracy tells.
struct InputCheck {
    std::int64_t images = 0;    ///< that were classified
    std::int64_t right_own = 0; ///< of them with the network's own statistics of batch norms
    std::optional<std::int64_t> right_recalibrated; ///< with recomputed ones; none: it has none
    double chance = 0.0; ///< accuracy of guessing: share of the commonest class among the images,
                         ///< or of one of all classes where they are all of one
};

/// Classifies up to max_checked_images of `images`, evenly spread, as the network is and with
/// statistics recomputed on the first max_checked_statistics of `recalibration` (two or more). The
/// result does not depend on `threads`. Throws DataError and ConfigError as measure.
InputCheck check_input(const network::Network& network, const network::Weights& weights,
                       const ImageData& images, const ImageData& recalibration,
                       const EvaluationParameters& parameters, int threads);

/// Of the two accuracies p with Wilson's score intervals at 99.9 % (z = 3.29): far apart when the
/// better one's lower bound is more than 0.05 above the other's upper bound. 0.05, as statistics of
/// few images cost some accuracy.
bool is_far_apart(const InputCheck& check);

/// The better one's lower bound is no more than 0.01 above chance, and its upper bound is nearer to
/// chance than to 1; a few images thus say nothing.
bool is_at_chance(const InputCheck& check);

/// What is wrong with the images, the likely causes, and the settings that mend it; empty when
/// nothing seems to be. `images` are those that were checked: how they are normalised is told.
std::string doubts(const InputCheck& check, const ImageData& images);

} // namespace hdap::accuracy
