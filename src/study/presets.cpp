#include "hdap/study/presets.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/unknown_name.hpp"
#include "hdap/fleet/mixtures.hpp"
#include "presets/paper.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

namespace hdap::study {
namespace {

struct Preset {
    std::string_view name;
    std::string_view comment;
    std::span<const PresetRow> rows;
};

/// Every preset. Another one is a row here.
constexpr std::array presets{
    Preset{"paper", "the method as published (arXiv 2501.15240)", paper_preset},
};

} // namespace

std::vector<std::string> preset_names() {
    std::vector<std::string> names;
    for (const Preset& preset : presets)
        names.emplace_back(preset.name);
    return names;
}

std::span<const PresetRow> preset_rows(const std::string& preset) {
    if (preset.empty()) return {};
    const auto found = std::ranges::find(presets, std::string_view(preset), &Preset::name);
    if (found != presets.end()) return found->rows;
    throw core::ConfigError(core::unknown_name("preset", preset, preset_names()));
}

core::Setting preset_setting(std::string& preset) {
    std::vector<std::string> choices = preset_names();
    choices.insert(choices.begin(), "");
    std::string comment = "Values for the keys that this file leaves out";
    for (const Preset& row : presets)
        comment += fmt::format("; {}: {}", row.name, row.comment);
    // What it sets shapes the outputs.
    return core::text("preset", preset, std::move(choices), comment, core::Outputs::nothing);
}

void apply_preset(const std::string& preset, const core::Configuration& configuration) {
    std::string toml;
    for (const PresetRow& row : preset_rows(preset))
        toml += fmt::format("{} = {}\n", row.key, row.value);
    core::load_settings(configuration, toml, "preset " + preset, {});
}

namespace {

void explain(const std::string& name, std::span<const PresetRow> rows,
             core::Configuration& configuration) {
    for (core::Section& section : configuration)
        for (core::Setting& setting : section.settings) {
            const auto row =
                std::ranges::find(rows, core::name_of(section, setting), &PresetRow::key);
            if (row == rows.end()) continue;
            const bool kept = core::value_text(setting) == row->value;
            setting.remark = kept ? fmt::format("{}: {}", name, row->why)
                                  : fmt::format("{} says {}: {}", name, row->value, row->why);
        }
}

} // namespace

void explain_preset(const std::string& preset, core::Configuration& configuration) {
    explain(preset, preset_rows(preset), configuration);
}

void explain_mixture(const fleet::SynthesisParameters& parameters,
                     core::Configuration& configuration) {
    const auto rows = fleet::mixture_rows(parameters.mixture, parameters.preset);
    std::vector<std::string> keys;
    for (const fleet::MixtureRow& row : rows)
        keys.push_back(fmt::format("fleet.synthetic.{}", row.key));
    std::vector<PresetRow> named;
    for (std::size_t i = 0; i < rows.size(); ++i)
        named.push_back({keys[i], rows[i].value, rows[i].why});
    explain(parameters.mixture, named, configuration);
}

} // namespace hdap::study
