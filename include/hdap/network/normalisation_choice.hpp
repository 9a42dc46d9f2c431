#pragma once

#include "hdap/core/settings.hpp"
#include "hdap/network/normalisation.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace hdap::network {

/// What a user says of the images that a network takes, (pixel · scale/255 − mean)/deviation; what
/// is left open is as the files say.
struct NormalisationChoice {
    std::vector<double> mean = {};      ///< a number, or one per channel as the network takes them
    std::vector<double> deviation = {}; ///< the same, above 0
    double scale = 0.0;                 ///< the value of a full pixel, e.g. 1 or 255; 0: left open
    std::optional<ChannelOrder> order = {}; ///< left open: none
    bool operator==(const NormalisationChoice&) const = default;
};

/// The normalisation of a network with so many input channels. What `choice` leaves open is that of
/// `files`, but that a mean is 0 and a deviation 1 where a scale is chosen without them. A mean of
/// `files` stays with its colour where another order is chosen.
/// Throws ConfigError, which names setting and option, when the numbers do not fit the channels or
/// the scale.
Normalisation choose_normalisation(const NormalisationChoice& choice, const Normalisation& files,
                                   std::int64_t channels);

/// The same, of what the network's file `told`, else of the `own` one of the images; nothing where
/// nobody says anything.
std::optional<Normalisation> choose_normalisation(const NormalisationChoice& choice,
                                                  const std::optional<Normalisation>& told,
                                                  const std::optional<Normalisation>& own,
                                                  std::int64_t channels);

/// What leaves pixels of 0 to 1 as they are.
Normalisation no_normalisation(std::int64_t channels);

/// What to tell where images are normalised otherwise, by more than rounding, than the file `name`
/// says; else nothing.
std::string conflict(const Normalisation& chosen, const Normalisation& file,
                     const std::string& name);

/// The settings "mean", "std", "scale" and "channels", which must not outlive `choice`.
std::vector<core::Setting> settings_of(NormalisationChoice& choice);

} // namespace hdap::network
