#pragma once

#include "hdap/network/pruned_network.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hdap::network {

/// The order in which a network takes the colours of an image. Images are red, green, blue.
enum class ChannelOrder { rgb, bgr };

/// "rgb", "bgr".
std::string_view channel_order_name(ChannelOrder order) noexcept;

/// What the images of a trained network are normalised by, per channel: (pixel/255 −
/// mean)/deviation. A network that takes pixels of 0 to 255 has a mean of 0 and a deviation of
/// 1/255.
struct Normalisation {
    std::vector<double> mean;      ///< per channel, in the order in which the network takes them
    std::vector<double> deviation; ///< the same
    ChannelOrder order = ChannelOrder::rgb; ///< bgr: of three channels
    bool operator==(const Normalisation&) const = default;
};

/// What a file holds that has a network and its weights.
struct NetworkWithWeights : PrunedNetwork {
    std::optional<Normalisation> normalisation; ///< where the file tells it
};

/// Throws DataError, which names `source`, unless both lists have a number for each channel, all
/// finite, the deviations 1e-6 or more, and there are three channels where the order is bgr.
void check_normalisation(const Normalisation& normalisation, const std::string& source);

/// The normalisation of two JSON lists of numbers and the name of a channel order (empty: rgb), as
/// files keep it that have room for text only. Throws DataError, as check_normalisation and for
/// other text.
Normalisation parse_normalisation(const std::string& mean, const std::string& deviation,
                                  const std::string& order, const std::string& source);

/// The order of that name; rgb for an empty one. Throws DataError, which names `source`.
ChannelOrder parse_channel_order(const std::string& name, const std::string& source);

/// Such a list: "[0.5,0.25]". parse_normalisation gets the same bits back.
std::string normalisation_text(const std::vector<double>& values);

/// The names under which files keep a normalisation, and the texts under these names, see
/// parse_normalisation. The order is left out where it is rgb.
inline constexpr const char* mean_key = "normalize_mean";
inline constexpr const char* deviation_key = "normalize_std";
inline constexpr const char* order_key = "normalize_channels";
std::vector<std::pair<std::string, std::string>>
normalisation_entries(const Normalisation& normalisation);

/// For people: "(pixel / 255 - [0.2860]) / [0.3530]", and ", channels bgr" where they are.
std::string described(const Normalisation& normalisation);

} // namespace hdap::network
