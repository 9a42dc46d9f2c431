#include "hdap/study/presets.hpp"

#include "hdap/core/error.hpp"
#include "hdap/study/settings.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <fstream>
#include <set>

using namespace hdap;
using Catch::Contains;

namespace {

/// The settings of a configuration by name.
const core::Setting* find_setting(const core::Configuration& configuration, std::string_view name) {
    for (const core::Section& section : configuration)
        for (const core::Setting& setting : section.settings)
            if (core::name_of(section, setting) == name) return &setting;
    return nullptr;
}

} // namespace

TEST_CASE("an unknown preset is a ConfigError that names the nearest and all") {
    CHECK_THROWS_WITH(study::preset_rows("papper"),
                      Contains("'papper' (did you mean 'paper'?); known: paper"));
    CHECK_THROWS_AS(study::apply_preset("papper", {}), core::ConfigError);
    CHECK_THROWS_WITH(study::parse_settings("\npreset = \"papper\"\n", "a.toml"),
                      Contains("a.toml:2: preset = 'papper' is unknown (did you mean 'paper'?); "
                               "known: \"\", paper"));
}

TEST_CASE("no preset sets nothing") {
    CHECK(study::preset_rows("").empty());
    CHECK(study::settings_text(study::parse_settings("", "a.toml")) ==
          study::settings_text(study::Settings()));
}

TEST_CASE("every row of every preset is a setting once, its value as it is printed, and a reason") {
    for (const std::string& name : study::preset_names()) {
        study::Settings settings;
        const core::Configuration configuration = study::configuration_of(settings);
        REQUIRE_NOTHROW(study::apply_preset(name, configuration));
        std::set<std::string_view> keys;
        for (const study::PresetRow& row : study::preset_rows(name)) {
            INFO(name << ": " << row.key);
            const core::Setting* setting = find_setting(configuration, row.key);
            REQUIRE(setting != nullptr);
            CHECK(core::value_text(*setting) == row.value);
            CHECK(setting->shapes != core::Outputs::nothing);
            CHECK(keys.insert(row.key).second);
            CHECK_FALSE(row.why.empty());
            CHECK(row.why.find('\n') == std::string_view::npos);
        }
        CHECK_FALSE(keys.empty());
    }
}

TEST_CASE("the printed settings list every preset and what it is") {
    for (const std::string& name : study::preset_names())
        CHECK_THAT(study::settings_text({}),
                   Contains("; " + name + ": ") && Contains(" | " + name + "\npreset = \"\"\n"));
}

TEST_CASE("keys of the text win over the preset, and the preset over the defaults") {
    const study::Settings settings =
        study::parse_settings("preset = \"paper\"\n[profile]\ncandidates = 300\n", "a.toml");
    CHECK(settings.preset == "paper");
    CHECK(settings.profile.candidates == 300);
    CHECK(settings.search.parameters.population == 10);
    CHECK(settings.clusters.weighting == fleet::ClusterWeighting::equal);
    CHECK(settings.fleet.benchmarks == study::Settings().fleet.benchmarks);
}

TEST_CASE("what a preset set is printed with its reason, and what it would have set elsewhere") {
    const std::string text = study::settings_text(study::parse_settings(
        "preset = \"paper\"\n[profile]\ncandidates = 300\n[search]\npopulation = 10\n", "a.toml"));
    CHECK_THAT(text, Contains("preset = \"paper\"\n"));
    CHECK_THAT(text, Contains("\n# paper: one gradient-boosted regression forest per cluster\n"
                              "kind = \"gbrt\"\n"));
    CHECK_THAT(text, Contains("\n# paper says 5000: default seen in public code, perhaps not the "
                              "paper's\ncandidates = 300\n"));
    CHECK_THAT(text, Contains("\n# paper: default seen in public code, perhaps not the paper's\n"
                              "population = 10\n"));
    CHECK_THAT(study::settings_text({}), !Contains("# paper"));
}

TEST_CASE("the printed settings of every preset read back the same, preset and remarks included") {
    for (const std::string& name : study::preset_names()) {
        const std::string text = study::settings_text(
            study::parse_settings("preset = \"" + name + "\"\nstudy.seed = 3\n", "a.toml"));
        CHECK_THAT(text, Contains("# " + name + ": "));
        CHECK(study::settings_text(study::parse_settings(text, "b.toml")) == text);
    }
}

TEST_CASE("the defaults can be looked at under a preset and overrides, though they are no study") {
    const study::Settings settings =
        study::default_settings({"preset=paper", "search.population=12"});
    CHECK(settings.profile.candidates == 5000);
    CHECK(settings.search.parameters.population == 12);
    CHECK_THROWS_WITH(study::default_settings({"preset=papper"}),
                      Contains("--set preset=papper") && Contains("did you mean 'paper'?"));
}

TEST_CASE("a mixture sets what file and command line leave out, whoever names it") {
    const std::string hostile = "[fleet.synthetic]\npreset = \"phone\"\nmixture = \"hostile\"\n"
                                "slow_gpu_share = 0.11\n[search]\n"
                                "objectives = [\"latency.mean\", \"flops\"]\n";
    const auto settings = study::parse_settings(hostile, "a.toml");
    CHECK(settings.fleet.synthesis.slow_memory_share == 0.2);
    CHECK(settings.fleet.synthesis.slow_gpu_share == 0.11);
    CHECK(settings.fleet.synthesis.weak_supply_share == 0.2); // of phones
    const std::string text = study::settings_text(settings);
    CHECK_THAT(text, Contains("slow_memory_share = 0.2") &&
                         Contains("hostile: half of the devices are normal") &&
                         Contains("hostile says 0.2: half of the devices are normal"));
    CHECK(study::settings_lines(study::parse_settings(text, "b.toml")) ==
          study::settings_lines(settings));

    const test::TemporaryFolder folder;
    std::ofstream(folder / "a.toml") << hostile;
    const study::BaseSettings file(folder / "a.toml");
    const auto with = [&](const std::string& override_text) {
        return file.with({override_text}).fleet.synthesis;
    };
    CHECK(with("fleet.synthetic.slow_memory_share=0.05").slow_memory_share == 0.05);
    CHECK(with("fleet.synthetic.mixture=mild").slow_memory_share == 0.0);
    CHECK(with("fleet.synthetic.mixture=mild").slow_gpu_share == 0.11);
    CHECK(with("fleet.synthetic.preset=jetson_nano").weak_supply_share == 0.0);
    CHECK(study::default_settings({"fleet.synthetic.mixture=hostile"})
              .fleet.synthesis.slow_memory_share == 0.2);
    CHECK_THROWS_WITH(study::parse_settings("[fleet.synthetic]\nmixture = \"wild\"\n", "a.toml"),
                      Contains("a.toml:2") && Contains("standard, mild, hostile"));
}
