#pragma once

#include "hdap/fleet/synthesis.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace hdap::fleet {

/// A setting of [fleet.synthetic] that a mixture makes.
struct MixtureRow {
    std::string_view preset; ///< of this device model alone; empty: of all
    std::string_view key;
    std::string_view value; ///< as core::value_text writes it
    std::string_view why;   ///< one line
};

/// The names of all mixtures, the standard one first. That one is what SynthesisParameters are
/// made with, and sets nothing.
std::vector<std::string> mixture_names();

/// What each of them is, for the comment of the setting.
std::string mixtures_comment();

/// What a mixture sets for fleets of a device model, each key once.
/// Throws ConfigError for a name that is none of mixture_names() (lists the known ones).
std::vector<MixtureRow> mixture_rows(const std::string& mixture, const std::string& preset);

/// Gives `parameters` the values of their mixture for their preset. Throws as mixture_rows.
void apply_mixture(SynthesisParameters& parameters);

} // namespace hdap::fleet
