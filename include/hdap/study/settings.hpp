#pragma once

#include "hdap/accuracy/command_parameters.hpp"
#include "hdap/accuracy/evaluation.hpp"
#include "hdap/accuracy/training.hpp"
#include "hdap/core/settings.hpp"
#include "hdap/fleet/clustering.hpp"
#include "hdap/fleet/latency_source.hpp"
#include "hdap/network/importance.hpp"
#include "hdap/network/normalisation_choice.hpp"
#include "hdap/network/search_space.hpp"
#include "hdap/search/algorithm.hpp"
#include "hdap/search/goal.hpp"
#include "hdap/search/search_run.hpp"
#include "hdap/surrogate/surrogate.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace hdap::study {

/// Everything that a study's configuration says, with the defaults: the preset, then one member per
/// TOML section.
/// Seeds inside the parameter structs of other modules are set from `seed`.
struct Settings {
    std::string preset; ///< one of preset_names(); empty: none

    std::string name = "study";
    std::int64_t seed = 1;
    std::int64_t rounds = 1; ///< of searching, pruning and fine-tuning
    std::string target;      ///< "METRIC <= BOUND" that ends the rounds; empty: none

    fleet::LatencySourceParameters fleet;
    fleet::ClusteringParameters clusters;
    std::string kept_run; ///< run directory whose clusters are kept; empty: none

    struct Network {
        std::string name = "mobilenet_v1";
        std::string file;
        double width = 1.0;
        std::string weights;
        network::Criterion criterion = network::Criterion::l2;
        network::SearchSpaceParameters space;
        bool insert_batch_norms = true;
    } network;

    struct Data {
        std::string file;
        std::int64_t held_out = 5000;
        std::int64_t evaluation_images = 2000;
        std::int64_t recalibration_images = 500;
        network::NormalisationChoice normalisation;
        accuracy::EvaluationParameters evaluation;
    } data;

    struct Accuracy {
        std::string evaluator = "auto"; ///< see evaluator_of
        accuracy::CommandParameters command;
    } accuracy;

    struct Profile {
        std::int64_t candidates = 400;
        std::int64_t runs = 10;
        bool every_round = false;
    } profile;

    surrogate::SurrogateParameters surrogate;

    struct Search {
        std::string algorithm = "nsga2";
        search::AlgorithmParameters parameters;
        search::SearchParameters length;
        std::vector<std::string> objectives{"latency.mean", "accuracy_drop"};
        std::vector<std::string> constraints{"flops <= 0.6x"};
        std::string precision = "float32";
    } search;

    struct Finetune {
        std::int64_t candidates = 3;
        std::int64_t images = 0;
        accuracy::TrainingParameters training;
    } finetune;

    struct Report {
        std::int64_t variants = 4;
        double accuracy_budget = 0.02;
        std::vector<std::string> formats{"onnx", "pt"};
    } report;

    struct Run {
        double checkpoint_seconds = 30.0;
    } run;
};

/// The records of all settings: what loading, printing and hashing go by. They point into
/// `settings`, which must outlive them.
core::Configuration configuration_of(Settings& settings);

/// What measures accuracies: "engine", "command" or "none". "auto" stands for the command where
/// there is one, for the engine where there is data, else for none.
std::string evaluator_of(const Settings& settings);

/// The objectives and constraints. Throws ConfigError when one of them cannot be parsed.
search::Goal goal_of(const Settings& settings);

/// What the rounds are to reach, if anything. Throws ConfigError when it cannot be parsed.
std::optional<search::Constraint> target_of(const Settings& settings);

/// Whether an objective or a constraint needs accuracies. Throws as goal_of.
bool needs_accuracy(const Settings& settings);

/// What is measured of candidates on devices: the latency, and what else objectives, constraints or
/// the target need. Throws as goal_of and target_of.
std::vector<fleet::Quantity> quantities_of(const Settings& settings);

/// Whether the setting is the path of a file: relative ones are relative to where they are written.
bool is_path_setting(const std::string& name);

/// What a configuration's text says, over what the preset that it names sets, over the defaults.
/// Paths stay as they are, and values may contradict each other. Throws ConfigError.
Settings parse_settings(const std::string& text, const std::string& file_name);

/// What `overrides` ("key=value") make of the defaults, or of the preset that they name, to look
/// at: values may contradict each other. Paths are as in load_settings_file. Throws ConfigError.
Settings default_settings(const std::vector<std::string>& overrides);

/// A configuration file that several studies begin with: read once.
class BaseSettings {
  public:
    /// Throws ConfigError, as load_settings_file does.
    explicit BaseSettings(const std::filesystem::path& file);

    /// The settings of load_settings_file(file, overrides). Throws ConfigError.
    [[nodiscard]] Settings with(const std::vector<std::string>& overrides) const;

  private:
    std::filesystem::path file_;
    std::string text_;
    Settings settings_;
};

/// Reads a configuration file. `overrides` ("key=value") win over its keys, these over the preset,
/// which overrides may name, too, and that over the defaults. Relative paths in the file are
/// relative to its folder; those in `overrides` to the current folder. In the result all paths are
/// absolute, all values are consistent, and accuracy.evaluator is what "auto" stands for.
/// Throws ConfigError.
Settings load_settings_file(const std::filesystem::path& file,
                            const std::vector<std::string>& overrides);

/// The settings as commented TOML, with what the preset says of them: what `--print-config` and the
/// run directory's config.toml hold.
std::string settings_text(const Settings& settings);

/// All settings as lines, "key = value".
std::string settings_lines(const Settings& settings);

/// See core::canonical_lines.
std::string settings_lines(const Settings& settings, core::Outputs outputs);

/// See core::setting_differences.
std::vector<std::string> setting_differences(const Settings& there, const Settings& here,
                                             core::Outputs outputs);

} // namespace hdap::study
