#include "hdap/study/settings.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "hdap/fleet/device_model.hpp"
#include "hdap/network/importance.hpp"
#include "hdap/network/zoo.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

namespace hdap::study {
namespace {

namespace fs = std::filesystem;
using core::SettingVisitor;

void describe_study(Settings& s, SettingVisitor& v) {
    v.section("study", "The study as a whole");
    v.text("name", s.name, {}, "Names the run directory: runs/NAME, unless --out says otherwise");
    v.integer("seed", s.seed, {0, 1'000'000'000'000}, "Every random number depends on it");
}

void describe_fleet(Settings& s, SettingVisitor& v) {
    v.section("fleet", "The devices and their latencies on the benchmark networks");
    v.text("source", s.fleet.source, {"synthetic", "file"},
           "synthetic: from a device model; file: measured latencies");
    v.text("file", s.fleet.file, {},
           "source = \"file\": CSV (device_id,benchmark,run,latency_ms) or HDF5 (hdap-fleet/1)");
    v.text("sku", s.fleet.sku, {}, "source = \"file\": what the label on the devices says");
    v.integer("benchmarks", s.fleet.benchmarks, {1, 64},
              "Benchmark networks: randomly pruned versions of the network");
    v.integer("batch", s.fleet.batch, {1, 4096}, "Images an inference, for all latencies");
    v.integer("runs", s.fleet.runs, {1, 10'000}, "Runs of each benchmark on each device");
    fleet::SynthesisParameters& synthesis = s.fleet.synthesis;
    v.section("fleet.synthetic", "How the units of a synthetic fleet differ");
    v.text("preset", synthesis.preset, fleet::device_presets(), "Device model");
    v.integer("devices", synthesis.devices, {1, 100'000'000}, "Units");
    v.real("silicon_sigma", synthesis.silicon_sigma, {0.0, 0.3},
           "Spread of the chips' speed (log-normal)");
    v.real("throttled_share", synthesis.throttled_share, {0.0, 1.0},
           "Share of devices too hot for their clock");
    v.real("capped_share", synthesis.capped_share, {0.0, 1.0},
           "Share of devices on a weak battery or supply");
    v.real("background_share", synthesis.background_share, {0.0, 1.0},
           "Share of devices with a background load");
    v.real("noise_sigma", synthesis.noise_sigma, {0.0, 0.2},
           "Typical noise from run to run (log-normal)");
}

void describe_clusters(Settings& s, SettingVisitor& v) {
    fleet::ClusteringParameters& clustering = s.clusters.clustering;
    v.section("clusters", "Groups of devices that respond alike");
    v.text("method", s.clusters.method, {"dbscan", "single_device", "whole_fleet"},
           "dbscan: dense groups; baselines: one device stands for all, or the fleet is one group");
    v.text("weighting", s.clusters.weighting, {"devices", "equal"},
           "What a cluster counts in the fleet's mean: its devices, or as much as any other");
    v.text("metric", s.clusters.metric, {"level", "shape"},
           "level: compare latencies; shape: without the device's overall speed");
    v.real("eps", clustering.eps, {0.0, 10.0},
           "Radius in log latency, 0.01 is about 1 %; 0: at the knee of the k-distance curve");
    v.integer("min_points", clustering.min_points, {0, 1'000'000},
              "Devices that make a dense group; 0: by the size of the fleet");
    v.integer("representatives", clustering.representatives, {1, 1000},
              "Devices of a cluster that are measured on its behalf");
    v.text("noise", s.clusters.noise, {"nearest_cluster", "drop"},
           "How devices in no group count: with the nearest cluster, or not at all");
}

void describe_network(Settings& s, SettingVisitor& v) {
    v.section("network", "The network to be pruned, and what may be pruned of it");
    v.text("name", s.network.name, network::zoo_names(), "Network of the zoo");
    v.real("width", s.network.width, {0.0, 4.0, true}, "Multiplies all channel counts");
    v.text("file", s.network.file, {},
           "A network of your own instead: ONNX, TorchScript or HDF5; name and width do not count");
    v.text("weights", s.network.weights, {},
           "Trained weights: HDF5, safetensors, ONNX or TorchScript; not needed with a file");
    v.real("min_keep", s.network.space.min_keep, {0.0, 1.0, true},
           "The least share of a group's channels that is kept");
    v.integer("min_channels", s.network.space.min_channels, {1, 1 << 20},
              "The least count of a group's channels that is kept");
    v.integer("channel_divisor", s.network.space.divisor, {1, 1024},
              "Channels kept are multiples of this");
    v.text_list("pinned", s.network.space.pinned,
                "Layers whose channels are all kept, by the names of `hdap network info`");
    v.text("criterion", s.network.criterion, network::criterion_names(),
           "What makes a channel important: the others go first");
}

void describe_data(Settings& s, SettingVisitor& v) {
    v.section("data", "The images that accuracy is measured on");
    v.text("file", s.data.file, {}, "Packed images (made by `hdap data pack`)");
    v.integer("held_out", s.data.held_out, {1, 100'000'000},
              "Last training images: never trained on, candidates are compared on them");
    v.integer("evaluation_images", s.data.evaluation_images, {1, 100'000'000},
              "Held-out images that each candidate is evaluated on");
    v.integer("recalibration_images", s.data.recalibration_images, {1, 1'000'000},
              "Training images that batch-norm statistics are recomputed on");
    v.integer("batch", s.data.evaluation.batch, {1, 100'000}, "Images a forward pass");
}

void describe_accuracy(Settings& s, SettingVisitor& v) {
    v.section("accuracy",
              "A program of your own that measures candidates, instead of top-1 on data");
    v.text("command", s.accuracy.command, {},
           "E.g. \"python3 eval.py {network}\"; its last line is a number in [0, 1], larger is "
           "better");
    v.text("format", s.accuracy.format, {"onnx", "pt"}, "Of the candidate's file, {network}");
    v.real("timeout_seconds", s.accuracy.timeout_seconds, {0.0, 1e7, true},
           "A run that takes longer is killed");
    v.integer("retries", s.accuracy.retries, {0, 100}, "Runs more after one that failed");
}

void describe_surrogates(Settings& s, SettingVisitor& v) {
    v.section("profile", "Latencies of random candidates on each cluster's representatives");
    v.integer("candidates", s.profile.candidates, {10, 1'000'000}, "Random candidates measured");
    v.integer("runs", s.profile.runs, {1, 10'000}, "Runs of each candidate");
    v.section("surrogate", "Gradient-boosted forests, one a cluster");
    v.integer("trees", s.surrogate.trees, {1, 100'000}, "Trees of a forest");
    v.integer("depth", s.surrogate.depth, {1, 16}, "Comparisons on a tree's path");
    v.real("learning_rate", s.surrogate.learning_rate, {0.0, 1.0, true}, "Shrinkage of each tree");
    v.real("l2", s.surrogate.l2, {0.0, 1e6}, "L2 penalty on the leaves");
}

void describe_search(Settings& s, SettingVisitor& v) {
    search::Nsga2Parameters& nsga2 = s.search.nsga2;
    v.section("search", "Search over the channels kept in each pruning group");
    v.text("algorithm", s.search.algorithm, {"nsga2", "random"},
           "nsga2: NSGA-II; random: baseline, random candidates in all generations");
    v.integer("population", nsga2.population, {2, 1'000'000}, "Candidates a generation");
    v.integer("generations", nsga2.generations, {0, 1'000'000}, "Generations after the first");
    v.text_list("objectives", s.search.objectives,
                "Minimised: latency.mean, latency.worst_cluster, accuracy_drop, flops, params, "
                "memory.peak");
    v.text_list("constraints", s.search.constraints,
                "Must hold: \"FIGURE <= BOUND\"; 0.5x is half of the unpruned network's");
    v.real("crossover_probability", nsga2.crossover_probability, {0.0, 1.0},
           "That a child has two parents");
    v.real("crossover_eta", nsga2.crossover_eta, {0.0, 1000.0},
           "Larger: children nearer to their parents");
    v.real("mutation_probability", nsga2.mutation_probability, {0.0, 1.0},
           "Of each gene; 0 stands for 1 / genes");
    v.real("mutation_eta", nsga2.mutation_eta, {0.0, 1000.0}, "Larger: smaller steps");
    v.real("give_up_confidence", nsga2.give_up_confidence, {0.0, 0.999999},
           "Give up evaluating a candidate that is dominated with this confidence; 0: never");
    v.text("precision", s.search.precision, accuracy::evaluation_precisions(),
           "Of the layers' products when candidates are evaluated; bfloat16 is faster on some "
           "processors");
}

void describe_finetune(Settings& s, SettingVisitor& v) {
    accuracy::TrainingParameters& training = s.finetune.training;
    v.section("finetune", "Training of the best candidates, and of uniform widths beside them");
    v.integer("candidates", s.finetune.candidates, {0, 1000}, "Candidates of the front");
    v.integer("images", s.finetune.images, {0, 100'000'000},
              "Training images used; 0: all that are not held out");
    v.real("epochs", training.epochs, {0.0, 10'000.0, true}, "Passes over these images");
    v.integer("batch", training.batch, {2, 65'536}, "Images a step");
    v.integer("shard", training.shard, {2, 65'536},
              "Images that batch norms see together. batch < 2 shard: a network a thread; else a "
              "network on all ranks, a shard a thread");
    v.real("learning_rate", training.learning_rate, {0.0, 100.0, true}, "At its peak");
    v.text("schedule", training.schedule, accuracy::learning_rate_schedules(),
           "How the rate falls; step: to a tenth at half and at three quarters");
    v.real("momentum", training.momentum, {0.0, 0.9999}, "Of the gradients");
    v.boolean("nesterov", training.nesterov, "Nesterov's momentum, or the classical one");
    v.real("weight_decay", training.weight_decay, {0.0, 1.0}, "On weights, not on batch norm");
    v.real("warmup", training.warmup, {0.0, 0.5}, "Share of the steps with a rising rate");
    v.real("label_smoothing", training.label_smoothing, {0.0, 0.5}, "Label smoothing");
    v.real("distillation", training.distillation, {0.0, 1.0},
           "Weight of imitating the unpruned network, beside the labels");
    v.real("distillation_temperature", training.distillation_temperature, {0.0, 100.0, true},
           "Of both networks' softmax");
    v.text("device", training.device, accuracy::training_devices(),
           "auto: a GPU where LibTorch finds one; reference: LibTorch's own kernels, slower");
    v.boolean("augment", training.augment, "Random flips and padded crops");
    v.real("crop_padding", training.crop_padding, {0.0, 0.5},
           "How far crops reach beyond the image, as a share of its height; 0: flips only");
}

void describe_report(Settings& s, SettingVisitor& v) {
    v.section("report", "What a complete study ends with");
    v.integer("variants", s.report.variants, {1, 64},
              "Evaluate handing out 1, 2, … so many networks to groups of clusters");
    v.real("accuracy_budget", s.report.accuracy_budget, {0.0, 1.0},
           "Largest accuracy drop of these networks");
    v.text_list("formats", s.report.formats,
                "What fine-tuned networks are written as beside HDF5: onnx, pt (TorchScript)");
}

void describe_run(Settings& s, SettingVisitor& v) {
    v.section("run", "How the job runs; changes no result");
    v.real("checkpoint_seconds", s.run.checkpoint_seconds, {0.01, 86'400.0},
           "Time between two checkpoints of the search");
}

core::DescribeSettings described(Settings& settings) {
    return [&settings](SettingVisitor& visitor) { describe_settings(settings, visitor); };
}

std::string read_text(const fs::path& file) {
    std::ifstream stream(file, std::ios::binary);
    if (!stream || fs::is_directory(file))
        throw core::ConfigError("cannot read the configuration " + file.string() +
                                ": no such file, or not readable");
    constexpr std::streamsize longest = 1 << 20;
    std::string text(static_cast<std::size_t>(longest) + 1, '\0');
    stream.read(text.data(), longest + 1);
    if (stream.gcount() > longest)
        throw core::ConfigError("the configuration " + file.string() +
                                " is longer than 1 MB; is it the right file?");
    text.resize(static_cast<std::size_t>(stream.gcount()));
    return text;
}

/// The settings that are paths: key and field.
std::vector<std::pair<std::string, std::string*>> path_fields(Settings& s) {
    return {{"fleet.file", &s.fleet.file},
            {"network.file", &s.network.file},
            {"network.weights", &s.network.weights},
            {"data.file", &s.data.file}};
}

void make_paths_absolute(Settings& settings, const fs::path& folder) {
    for (const auto& [key, path] : path_fields(settings))
        if (!path->empty() && fs::path(*path).is_relative())
            *path = fs::weakly_canonical(folder / *path).string();
}

/// What the schema of single settings cannot say.
void check_consistency(const Settings& s, const std::string& file) {
    const auto fail = [&](const std::string& what) { throw core::ConfigError(file + ": " + what); };
    if (s.name.empty() || s.name.find('/') != std::string::npos)
        fail("study.name = '" + s.name + "' must be a file name, without '/'");
    if (s.fleet.source == "file") {
        if (s.fleet.file.empty()) fail("fleet.source = \"file\" needs fleet.file");
        fail("fleet.source = \"file\": hdap run needs a fleet whose devices can run candidates, "
             "and this version can do that for synthetic fleets only; `hdap fleet cluster` "
             "clusters a measured fleet");
    }
    const bool measures_itself = s.accuracy.command.empty();
    if (s.data.file.empty() && measures_itself)
        fail("data.file is missing: make one with `hdap data pack`, or name an accuracy.command");
    if (s.data.file.empty() && s.finetune.candidates > 0)
        fail("without data.file nothing can be fine-tuned: set finetune.candidates = 0");
    if (s.data.file.empty() && s.network.criterion == "taylor")
        fail("network.criterion = \"taylor\" needs data.file");
    if (!measures_itself) accuracy::check_command(s.accuracy);
    if (!measures_itself && s.search.nsga2.give_up_confidence > 0.0)
        fail("search.give_up_confidence needs hdap's own accuracy, as accuracy.command measures "
             "each candidate whole: set it to 0");
    if (!measures_itself && s.search.precision != "float32")
        fail("search.precision needs hdap's own accuracy, not accuracy.command: set it to float32");
    if (s.network.weights.empty() && s.network.file.empty())
        fail("network.weights is missing: make them with `hdap train`, or name a network.file");
    if (s.data.evaluation_images > s.data.held_out)
        fail("data.evaluation_images = " + std::to_string(s.data.evaluation_images) +
             " is more than data.held_out = " + std::to_string(s.data.held_out));
    for (const std::string& format : s.report.formats)
        if (format != "onnx" && format != "pt")
            fail("report.formats: unknown format '" + format + "'; known: onnx, pt");
    if (s.search.objectives.empty()) fail("search.objectives is empty: name at least one");
    try {
        for (const std::string& objective : s.search.objectives)
            search::parse_figure(objective);
        for (const std::string& constraint : s.search.constraints)
            search::parse_constraint(constraint);
    } catch (const core::ConfigError& error) {
        fail(std::string("search: ") + error.what());
    }
}

void spread_seed(Settings& s) {
    const auto seed = static_cast<std::uint64_t>(s.seed);
    s.fleet.synthesis.seed = seed;
    s.surrogate.seed = seed;
    s.search.nsga2.seed = seed;
    s.finetune.training.seed = seed;
    s.clusters.clustering.metric = s.clusters.metric == "shape" ? fleet::SignatureMetric::shape
                                                                : fleet::SignatureMetric::level;
    s.clusters.clustering.seed = seed;
    s.search.nsga2.offspring =
        s.search.algorithm == "random" ? search::Offspring::random : search::Offspring::of_parents;
    if (s.clusters.method != "dbscan")
        s.clusters.clustering.method = s.clusters.method == "single_device"
                                           ? fleet::ClusteringMethod::single_device
                                           : fleet::ClusteringMethod::whole_fleet;
    s.clusters.clustering.weighting = s.clusters.weighting == "equal"
                                          ? fleet::ClusterWeighting::equal
                                          : fleet::ClusterWeighting::devices;
    s.clusters.clustering.noise =
        s.clusters.noise == "drop" ? fleet::NoisePolicy::drop : fleet::NoisePolicy::nearest_cluster;
}

} // namespace

void describe_settings(Settings& settings, SettingVisitor& visitor) {
    describe_study(settings, visitor);
    describe_fleet(settings, visitor);
    describe_clusters(settings, visitor);
    describe_network(settings, visitor);
    describe_data(settings, visitor);
    describe_accuracy(settings, visitor);
    describe_surrogates(settings, visitor);
    describe_search(settings, visitor);
    describe_finetune(settings, visitor);
    describe_report(settings, visitor);
    describe_run(settings, visitor);
}

bool is_path_setting(const std::string& key) {
    Settings settings;
    const auto paths = path_fields(settings);
    return std::any_of(paths.begin(), paths.end(),
                       [&](const auto& path) { return path.first == key; });
}

BaseSettings::BaseSettings(const fs::path& file) : file_(file.string()) {
    core::load_settings(read_text(file), file_, {}, described(settings_));
    make_paths_absolute(settings_, fs::absolute(file).parent_path());
}

Settings BaseSettings::with(const std::vector<std::string>& overrides) const {
    Settings settings = settings_;
    core::load_settings("", file_, overrides, described(settings));
    make_paths_absolute(settings, fs::current_path());
    check_consistency(settings, file_);
    spread_seed(settings);
    return settings;
}

Settings load_settings_file(const fs::path& file, const std::vector<std::string>& overrides) {
    return BaseSettings(file).with(overrides);
}

std::string settings_text(const Settings& settings) {
    Settings copy = settings;
    return core::settings_as_toml(described(copy));
}

std::string settings_lines(const Settings& settings, const std::vector<std::string>& prefixes) {
    Settings copy = settings;
    return core::canonical_settings(described(copy), prefixes);
}

} // namespace hdap::study
