#pragma once

#include "hdap/network/pruned_network.hpp"

#include <optional>
#include <string>
#include <vector>

namespace hdap::network {

/// What the images of a trained network are normalised by, per channel: (pixel/255 −
/// mean)/deviation.
struct Normalisation {
    std::vector<double> mean;
    std::vector<double> deviation;
    bool operator==(const Normalisation&) const = default;
};

/// What a file holds that has a network and its weights.
struct NetworkWithWeights : PrunedNetwork {
    std::optional<Normalisation> normalisation; ///< where the file tells it
};

/// Throws DataError, which names `source`, unless both lists have a number for each channel, all
/// finite, the deviations 1e-6 or more.
void check_normalisation(const Normalisation& normalisation, const std::string& source);

/// The normalisation of two JSON lists of numbers, as files keep it that have room for text only.
/// Throws DataError, as check_normalisation and for other text.
Normalisation parse_normalisation(const std::string& mean, const std::string& deviation,
                                  const std::string& source);

/// Such a list: "[0.5,0.25]". parse_normalisation gets the same bits back.
std::string normalisation_text(const std::vector<double>& values);

} // namespace hdap::network
