#include "hdap/study/settings.hpp"

#include "hdap/accuracy/candidate_evaluator.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "hdap/fleet/mixtures.hpp"
#include "hdap/network/zoo.hpp"
#include "hdap/search/metrics.hpp"
#include "hdap/study/presets.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

namespace hdap::study {
namespace {

namespace fs = std::filesystem;
using core::Outputs;
using core::Section;
using core::Setting;

constexpr auto network_shapes = Outputs::fleet | Outputs::accuracies;
constexpr auto accuracy_shapes = Outputs::search | Outputs::accuracies;

std::vector<Setting> joined(std::vector<Setting> first, const std::vector<Setting>& more) {
    first.insert(first.end(), more.begin(), more.end());
    return first;
}

Section study_section(Settings& s) {
    return {
        "study",
        "The study as a whole",
        {core::text("name", s.name, {},
                    "Names the run directory: runs/NAME, unless --out says otherwise",
                    Outputs::nothing),
         core::integer("seed", s.seed, {0, 1'000'000'000'000}, "Every random number depends on it",
                       Outputs::fleet | Outputs::clusters | Outputs::profile | Outputs::surrogates |
                           Outputs::search | Outputs::networks),
         core::integer("rounds", s.rounds, {1, 100},
                       "Rounds of search, pruning and fine-tuning, each from the network that the "
                       "one before chose",
                       Outputs::networks),
         core::text("target", s.target, {},
                    "Ends the rounds once it holds: \"METRIC <= BOUND\", e.g. flops <= 0.25x",
                    Outputs::networks)}};
}

Section fleet_section(Settings& s) {
    constexpr auto shapes = Outputs::fleet;
    return {"fleet",
            "The devices and their latencies on the benchmark networks",
            {core::text("source", s.fleet.source, fleet::latency_source_names(),
                        "simulated: from a device model; recorded: measured latencies; command: "
                        "measured by a program of yours; live: each rank is a device",
                        shapes),
             core::path("file", s.fleet.fleet_file,
                        "Real devices: a fleet that hdap fleet import or measure made; with "
                        "recorded, latencies of candidates are then asked of you",
                        Outputs::nothing),
             core::integer("benchmarks", s.fleet.benchmarks, {1, 64},
                           "Benchmark networks: randomly pruned versions of the network", shapes),
             core::integer("batch", s.fleet.batch, {1, 4096},
                           "Images per inference, for all latencies", shapes),
             core::integer("runs", s.fleet.runs, {1, 10'000},
                           "Runs of each benchmark on each device", shapes)}};
}

Section clusters_section(Settings& s) {
    std::vector<Setting> settings = settings_of(s.clusters);
    settings.push_back(core::path(
        "keep", s.kept_run,
        "Run directory of a study of this fleet as it was: clusters that still describe devices "
        "are kept, with what was measured of them",
        Outputs::nothing));
    return {"clusters", "Groups of devices that respond alike", std::move(settings)};
}

Section network_section(Settings& s) {
    std::vector<Setting> settings{
        core::text("name", s.network.name, network::zoo_names(), "Network of the zoo",
                   network_shapes),
        core::real("width", s.network.width, {0.0, 4.0, true}, "Multiplies all channel counts",
                   network_shapes),
        core::path("file", s.network.file,
                   "A network of your own instead: ONNX, TorchScript or HDF5; name and width do "
                   "not count",
                   network_shapes),
        core::path("weights", s.network.weights,
                   "Trained weights: HDF5, safetensors, ONNX or TorchScript; not needed with a "
                   "file",
                   Outputs::nothing)};
    settings = joined(std::move(settings), settings_of(s.network.space));
    settings.push_back(criterion_setting(s.network.criterion));
    settings.push_back(core::boolean(
        "insert_batch_norms", s.network.insert_batch_norms,
        "Give convolutions that have none batch norms, from the images for recalibration: undoes "
        "their folding",
        accuracy_shapes));
    return {"network", "The network to be pruned, and what may be pruned of it",
            std::move(settings)};
}

Section data_section(Settings& s) {
    constexpr auto shapes = accuracy_shapes;
    std::vector<Setting> settings{
        core::path("file", s.data.file, "Packed images (made by `hdap data pack`)",
                   Outputs::nothing),
        core::integer("held_out", s.data.held_out, {1, 100'000'000},
                      "Last training images: never trained on, candidates are compared on "
                      "them",
                      shapes),
        core::integer("evaluation_images", s.data.evaluation_images, {1, 100'000'000},
                      "Held-out images that each candidate is evaluated on", shapes),
        core::integer("recalibration_images", s.data.recalibration_images, {1, 1'000'000},
                      "Training images that batch-norm statistics are recomputed on", shapes)};
    settings = joined(std::move(settings), settings_of(s.data.normalisation));
    settings.push_back(batch_setting(s.data.evaluation));
    return {"data", "The images that accuracy is measured on", std::move(settings)};
}

/// Those that there are, and the one that goes by what is there.
std::vector<std::string> evaluator_choices() {
    std::vector<std::string> names = accuracy::candidate_evaluator_names();
    names.insert(names.begin(), "auto");
    return names;
}

Section accuracy_section(Settings& s) {
    return {"accuracy", "What measures the accuracy of candidates",
            joined({core::text("evaluator", s.accuracy.evaluator, evaluator_choices(),
                               "engine: top-1 on data.file; command: a program of your own; none: "
                               "nothing does; auto: the first that is there of command, data.file, "
                               "none",
                               accuracy_shapes)},
                   settings_of(s.accuracy.command))};
}

Section profile_section(Settings& s) {
    return {"profile",
            "Latencies of random candidates on each cluster's representatives",
            {core::integer("candidates", s.profile.candidates, {10, 1'000'000},
                           "Random candidates measured", Outputs::profile),
             core::integer("runs", s.profile.runs, {1, 10'000}, "Runs of each candidate",
                           Outputs::profile),
             core::boolean("every_round", s.profile.every_round,
                           "Measure again in every round, among what it may choose from",
                           Outputs::profile)}};
}

Section search_section(Settings& s) {
    constexpr auto shapes = Outputs::search;
    std::vector<Setting> settings{
        core::text("algorithm", s.search.algorithm, search::algorithm_names(),
                   "What decides which candidates are evaluated next", shapes)};
    settings = joined(std::move(settings), settings_of(s.search.parameters));
    settings = joined(std::move(settings), settings_of(s.search.length));
    settings.push_back(
        core::text_list("objectives", s.search.objectives,
                        fmt::format("Minimised: {}", core::join(search::metric_names())), shapes));
    settings.push_back(core::text_list(
        "constraints", s.search.constraints,
        "Must hold: \"METRIC <= BOUND\"; 0.5x is half of the unpruned network's", shapes));
    settings.push_back(accuracy::precision_setting(s.search.precision));
    return {"search", "Search over the channels kept in each pruning group", std::move(settings)};
}

Section finetune_section(Settings& s) {
    return {"finetune", "Training of the best candidates, and of uniform widths beside them",
            joined({core::integer("candidates", s.finetune.candidates, {0, 1000},
                                  "Candidates of the front", Outputs::networks),
                    core::integer("images", s.finetune.images, {0, 100'000'000},
                                  "Training images used; 0: all that are not held out",
                                  Outputs::networks)},
                   settings_of(s.finetune.training))};
}

Section report_section(Settings& s) {
    constexpr auto shapes = Outputs::results;
    return {"report",
            "What a complete study ends with",
            {core::integer("variants", s.report.variants, {1, 64},
                           "Evaluate handing out 1, 2, … so many networks to groups of clusters",
                           shapes),
             core::real("accuracy_budget", s.report.accuracy_budget, {0.0, 1.0},
                        "Largest accuracy drop of these networks", shapes),
             core::text_list("formats", s.report.formats,
                             "What fine-tuned networks are written as beside HDF5: onnx, pt "
                             "(TorchScript)",
                             shapes)}};
}

Section run_section(Settings& s) {
    return {"run",
            "How the job runs; changes no result",
            {core::real("checkpoint_seconds", s.run.checkpoint_seconds, {0.01, 86'400.0},
                        "Time between two checkpoints of the search", Outputs::nothing)}};
}

std::string read_text(const fs::path& file) {
    std::ifstream stream(file, std::ios::binary);
    if (!stream || fs::is_directory(file))
        throw core::ConfigError(fmt::format(
            "cannot read the configuration {}: no such file, or not readable", file.string()));
    constexpr std::streamsize longest = 1 << 20;
    std::string text(static_cast<std::size_t>(longest) + 1, '\0');
    stream.read(text.data(), longest + 1);
    if (stream.gcount() > longest)
        throw core::ConfigError(fmt::format(
            "the configuration {} is longer than 1 MB; is it the right file?", file.string()));
    text.resize(static_cast<std::size_t>(stream.gcount()));
    return text;
}

void make_paths_absolute(Settings& settings, const fs::path& folder) {
    for (const auto& [name, path] : core::path_settings(configuration_of(settings)))
        if (!path->empty() && fs::path(*path).is_relative())
            *path = fs::weakly_canonical(folder / *path).string();
}

[[noreturn]] void fail(const std::string& what) {
    throw core::ConfigError(what);
}

bool has_weights(const Settings& s) {
    return !s.network.weights.empty() || !s.network.file.empty();
}

void check_study_and_fleet(const Settings& s) {
    if (s.name.empty() || s.name.find('/') != std::string::npos)
        fail(fmt::format("study.name = '{}' must be a file name, without '/'", s.name));
    if (s.fleet.source == "recorded" && s.fleet.file.empty() && s.fleet.fleet_file.empty())
        fail("fleet.source = \"recorded\" needs fleet.recorded.file, a table of latencies, or "
             "fleet.file, the devices that they will be measured on");
    if (s.fleet.source == "simulated" && !s.fleet.fleet_file.empty())
        fail("fleet.file names real devices, but fleet.source = \"simulated\" simulates others; "
             "choose the source \"command\" or \"recorded\"");
}

void check_objectives(const Settings& s) {
    if (s.search.objectives.empty()) fail("search.objectives is empty: name at least one");
    try {
        search::check_objectives(s.search.algorithm, goal_of(s));
    } catch (const core::ConfigError& error) {
        fail(fmt::format("search: {}", error.what()));
    }
}

void check_no_evaluator(const Settings& s) {
    if (!needs_accuracy(s)) return;
    if (s.accuracy.evaluator == "none")
        fail("accuracy.evaluator = \"none\" measures no accuracy, but search.objectives or "
             "search.constraints need it");
    fail("data.file is missing: make one with `hdap data pack`, or name an accuracy.command, as "
         "search.objectives or search.constraints need accuracies");
}

/// That there is all that measuring accuracies needs.
void check_evaluator(const Settings& s) {
    const std::string evaluator = evaluator_of(s);
    if (evaluator == "none") return check_no_evaluator(s);
    if (evaluator == "engine" && s.data.file.empty())
        fail("accuracy.evaluator = \"engine\" needs data.file: make one with `hdap data pack`");
    if (evaluator == "command" && s.accuracy.command.command.empty())
        fail("accuracy.evaluator = \"command\" needs an accuracy.command");
    if (evaluator == "command") accuracy::check_command(s.accuracy.command);
    if (!has_weights(s))
        fail("network.weights is missing: make them with `hdap train`, or name a network.file; "
             "without accuracies (accuracy.evaluator = \"none\") none are needed");
}

/// What only hdap's own engine can do.
void check_engine_settings(const Settings& s) {
    if (evaluator_of(s) == "engine") return;
    constexpr const char* needs = "{} needs hdap's own accuracy (accuracy.evaluator = \"engine\"), "
                                  "not accuracy.command or none: set it to {}";
    if (s.search.length.give_up_confidence > 0.0)
        fail(fmt::format(needs, "search.give_up_confidence", "0"));
    if (s.search.precision != "float32") fail(fmt::format(needs, "search.precision", "float32"));
}

void check_data(const Settings& s) {
    if (s.network.criterion == network::Criterion::taylor &&
        (s.data.file.empty() || !has_weights(s)))
        fail("network.criterion = \"taylor\" needs data.file and network.weights");
    if (s.data.evaluation_images > s.data.held_out)
        fail(fmt::format("data.evaluation_images = {} is more than data.held_out = {}",
                         s.data.evaluation_images, s.data.held_out));
}

void check_target(const Settings& s) {
    const auto target = target_of(s);
    if (target && s.rounds == 1)
        fail("study.target ends rounds, and there is one (study.rounds = 1): ask for more, or make "
             "it one of search.constraints");
    if (target && target->metric.needs_accuracy())
        fail(fmt::format("study.target = '{}': rounds do not raise accuracies; a target is on "
                         "latencies or costs, accuracies are for search.constraints",
                         s.target));
}

bool bounds_accuracy(const Settings& s) {
    return std::ranges::any_of(goal_of(s).constraints, [](const search::Constraint& constraint) {
        return constraint.metric.needs_accuracy();
    });
}

void check_rounds(const Settings& s) {
    check_target(s);
    if (s.rounds == 1 && s.profile.every_round)
        fail("profile.every_round needs several rounds (study.rounds)");
    if (s.rounds > 1 && evaluator_of(s) == "none")
        fail(fmt::format("study.rounds = {} needs accuracies: data.file, or an accuracy.command",
                         s.rounds));
    if (s.rounds > 1 && !bounds_accuracy(s))
        fail(
            fmt::format("study.rounds = {}: every round goes on from the best network by the first "
                        "objective, which may get nothing right any more: bound accuracies by one "
                        "of search.constraints, e.g. \"accuracy_drop <= 0.1\"",
                        s.rounds));
}

void check_kept(const Settings& s) {
    if (!s.kept_run.empty() && s.profile.every_round)
        fail("clusters.keep takes over what another study measured, and profile.every_round "
             "measures anew in every round: leave one of them out");
}

void check_report(const Settings& s) {
    for (const std::string& format : s.report.formats)
        if (format != "onnx" && format != "pt")
            fail(fmt::format("report.formats: unknown format '{}'; known: onnx, pt", format));
}

/// What the ranges of single settings cannot say.
void check_consistency(const Settings& settings, const std::string& file) {
    try {
        for (const auto check :
             {check_study_and_fleet, check_objectives, check_evaluator, check_engine_settings,
              check_data, check_rounds, check_kept, check_report})
            check(settings);
    } catch (const core::ConfigError& error) {
        throw core::ConfigError(file + ": " + error.what());
    }
}

void override_settings(Settings& settings, const std::vector<std::string>& overrides) {
    core::load_settings(configuration_of(settings), "", "", overrides);
    make_paths_absolute(settings, fs::current_path());
}

/// Gives the settings of the preset and of the mixture that `named` names their values.
void apply_named_values(const Settings& named, Settings& settings) {
    apply_preset(named.preset, configuration_of(settings));
    settings.fleet.synthesis.preset = named.fleet.synthesis.preset;
    settings.fleet.synthesis.mixture = named.fleet.synthesis.mixture;
    fleet::apply_mixture(settings.fleet.synthesis);
}

/// Whether apply_named_values gives other values.
bool names_others(const Settings& a, const Settings& b) {
    const fleet::SynthesisParameters& synthesis = a.fleet.synthesis;
    return a.preset != b.preset || synthesis.mixture != b.fleet.synthesis.mixture ||
           synthesis.preset != b.fleet.synthesis.preset;
}

/// What a configuration's text says over what the preset and the mixture that `named` names set.
Settings settings_over(const Settings& named, const std::string& text,
                       const std::string& file_name) {
    Settings settings;
    apply_named_values(named, settings);
    core::load_settings(configuration_of(settings), text, file_name, {});
    return settings;
}

void spread_seed(Settings& s) {
    const auto seed = static_cast<std::uint64_t>(s.seed);
    s.fleet.seed = seed;
    s.clusters.seed = seed;
    s.surrogate.gbrt.seed = seed;
    s.search.parameters.seed = seed;
    s.finetune.training.seed = seed;
}

} // namespace

core::Configuration configuration_of(Settings& settings) {
    core::Configuration all;
    const auto add = [&](const std::vector<Section>& sections) {
        all.insert(all.end(), sections.begin(), sections.end());
    };
    add({{"", "", {preset_setting(settings.preset)}},
         study_section(settings),
         fleet_section(settings)});
    add(fleet::latency_source_sections(settings.fleet));
    add({clusters_section(settings),
         network_section(settings),
         data_section(settings),
         accuracy_section(settings),
         profile_section(settings),
         {"surrogate", "What predicts latencies on each cluster",
          settings_of(settings.surrogate)}});
    add({search_section(settings)});
    add(search::algorithm_sections(settings.search.parameters));
    add({finetune_section(settings), report_section(settings), run_section(settings)});
    return all;
}

std::string evaluator_of(const Settings& settings) {
    if (settings.accuracy.evaluator != "auto") return settings.accuracy.evaluator;
    if (!settings.accuracy.command.command.empty()) return "command";
    return settings.data.file.empty() ? "none" : "engine";
}

search::Goal goal_of(const Settings& settings) {
    search::Goal goal;
    for (const std::string& name : settings.search.objectives)
        goal.objectives.push_back(search::parse_metric(name));
    for (const std::string& text : settings.search.constraints)
        goal.constraints.push_back(search::parse_constraint(text));
    return goal;
}

std::optional<search::Constraint> target_of(const Settings& settings) {
    if (settings.target.empty()) return std::nullopt;
    try {
        return search::parse_constraint(settings.target);
    } catch (const core::ConfigError& error) {
        throw core::ConfigError(fmt::format("study.target: {}", error.what()));
    }
}

bool needs_accuracy(const Settings& settings) {
    const search::Goal goal = goal_of(settings);
    return std::ranges::any_of(goal.objectives, &search::Metric::needs_accuracy) ||
           std::ranges::any_of(goal.constraints, [](const search::Constraint& constraint) {
               return constraint.metric.needs_accuracy();
           });
}

std::vector<fleet::Quantity> quantities_of(const Settings& settings) {
    const search::Goal goal = goal_of(settings);
    std::vector<search::Metric> metrics = goal.objectives;
    for (const search::Constraint& constraint : goal.constraints)
        metrics.push_back(constraint.metric);
    if (const auto target = target_of(settings)) metrics.push_back(target->metric);
    std::vector<fleet::Quantity> quantities{fleet::Quantity::latency};
    for (const search::Metric& metric : metrics)
        if (std::ranges::find(quantities, metric.quantity()) == quantities.end())
            quantities.push_back(metric.quantity());
    return quantities;
}

bool is_path_setting(const std::string& name) {
    Settings settings;
    const auto paths = core::path_settings(configuration_of(settings));
    return std::any_of(paths.begin(), paths.end(),
                       [&](const auto& path) { return path.first == name; });
}

Settings parse_settings(const std::string& text, const std::string& file_name) {
    const Settings settings = settings_over({}, text, file_name);
    return names_others(settings, {}) ? settings_over(settings, text, file_name) : settings;
}

Settings default_settings(const std::vector<std::string>& overrides) {
    Settings settings;
    override_settings(settings, overrides);
    apply_named_values(Settings(settings), settings);
    override_settings(settings, overrides);
    return settings;
}

BaseSettings::BaseSettings(const fs::path& file)
    : file_(file), text_(read_text(file)), settings_(parse_settings(text_, file.string())) {
    make_paths_absolute(settings_, fs::absolute(file).parent_path());
}

Settings BaseSettings::with(const std::vector<std::string>& overrides) const {
    Settings settings = settings_;
    override_settings(settings, overrides);
    if (names_others(settings, settings_)) {
        settings = settings_over(settings, text_, file_.string());
        make_paths_absolute(settings, fs::absolute(file_).parent_path());
        override_settings(settings, overrides);
    }
    check_consistency(settings, file_.string());
    settings.accuracy.evaluator = evaluator_of(settings);
    spread_seed(settings);
    return settings;
}

Settings load_settings_file(const fs::path& file, const std::vector<std::string>& overrides) {
    return BaseSettings(file).with(overrides);
}

std::string settings_text(const Settings& settings) {
    Settings copy = settings;
    core::Configuration configuration = configuration_of(copy);
    explain_preset(settings.preset, configuration);
    explain_mixture(settings.fleet.synthesis, configuration);
    return core::settings_as_toml(configuration);
}

std::string settings_lines(const Settings& settings) {
    Settings copy = settings;
    return core::setting_lines(configuration_of(copy));
}

std::string settings_lines(const Settings& settings, Outputs outputs) {
    Settings copy = settings;
    return core::canonical_lines(configuration_of(copy), outputs);
}

std::vector<std::string> setting_differences(const Settings& there, const Settings& here,
                                             Outputs outputs) {
    Settings theirs = there;
    Settings ours = here;
    return core::setting_differences(configuration_of(theirs), configuration_of(ours), outputs);
}

} // namespace hdap::study
