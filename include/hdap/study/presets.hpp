#pragma once

#include "hdap/core/settings.hpp"
#include "hdap/fleet/synthesis.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hdap::study {

/// A setting that a preset makes.
struct PresetRow {
    std::string_view key;   ///< "section.key"
    std::string_view value; ///< as core::value_text writes it
    std::string_view why;   ///< one line
};

/// The names of all presets.
std::vector<std::string> preset_names();

/// The settings of a preset; of "", which is none, no settings.
/// Throws ConfigError for a name that is none of preset_names().
std::span<const PresetRow> preset_rows(const std::string& preset);

/// The setting that names a preset, which must outlive it.
core::Setting preset_setting(std::string& preset);

/// Gives the settings of a preset its values. Throws as preset_rows.
void apply_preset(const std::string& preset, const core::Configuration& configuration);

/// Remarks on each setting of a preset why the preset wants its value, and which value that is
/// where the setting has another one. Throws as preset_rows.
void explain_preset(const std::string& preset, core::Configuration& configuration);

/// The same of the mixture of a simulated fleet. Throws as fleet::mixture_rows.
void explain_mixture(const fleet::SynthesisParameters& parameters,
                     core::Configuration& configuration);

} // namespace hdap::study
